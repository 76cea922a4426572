"""The typed, frozen config of one run. Each table of appendix K is an instance (adm/presets).

Sections: data, model, diffusion, train, classifier and upsampler (each with its own model and train), sample, evaluate;
and those of the studies: figures, inversion, likelihood, throughput, compute (adm/studies).
Imports no torch: a sweep is validated and planned without it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from adm.registries import (
    ENGINES,
    GUIDANCE_PLACES,
    GUIDANCES,
    LOSSES,
    MEANS,
    NETWORKS,
    SAMPLERS,
    SCHEDULES,
    TIMESTEP_SAMPLERS,
    VARIANCES,
    Guide,
    Role,
    kinds,
)
from adm.respacing import count_steps
from adm.studies.config import (
    ComputeConfig,
    FiguresConfig,
    InversionConfig,
    LikelihoodConfig,
    Measure,
    ThroughputConfig,
)
from assay.errors import FieldError
from assay.workload.fields import (
    ADDED,
    Bool,
    CountInt,
    FilePath,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Section,
    Seed,
    Str,
    Unsigned,
)
from imaging import config as imaging_config
from imaging.config import Crop, DataConfig, ExtractorName
from imaging.data_sources import DATA_SOURCES
from imaging.extractors import EXTRACTORS, Extractor

Precision = Literal["auto", "fp32", "bf16", "fp16"]


class ModelConfig(Section):
    """A network, with the options of tables 11 to 13."""

    kind: Annotated[str, AfterValidator(NETWORKS.checked)] = "unet"
    image_size: PositiveInt
    """Side length in pixels of the images that come out (super_res) or go in (unet, encoder)."""
    low_res_size: PositiveInt | None = None
    """super_res: side length in pixels of the image that is upsampled."""
    in_channels: PositiveInt = 3
    out_channels: PositiveInt = 6
    """Twice in_channels when the variance is learned; the number of classes for an encoder."""
    channels: PositiveInt
    num_res_blocks: Annotated[int, Field(strict=True, ge=1, le=1000)] = 2
    """"Depth" in the tables: residual blocks per resolution."""
    channel_mult: Annotated[tuple[Annotated[float, Field(strict=True, gt=0, le=1000)], ...], Field(min_length=1)]
    attention_resolutions: tuple[PositiveInt, ...] = (32, 16, 8)
    """In pixels, as in the tables. A resolution that the network never reaches has no effect, and gives a warning."""
    num_heads: PositiveInt = 1
    num_heads_up: PositiveInt | None = None
    """Heads on the way up, when they differ from num_heads (unet, super_res)."""
    head_channels: PositiveInt | None = None
    """Channels per head; if given, it determines the number of heads."""
    qkv_order: Literal["legacy", "new"] = "legacy"
    """Layout of q, k and v in published weights: [heads, 3, ch] or [3, heads, ch]. Attention pools always use new."""
    norm: Literal["adagn", "add"] = "adagn"
    """Adaptive group normalisation, or addition + GroupNorm (table 6)."""
    updown: Literal["residual", "conv", "plain"] = "residual"
    """BigGAN residual up/downsampling; or interpolation and average pooling, with a convolution or without."""
    rescale_skip: Bool = False
    """Residual connections scaled by 1/√2 (figure 5)."""
    dropout: Fraction = 0.0
    num_classes: PositiveInt | None = None
    """Class conditioning; None is unconditional."""
    null_class: Annotated[Bool, ADDED] = False
    """One more class embedding, for images without a label (label num_classes). train.label_dropout implies it; set it
    for a checkpoint that was trained so."""
    pool: Literal["attention", "adaptive", "spatial", "spatial_v2"] = "attention"
    """encoder only."""
    activation_checkpointing: Bool = False
    implementation: Literal["naive", "optimized", "compiled"] = "optimized"
    """compiled: torch.compile, one region per block. Compiling takes CPU minutes at the first steps."""

    @property
    def role(self) -> Role:
        return NETWORKS[self.kind].role

    @property
    def num_labels(self) -> int | None:
        """Number of classes that it classifies into, or is conditional on; None if it is unconditional."""
        return self.out_channels if self.role is Role.CLASSIFIES else self.num_classes

    @property
    def null_label(self) -> int | None:
        """The label of images without one; None if the network has no such class."""
        return self.num_classes if self.null_class else None

    @property
    def num_embeddings(self) -> int:
        """Class embeddings."""
        return (self.num_classes or 0) + self.null_class

    @model_validator(mode="after")
    def _fits(self) -> ModelConfig:
        halvings = len(self.channel_mult) - 1
        if self.image_size % (1 << halvings):
            raise FieldError(
                f"image_size {self.image_size} cannot be halved {halvings} times, as channel_mult asks "
                f"({len(self.channel_mult)} resolutions); use a multiple of {1 << halvings}",
                "image_size",
                "channel_mult",
            )
        if (self.role is Role.ENLARGES) != (self.low_res_size is not None):
            raise FieldError(
                f"low_res_size belongs to kind {kinds(Role.ENLARGES)}, which needs it", "low_res_size", "kind"
            )
        if self.null_class and self.num_classes is None:
            raise FieldError(
                "null_class stands beside other classes, but num_classes is null; leave it out",
                "null_class",
                "num_classes",
            )
        return self


class DiffusionConfig(Section):
    """The process the model learns to reverse (appendix C)."""

    schedule: Annotated[str, AfterValidator(SCHEDULES.checked)] = "linear"
    steps: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1000
    mean: Annotated[str, AfterValidator(MEANS.checked)] = "epsilon"
    variance: Annotated[str, AfterValidator(VARIANCES.checked)] = "learned_range"
    loss: Annotated[str, AfterValidator(LOSSES.checked)] = "mse"
    min_snr_gamma: Annotated[PositiveFloat, ADDED] = 5.0
    """Loss min_snr: γ, the signal-to-noise ratio above which an error of x_0 weighs no more."""
    sigma_data: Annotated[PositiveFloat, ADDED] = 0.5
    """Mean edm: the standard deviation of the images, in [-1, 1], over all pixels."""

    @property
    def outputs_per_channel(self) -> int:
        """Output channels of the network per channel of an image: 2 if the variance is learned, else 1."""
        return 2 if VARIANCES[self.variance].is_learned else 1


EMALength = Annotated[float, Field(strict=True, ge=0.005, le=0.28)]
"""σ_rel of a power-function average; 0.289 would be the plain mean of all steps."""
NUM_SNAPSHOTS = 16


class TrainConfig(Section):
    """How a network is trained (tables 11 to 13, appendix K). Adam with β = 0.9, 0.999 throughout."""

    iterations: PositiveInt
    batch_size: PositiveInt
    """Images per step, over all workers."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    """adamw decays the weights directly, adam through the gradient. Without weight decay they are the same."""
    learning_rate: PositiveFloat = 1e-4
    anneal_iterations: PositiveInt | Literal["iterations"] | None = None
    """Iterations over which the learning rate falls linearly to 0; None keeps it constant. "iterations": over the whole
    training. Every step then depends on that length, so a longer training, or a higher rung, starts from the
    beginning."""
    weight_decay: NonNegativeFloat = 0.0
    gradient_clip: PositiveFloat | None = None
    """Largest L2 norm of a step's gradient; None: no clipping."""
    ema_rates: Annotated[tuple[Fraction, ...], Field(min_length=1)] = (0.9999,)
    """Rates of the weight averages that are kept. Samples come from the first, unless sample.ema_rate names another."""
    ema_lengths: Annotated[tuple[EMALength, ...], ADDED] = ()
    """Lengths of power-function averages that are kept besides, such as [0.05, 0.1]: sample.ema_length is reconstructed
    from snapshots of them. Each is relative to the training so far."""
    snapshot_every: Annotated[PositiveInt | None, ADDED] = None
    """Iterations from one snapshot to the next; null: a sixteenth of the training. A snapshot is a shorter training
    that the next one goes on from."""
    precision: Precision = "auto"
    timestep_sampler: Annotated[str, AfterValidator(TIMESTEP_SAMPLERS.checked)] = "uniform"
    label_dropout: Annotated[Fraction, ADDED] = 0.0
    """Share of images that a class-conditional model is shown without their label, as classifier-free guidance needs;
    0.1 is usual. The network gets one more class embedding for them."""
    engine: Annotated[str, AfterValidator(ENGINES.checked)] = "auto"
    """DeepSpeed with its fused Adam, or PyTorch alone. auto: DeepSpeed if its operators can be built."""
    zero_stage: Literal[0, 1, 2] = 0
    """DeepSpeed's ZeRO: 1 partitions Adam's state over the workers, 2 the gradients as well."""
    micro_batch: PositiveInt | Literal["auto"] | None = None
    """Images that a worker processes at a time at most, accumulating gradients; None: its whole share of the batch;
    auto: as many as its device's memory holds by our estimate. Halved if memory runs out: the step is the same but for
    rounding, and for which units dropout leaves out."""
    compress_gradients: Annotated[Bool, ADDED] = False
    """Workers exchange gradients in the 16 bits that they compute in: half as many bytes, rounded. No effect in fp32.
    Not with ZeRO, which exchanges them in 32 bits."""
    checkpoint_every: PositiveInt = 1000
    keep_last: PositiveInt = 2
    """Number of latest checkpoints kept while training; one is kept afterwards."""
    keep_every: PositiveInt | None = None
    """Checkpoints at multiples of this number of iterations are kept permanently."""
    keep_best: Bool = False
    """Also keep the checkpoint with the lowest running mean of the loss."""
    checkpoint: FilePath | None = None
    """A published or native checkpoint to use instead of training."""
    init: Str | None = None
    """Another training to start from: its averaged weights instead of random ones. The key of its result (assay ls), or
    SWEEP/ARM, or SWEEP/ARM@ITERATIONS: that sweep's training, which is computed first if it is not stored."""

    @model_validator(mode="after")
    def _fits(self) -> TrainConfig:
        if self.init is not None and self.checkpoint is not None:
            raise FieldError("init has no effect with checkpoint, which replaces the training", "init", "checkpoint")
        if self.zero_stage and not ENGINES[self.engine].shards_state:
            others = " or ".join(name for name, engine in ENGINES.items() if engine.shards_state)
            raise FieldError(
                f"zero_stage {self.zero_stage} has no effect on engine {self.engine}; set engine {others}",
                "zero_stage",
                "engine",
            )
        if self.zero_stage and self.compress_gradients:
            raise FieldError(
                f"compress_gradients has no effect with zero_stage {self.zero_stage}, under which gradients are "
                "exchanged in 32 bits; set one of them alone",
                "compress_gradients",
                "zero_stage",
            )
        if len(set(self.ema_rates)) < len(self.ema_rates):
            raise FieldError(f"ema_rates {list(self.ema_rates)} repeats a rate; allowed: distinct rates", "ema_rates")
        if len(self.ema_lengths) == 1 or len(set(self.ema_lengths)) < len(self.ema_lengths):
            raise FieldError(
                f"got ema_lengths {list(self.ema_lengths)}, allowed: none, or two or more distinct lengths, such as "
                "[0.05, 0.1], from which others are reconstructed",
                "ema_lengths",
            )
        if self.snapshot_every is not None and not self.ema_lengths:
            raise FieldError("snapshot_every has no effect without ema_lengths; leave it out", "snapshot_every")
        return self

    @property
    def annealed_over(self) -> int | None:
        """anneal_iterations as a number of iterations, or None."""
        return self.iterations if self.anneal_iterations == "iterations" else self.anneal_iterations

    @property
    def snapshots(self) -> tuple[int, ...]:
        """The iterations at which averages are kept for reconstruction, the last one among them; () if none are."""
        if not self.ema_lengths:
            return ()
        every = self.snapshot_every or -(-self.iterations // NUM_SNAPSHOTS)
        return (*range(every, self.iterations, every), self.iterations)


NOISE_LEVELS = (0.0, 0.25, 0.5, 0.75)
"""Timesteps at which a classifier's accuracy is measured, as shares of T."""


def validation_timesteps(steps: int) -> tuple[int, ...]:
    """The timesteps of NOISE_LEVELS in a process of `steps` steps."""
    return tuple(int(level * steps) for level in NOISE_LEVELS)


class ClassifierConfig(Section):
    """The noise-aware classifier p(y | x_t) for guidance (table 12)."""

    model: ModelConfig
    train: TrainConfig
    crop: Crop | None = None
    """How its training images are cropped; None: as data.crop."""


Steps = PositiveInt | tuple[CountInt, ...] | Str
SamplerName = Annotated[str, AfterValidator(SAMPLERS.checked)]
Eta = Annotated[float, Field(strict=True, ge=0, le=1), Unsigned]


class UpsamplerConfig(Section):
    """A diffusion model that upsamples the base model's images (table 13; ADM-U in table 10)."""

    model: ModelConfig
    diffusion: DiffusionConfig = DiffusionConfig()
    train: TrainConfig
    sampler: SamplerName = "ddpm"
    steps: Steps = 250
    """As sample.steps."""
    eta: Eta = 0.0


class SampleConfig(Section):
    """How images are drawn (table 14, appendices D, I and L)."""

    ema_rate: Fraction | None = None
    """Which of train.ema_rates to sample from; None: the first."""
    ema_length: Annotated[EMALength | None, ADDED] = None
    """Sample from an average of this length instead, relative to the whole training: it is reconstructed from the
    snapshots of train.ema_lengths, and nothing is trained for it."""

    sampler: SamplerName = "ddpm"
    steps: Steps = 250
    """A count, counts per section ([90, 60, 60, 20, 20]), or a spacing and a count ("ddim25", "karras25")."""
    density: Annotated[tuple[PositiveInt, ...] | None, Field(min_length=2), ADDED] = None
    """Where a count of steps lies: the share of them in each of so many equal parts of the range of log σ, the first
    nearest the data; between the parts it changes smoothly. None: evenly in the trained timesteps."""
    eta: Eta = 0.0
    """DDIM's η: 0 is deterministic."""
    guidance: Annotated[str, AfterValidator(GUIDANCES.checked), ADDED] = "classifier"
    """What guides images. classifier: the gradient of the config's classifier. classifier_free: away from the model
    without labels (train.label_dropout), or from the unconditional model that `guide` names. autoguidance: away from
    the weaker model that `guide` names."""
    guidance_scale: NonNegativeFloat = 0.0
    """classifier: the factor s of the gradient; 0 is no guidance. classifier_free and autoguidance: w in
    ε_g + w (ε − ε_g); 1 is the model alone, and 0 its guide."""
    guidance_interval: Annotated[tuple[CountInt, CountInt] | None, ADDED] = None
    """[least, most] timestep, of the diffusion.steps, at which images are guided; null: at all."""
    guide: Annotated[Str | None, ADDED] = None
    """The unconditional or weaker model: KEY, SWEEP/ARM or SWEEP/ARM@ITERATIONS of a training, as in train.init; or
    "@ITERATIONS": the model's own, at that earlier step. Its weights are averaged at its first rate."""
    guide_checkpoint: Annotated[FilePath | None, ADDED] = None
    """The same as a published or native checkpoint, of the model's architecture."""
    guidance_at: Annotated[str, AfterValidator(GUIDANCE_PLACES.checked)] = "x_t"
    """Where the classifier's gradient is taken: at x_t, or at μ as in equation 56."""
    temperature: PositiveFloat = 1.0
    temperature_scales: Literal["noise", "epsilon"] = "noise"
    clip_denoised: Bool = True
    labels: Literal["balanced", "drawn"] | Annotated[tuple[CountInt, ...], Field(min_length=1)] = "balanced"
    """balanced: image i has class i mod num_classes. drawn: a class drawn at random from (seed, i), as in the paper. Or
    a list of classes, which images take in turn."""
    precision: Precision = "auto"
    """auto: fp16 on a V100, bf16 where the device is fast at it, else fp32; chosen at the first images, for all."""
    batch_size: PositiveInt | Literal["auto"] = 64
    """Images per actor and batch. auto doubles it from 8 for as long as that is at least 5% faster. It is halved when
    memory runs out. The images do not depend on it."""
    keep_images: Literal["none", "npz", "png"] = "none"
    """Keep all images in one file: npz for the reference evaluator, or a zip of PNGs. none: keep 100, for the grid."""

    @property
    def spaced_steps(self) -> Steps:
        """`steps`, with `density` if there is one: "spline25:3,2,1". Raises ValueError unless they are a count then."""
        if self.density is None:
            return self.steps
        if not isinstance(self.steps, int):
            raise ValueError(f"density is for a count of steps, but steps is {self.steps!r}: leave one of them out")
        return f"spline{self.steps}:{','.join(map(str, self.density))}"

    @property
    def guided_by(self) -> Guide | None:
        """What guides images; None if guidance_scale is the one that changes nothing."""
        kind = GUIDANCES[self.guidance]
        return None if self.guidance_scale == kind.neutral_scale else kind.guide


EXTRACTORS.register(
    "classifier",
    Extractor(
        "adm.classifier_features:ClassifierFeatures",
        network="classifier",
        memory="adm.compute.memory:of_classifier_features",
    ),
)


class EvaluateConfig(imaging_config.EvaluateConfig):
    extractor: ExtractorName = "classifier"
    """classifier: the trial's own. pixels: for small images. inception: FID's network. dinov2: for FD-DINOv2. clip: for
    CMMD. Or another registered one."""


class Config(Section):
    seed: Seed = 0
    data: DataConfig
    model: ModelConfig
    diffusion: DiffusionConfig = DiffusionConfig()
    train: TrainConfig
    classifier: ClassifierConfig | None = None
    upsampler: UpsamplerConfig | None = None
    sample: SampleConfig = SampleConfig()
    samples: FilePath | None = None
    """Images that somebody else drew, to evaluate instead of this model's: an npz as published, a zip of images, or a
    folder of them, of this model's size. Nothing is trained for them."""
    evaluate: EvaluateConfig = EvaluateConfig()
    measure: Measure = "quality"
    """What a trial reports: sample quality, reconstruction error, bits per dimension, images/s, or V100-days."""
    figures: FiguresConfig = FiguresConfig()
    inversion: InversionConfig = InversionConfig()
    likelihood: LikelihoodConfig = LikelihoodConfig()
    throughput: ThroughputConfig = ThroughputConfig()
    compute: ComputeConfig = ComputeConfig()

    @property
    def image_size(self) -> int:
        """Side length in pixels of the final samples, which are compared with the data."""
        return self.model.image_size if self.upsampler is None else self.upsampler.model.image_size

    @property
    def channels(self) -> int:
        return self.model.in_channels

    @property
    def guiding_classifier(self) -> ClassifierConfig | None:
        """The classifier, if it guides images."""
        return self.classifier if self.sample.guided_by is Guide.CLASSIFIER else None

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.model.role is not Role.CLASSIFIES:
            expected = self.model.in_channels * self.diffusion.outputs_per_channel
            if self.model.out_channels != expected:
                raise FieldError(
                    f"model.out_channels is {self.model.out_channels}, but diffusion.variance "
                    f"{self.diffusion.variance} of {self.model.in_channels} image channels needs {expected}",
                    "model.out_channels",
                    "diffusion.variance",
                    "model.in_channels",
                )
        if self.classifier is not None and self.classifier.model.image_size != self.model.image_size:
            raise FieldError(
                f"classifier.model.image_size is {self.classifier.model.image_size}, but it guides images of "
                f"model.image_size {self.model.image_size}: they must be equal",
                "classifier.model.image_size",
                "model.image_size",
            )
        if self.classifier is not None and self.classifier.model.in_channels != self.model.in_channels:
            raise FieldError(
                f"classifier.model.in_channels is {self.classifier.model.in_channels}, but it sees images of "
                f"model.in_channels {self.model.in_channels}: they must be equal",
                "classifier.model.in_channels",
                "model.in_channels",
            )
        if self.guiding_classifier is not None and self.model.num_classes is not None:
            num_logits = self.guiding_classifier.model.out_channels
            if num_logits != self.model.num_classes:
                raise FieldError(
                    f"classifier.model.out_channels is {num_logits}, but sample.guidance_scale guides images of "
                    f"model.num_classes {self.model.num_classes}: they must be equal",
                    "classifier.model.out_channels",
                    "sample.guidance_scale",
                    "model.num_classes",
                )
        if self.sample.guided_by is Guide.CLASSIFIER and self.classifier is None:
            raise FieldError(
                "sample.guidance_scale needs a classifier; this base has none", "sample.guidance_scale", "classifier"
            )
        if self.sample.ema_rate is not None and self.sample.ema_rate not in self.train.ema_rates:
            raise FieldError(
                f"sample.ema_rate is {self.sample.ema_rate}, but train.ema_rates keeps {list(self.train.ema_rates)}",
                "sample.ema_rate",
                "train.ema_rates",
            )
        return self

    @model_validator(mode="after")
    def _known_before_it_runs(self) -> Config:
        """Refuse what would otherwise fail only after the trainings."""
        if self.model.role is Role.DRAWS:
            try:
                count_steps(self.diffusion.steps, self.sample.spaced_steps)
            except ValueError as error:
                raise FieldError(
                    f"sample.steps does not fit diffusion.steps: {error}", "sample.steps", "diffusion.steps"
                ) from error
        if self.classifier is not None and self.classifier.model.role is not Role.CLASSIFIES:
            raise FieldError(
                f"classifier.model.kind is {self.classifier.model.kind}, allowed: {kinds(Role.CLASSIFIES)}",
                "classifier.model.kind",
            )
        self._classes_fit()
        return self

    def _classes_fit(self) -> None:
        """Raise FieldError where the number of classes, if the data source alone determines it, does not fit."""
        name, facts = self.data.source, DATA_SOURCES[self.data.source]
        if self.classifier is not None and self.classifier.crop is not None and "crop" not in facts.options:
            raise FieldError(
                f"classifier.crop {self.classifier.crop!r} has no effect on data.source {name}; set it to null",
                "classifier.crop",
                "data.source",
            )
        if facts.num_classes is None:
            return
        have = "has no classes" if facts.num_classes == 1 else f"has {facts.num_classes} classes"
        if self.model.role is Role.DRAWS and self.model.num_classes not in (None, facts.num_classes):
            raise FieldError(
                f"model.num_classes is {self.model.num_classes}, but data.source {name} {have}: "
                f"use {'null' if facts.num_classes == 1 else facts.num_classes}",
                "model.num_classes",
                "data.source",
            )
        if facts.num_classes > 1:
            if self.classifier is not None and self.classifier.model.out_channels != facts.num_classes:
                raise FieldError(
                    f"classifier.model.out_channels is {self.classifier.model.out_channels}, but data.source {name} "
                    f"{have}",
                    "classifier.model.out_channels",
                    "data.source",
                )
            return
        trained = self.classifier is not None and self.classifier.train.checkpoint is None
        if trained or (self.model.role is Role.CLASSIFIES and self.train.checkpoint is None):
            raise FieldError(
                f"a classifier cannot be trained on data.source {name}, which has no classes: set classifier to null, "
                "give its checkpoint, or use another data.source",
                "data.source",
                "classifier",
            )
