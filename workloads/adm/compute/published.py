"""Training costs that others published, converted to V100-days as in appendix B.3. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from adm.compute.v100 import V100_DAYS
from assay.costs.devices import SECONDS_PER_DAY

STYLEGAN2_DAYS_PER_IMAGE = (32 + 13 / 24) / 25e6
"""Config-f on one V100: 25M images in 32 days 13 hours (appendix B.3)."""


@dataclass(frozen=True)
class Published:
    """V100-days of a training; a range where its authors give one."""

    least: float
    most: float
    source: str


def _stylegan2(images: float) -> Published:
    days = images * STYLEGAN2_DAYS_PER_IMAGE
    return Published(days, days, f"{images / 1e6:g}M images at 25M in 32 d 13 h on one V100")


def _biggan_deep(cores: int) -> Published:
    day = V100_DAYS.of("TPU v3", cores, SECONDS_PER_DAY)
    assert day is not None, "the conversion of appendix B.3 is declared"
    return Published(day, 2 * day, f"{cores} TPU-v3 cores for 24 to 48 hours, 2 TPU-v3-days per V100-day")


PUBLISHED = {
    "stylegan2_lsun_horse": _stylegan2(100e6),
    "stylegan2_lsun_cat": _stylegan2(88e6),
    "biggan_deep_128": _biggan_deep(128),
    "biggan_deep_256": _biggan_deep(256),
    "biggan_deep_512": _biggan_deep(512),
}
"""The GANs of table 10. The numbers of training images and core-hours are from the StyleGAN2 and BigGAN papers."""


def _implied(iterations: int, batch_size: int, v100_days: float) -> float:
    return iterations * batch_size / (v100_days * SECONDS_PER_DAY)


CLASSIFIERS = {
    "classifier64": _implied(300_000, 1024, 30),
    "classifier128": _implied(300_000, 256, 9),
    "classifier256": _implied(500_000, 256, 46),
}
"""Training images per V100-second of the classifiers, which are not in table 7: each follows from a row of table 10."""
