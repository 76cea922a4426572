"""The config sections of the studies. What of them a sweep's `measure` does not read has no effect."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from adm.registries import PICTURES
from assay.workload.fields import CountInt, PositiveInt, Section, Share, Str

Measure = Literal["quality", "inversion", "throughput", "compute"]
Picture = Annotated[str, AfterValidator(PICTURES.checked)]
Rival = Literal["stylegan2_lsun_horse", "stylegan2_lsun_cat", "biggan_deep_128", "biggan_deep_256", "biggan_deep_512"]


class FiguresConfig(Section):
    """Pictures to draw of the samples, besides their grid (measure quality)."""

    draw: tuple[Picture, ...] = ()
    """neighbours: samples above their nearest training images (figure 7). diversity: samples beside training images
    (figure 9). column: the first samples in one column, which reports put beside those of the other arms: a row is then
    one noise seed (figures 3 and 8)."""
    num_samples: PositiveInt = 8
    """Samples drawn as neighbours or in the column; diversity shows its square."""
    num_neighbours: PositiveInt = 3
    num_reference: PositiveInt | None = None
    """Training images among which neighbours are looked for; None: those that the samples are compared with."""


class InversionConfig(Section):
    """Real images encoded by DDIM, and what lies between two of them (appendix H; measure inversion)."""

    num_pairs: PositiveInt = 4
    """Rows: two random images each."""
    num_images: Annotated[int, Field(strict=True, ge=2)] = 8
    """Images a row, the two reconstructions included; θ goes linearly from 0 to π/2."""


class ThroughputConfig(Section):
    """Training steps timed on one device (table 7; measure throughput). Data loading is not part of them."""

    preset: Str | None = None
    """Whose network to time; None is the config's own."""
    batch_size: PositiveInt = 64
    """Images a device takes at a time."""
    warmup: CountInt = 3
    """Steps before the clock starts."""
    repeats: PositiveInt = 10
    """Steps that are timed; the median counts."""
    device: Str | None = None
    """A part of the device's name, such as V100: the stage refuses any other. A result is stored for all machines that
    share a store, so a device that is not named here is whichever came first."""


class TrainingOf(Section):
    """A training that is only priced. What is left out is as the preset has it; without a preset it is the config's."""

    preset: Str | None = None
    iterations: PositiveInt | None = None
    batch_size: PositiveInt | None = None


class ComputeConfig(Section):
    """What trainings cost, in V100-days, before anything is trained (table 10; measure compute)."""

    rival: Rival | None = None
    """A GAN whose published figures are converted instead; the rest of the section has no effect then."""
    generator: TrainingOf = TrainingOf()
    """Without a preset the whole config is priced: its model, and its classifier if it has one."""
    classifier: TrainingOf = TrainingOf()
    upsampler: TrainingOf = TrainingOf()
    throughput: Literal["table7", "theoretical", "measured"] = "table7"
    """Images a V100-second: the paper's own; all of the peak times `utilisation`; or timed on the device at hand. What
    the paper does not give is by `utilisation`."""
    utilisation: Share = 0.36
    """Share of a V100's 120 TFLOP/s: the middle of what table 7's optimized implementations reach."""
