"""What devices are worth: the one table by which costs on different machines are added up.

A workload names the device whose days its costs are given in, as its field publishes them. A day on any other device
becomes days of that one: by what is published where something is, and by the ratio of the vendors' dense half-precision
peaks otherwise. That ratio says what a device could do, not what it did: the ledger's utilisation says that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from assay.errors import UserError

SECONDS_PER_DAY = 86_400
UTILISATION = 0.36
"""Share of the peak that well-tuned trainings reach, in the middle of the 29% to 41% that are published."""


@dataclass(frozen=True)
class Device:
    """A kind of device. `pattern` is a regular expression, looked for in the device's name whatever the case."""

    pattern: str
    peak_flops: float | None
    """Half-precision FLOP/s, dense, with float32 accumulation, that utilisation takes for 100%; None when nothing is
    declared."""
    speed: float
    """TFLOP/s, as its data sheet has them: what its days are compared with other devices' by."""
    source: str


def _by_peak(pattern: str, peak_tflops: float, data_sheet: str) -> Device:
    return Device(pattern, peak_tflops * 1e12, peak_tflops, f"{data_sheet}: {peak_tflops:g} TFLOP/s")


DEVICES: tuple[Device, ...] = (
    Device(r"\bv100", 120e12, 125, "V100 data sheet: 125 TFLOP/s; published utilisations are shares of 120"),
    Device(r"\btpu[- ]?v3\b", None, 62.5, "arXiv:2105.05233, appendix B.3: 2 TPU-v3-days = 1 V100-day"),
    _by_peak(r"\bp100\b", 18.7, "P100 (PCIe) data sheet, float16 without tensor cores"),
    _by_peak(r"\bt4\b", 65, "T4 data sheet"),
    _by_peak(r"\ba100\b", 312, "A100 data sheet"),
    _by_peak(r"\ba10g\b", 70, "A10G data sheet"),
    _by_peak(r"\ba10\b", 125, "A10 data sheet"),
    _by_peak(r"\ba30\b", 165, "A30 data sheet"),
    _by_peak(r"\ba40\b", 149.7, "A40 data sheet"),
    _by_peak(r"\ba6000\b", 154.8, "RTX A6000 data sheet"),
    _by_peak(r"\bl4\b", 121, "L4 data sheet"),
    _by_peak(r"\bl40\b", 181, "L40 data sheet"),
    _by_peak(r"\bl40s\b", 362, "L40S data sheet"),
    _by_peak(r"\bh100 pcie\b", 756, "H100 data sheet, PCIe"),
    _by_peak(r"\bh100 nvl\b", 835, "H100 data sheet, NVL"),
    _by_peak(r"\bh100\b", 989, "H100 data sheet, SXM"),
    _by_peak(r"\bg?h200\b", 989, "H200 data sheet"),
    _by_peak(r"\bb200\b", 2250, "B200 data sheet"),
    _by_peak(r"\brtx 3090$", 71, "GA102 white paper, GeForce RTX 3090"),
    _by_peak(r"\brtx 4090$", 165.2, "AD102 white paper, GeForce RTX 4090"),
)
"""The first whose pattern is found counts."""

PART_OF_A_DEVICE = re.compile(r"\bmig\b|\blaptop\b|\bmax-q\b", re.IGNORECASE)
"""Names of slices and of slower variants, which contain the name of the whole."""


def find_device(name: str) -> Device | None:
    """The entry for a device by the name it gives itself; None when nobody has declared it, as for any CPU.

    Of several kinds, as in "NVIDIA A100-SXM4-40GB, Tesla T4", it is not known how much each did: None.

    >>> find_device("NVIDIA A100-SXM4-40GB").speed
    312
    >>> find_device("cpu (x86_64)") is None
    True
    """
    kinds = {_find(part, DEVICES) for part in name.split(", ")}
    return kinds.pop() if len(kinds) == 1 else None


@cache
def _find(name: str, devices: tuple[Device, ...]) -> Device | None:
    if PART_OF_A_DEVICE.search(name):
        return None
    return next((device for device in devices if re.search(device.pattern, name, re.IGNORECASE)), None)


@dataclass(frozen=True)
class DeviceDays:
    """The unit that costs on different machines are added up in. Raises UserError for a device that is not declared.

    >>> DeviceDays("A100").name, DeviceDays("A100").field, DeviceDays().name
    ('A100-days', 'a100_days', 'device-days')
    """

    reference: str = ""
    """A declared device, as "A100": its days are counted. Empty: days of any device, each counted as it is."""

    def __post_init__(self) -> None:
        if self.reference and self._known is None:
            raise UserError(f"device {self.reference!r} is not declared; declare it in {__name__}.DEVICES")

    @classmethod
    def of_field(cls, field: str) -> DeviceDays:
        """The unit that has this name in tables for programs."""
        device = field.removesuffix("_days").replace("_", " ")
        return cls("" if device == cls().device else device.upper())

    @property
    def device(self) -> str:
        return self.reference or "device"

    @property
    def name(self) -> str:
        return f"{self.device}-days"

    @property
    def field(self) -> str:
        """The name in sweep files, and in tables for programs."""
        return re.sub(r"\W", "_", self.name.lower())

    @property
    def _known(self) -> Device | None:
        return find_device(self.reference)

    def of(self, device: str, count: int, seconds: float) -> float | None:
        """What `count` devices took in so many seconds; None on a device that is not declared."""
        days, known = count * seconds / SECONDS_PER_DAY, find_device(device)
        if not self.reference:
            return days
        return None if known is None else days * self.worth(known)

    def worth(self, device: Device) -> float:
        """How many of the reference are as fast."""
        return device.speed / self._known.speed if self._known is not None else 1.0

    def of_flops(self, flops: float) -> float | None:
        """What so many operations take at the usual utilisation; None where no device says how many it does a second.

        >>> round(DeviceDays("A100").of_flops(1e20), 2)
        10.3
        """
        if self._known is None or self._known.peak_flops is None:
            return None
        return flops / (self._known.peak_flops * UTILISATION * SECONDS_PER_DAY)
