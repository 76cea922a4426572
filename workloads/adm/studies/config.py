"""The config sections of the studies. Those that a sweep's `measure` does not read have no effect."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from adm.registries import PICTURES
from assay.workload.fields import CountInt, PositiveInt, Section, Share, Str

Measure = Literal["quality", "inversion", "throughput", "compute"]
Picture = Annotated[str, AfterValidator(PICTURES.checked)]
Rival = Literal["stylegan2_lsun_horse", "stylegan2_lsun_cat", "biggan_deep_128", "biggan_deep_256", "biggan_deep_512"]


class FiguresConfig(Section):
    """Pictures of the samples, besides their grid (measure quality)."""

    draw: tuple[Picture, ...] = ()
    """neighbours: samples above their nearest training images (figure 7). diversity: samples beside training images
    (figure 9). column: the first samples in one column, shown beside those of the other arms: each row is then one
    noise seed (figures 3 and 8)."""
    num_samples: PositiveInt = 8
    """Samples shown as neighbours or in the column; diversity shows its square."""
    num_neighbours: PositiveInt = 3
    num_reference: PositiveInt | None = None
    """Training images in which neighbours are searched; None: those that the samples are compared with."""


class InversionConfig(Section):
    """Real images encoded by DDIM, and interpolations between them (appendix H; measure inversion)."""

    num_pairs: PositiveInt = 4
    """Rows, of two random images each."""
    num_images: Annotated[int, Field(strict=True, ge=2)] = 8
    """Images per row, including the two reconstructions; θ goes linearly from 0 to π/2."""


class ThroughputConfig(Section):
    """Training steps timed on one device (table 7; measure throughput), without data loading."""

    preset: Str | None = None
    """The preset whose network is timed; None: the config's own."""
    batch_size: PositiveInt = 64
    """Images on a device at a time."""
    warmup: CountInt = 3
    """Steps before timing starts."""
    repeats: PositiveInt = 10
    """Timed steps; the median counts."""
    device: Str | None = None
    """A part of the device's name, such as V100: the stage refuses any other. Results are shared by all machines with
    the same store, so without it, the device is whichever came first."""


class TrainingOf(Section):
    """A training that is only priced. Missing values are the preset's, or without a preset the config's."""

    preset: Str | None = None
    iterations: PositiveInt | None = None
    batch_size: PositiveInt | None = None


class ComputeConfig(Section):
    """What trainings would cost, in V100-days (table 10; measure compute)."""

    rival: Rival | None = None
    """A GAN whose published figures are converted instead; the rest of the section then has no effect."""
    generator: TrainingOf = TrainingOf()
    """Without a preset the whole config is priced: its model, and its classifier if it has one."""
    classifier: TrainingOf = TrainingOf()
    upsampler: TrainingOf = TrainingOf()
    throughput: Literal["table7", "theoretical", "measured"] = "table7"
    """Images per V100-second: the paper's figures, peak throughput times `utilisation`, or timed on the present device.
    Where the paper has no figure, `utilisation` is used."""
    utilisation: Share = 0.36
    """Share of a V100's 120 TFLOP/s: in the middle of what table 7's optimized implementations reach."""
