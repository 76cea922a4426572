"""The config sections of the studies. `measure` decides which of them have an effect."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from adm.registries import PICTURES
from assay.workload.fields import ADDED, Bool, CountInt, PositiveInt, Section, Share, Str

Measure = Literal["quality", "inversion", "likelihood", "throughput", "compute"]
Picture = Annotated[str, AfterValidator(PICTURES.checked)]
Rival = Literal["stylegan2_lsun_horse", "stylegan2_lsun_cat", "biggan_deep_128", "biggan_deep_256", "biggan_deep_512"]


class FiguresConfig(Section):
    """Pictures of the samples, besides their grid (measure quality)."""

    draw: tuple[Picture, ...] = ()
    """neighbours: samples above their nearest training images (figure 7). diversity: samples beside training images
    (figure 9). column: the first samples in one column, which reports show beside those of the other arms, so that each
    row is one noise seed (figure 8). classes: one row per class that sample.labels lists (figures 13 to 22)."""
    num_samples: PositiveInt = 8
    """Number of samples in the pictures neighbours and column, and per class in classes; diversity shows its square."""
    num_neighbours: PositiveInt = 3
    num_reference: PositiveInt | None = None
    """Number of training images to search for neighbours; None: those that the samples are compared with."""


class InversionConfig(Section):
    """Real images encoded by DDIM, and interpolations between them (appendix H; measure inversion)."""

    num_pairs: PositiveInt = 4
    """Number of rows, each of two random images."""
    num_images: Annotated[int, Field(strict=True, ge=2)] = 8
    """Images per row, including the two reconstructions; θ goes linearly from 0 to π/2."""


class LikelihoodConfig(Section):
    """The variational bound L_vlb of images, over the steps of sample.steps (appendix C; measure likelihood).

    The images are those of data.validation_path, or without it those of data.path.
    """

    num_images: PositiveInt | None = None
    """Number of random images; None: all."""


class ThroughputConfig(Section):
    """Timing of training steps, without data loading (table 7; measure throughput)."""

    preset: Str | None = None
    """The preset whose network is timed; None: the config's own network."""
    batch_size: PositiveInt = 64
    """Images per step on each device."""
    workers: PositiveInt = 1
    """Devices that train together, as many as resources.train has workers: the duration of a step then includes
    averaging their gradients."""
    warmup: CountInt = 3
    """Steps before timing starts."""
    repeats: PositiveInt = 10
    """Timed steps, of which the median is reported."""
    device: Str | None = None
    """A part of the device's name, such as V100: the stage refuses other devices. Without it, the result in the store
    is that of whichever device ran first."""


class TrainingOf(Section):
    """A training whose cost is computed. Missing values are the preset's, or without a preset the config's."""

    preset: Str | None = None
    iterations: PositiveInt | None = None
    batch_size: PositiveInt | None = None


class ComputeConfig(Section):
    """The cost of trainings in V100-days (table 10; measure compute, or quality with `with_quality`)."""

    with_quality: Bool = False
    """Report it beside the samples' quality, with measure quality."""
    evaluations: Annotated[Bool, ADDED] = False
    """Report num_evaluations beside the samples' quality: the network's evaluations per image (NFE), without those of
    what guides it."""
    rival: Rival | None = None
    """A GAN whose published cost is reported instead; the other options of the section then have no effect."""
    generator: TrainingOf = TrainingOf()
    """Without a preset: the config's own model, with its classifier and upsampler if it has them."""
    classifier: TrainingOf = TrainingOf()
    upsampler: TrainingOf = TrainingOf()
    throughput: Literal["table7", "theoretical", "measured"] = "table7"
    """Source of the images per V100-second: the paper's figures; peak throughput times `utilisation`, which is also
    used where the paper has no figure; or timing on the present device."""
    utilisation: Share = 0.36
    """Share of a V100's 120 TFLOP/s. The default is in the middle of table 7's optimized implementations."""
