"""Registries of the method's pieces: the names that a config may use, and the facts about each that adm needs.

To add a piece, write its implementation in a file and register it here, or from an installed package by an entry point
in the registry's group. Implementations are named by import path, so that nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from assay.registry import Registry
from assay.workload import load_attribute
from assay.workload.typed import annotation_of, registry_of


@dataclass(frozen=True, kw_only=True)
class Piece:
    """An entry of a registry. Each registry has a subclass of its own."""

    path: str
    """ "module:attribute" of the implementation."""
    version: int = 1
    """Increase it when the same config gives different numbers: it is in the keys of results."""

    def load(self) -> Any:
        """Import the implementation."""
        return load_attribute(self.path)


# -- the diffusion process --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Schedule(Piece):
    """How much noise each step adds. The function takes the number of steps, and returns β as float64 (steps,)."""

    least_steps: int = 1
    """Fewest steps for which every β is below 1."""
    sigma: str | None = None
    """ "module:attribute" of a function from (real t, steps) to σ = √(1−ᾱ)/√ᾱ, for training between the steps."""
    is_zero_terminal: bool = False
    """The last step leaves no trace of x_0 (zero terminal SNR)."""


SCHEDULES = Registry[Schedule]("noise schedule", "adm.schedules")
# The last β is 20/T for T steps.
_linear = Schedule(path="adm.diffusion.schedules:linear_betas", least_steps=21)
SCHEDULES.register("linear", _linear)
SCHEDULES.register("cosine", Schedule(path="adm.diffusion.schedules:cosine_betas"))
SCHEDULES.register(
    "karras",
    Schedule(path="adm.diffusion.schedules:karras_betas", sigma="adm.diffusion.schedules:karras_sigma"),
)
SCHEDULES.register(
    "linear_zero_snr",
    replace(_linear, path="adm.diffusion.schedules:linear_zero_snr_betas", is_zero_terminal=True),
)
SCHEDULES.register(
    "cosine_zero_snr",
    Schedule(path="adm.diffusion.schedules:cosine_zero_snr_betas", least_steps=2, is_zero_terminal=True),
)


@dataclass(frozen=True, kw_only=True)
class Spacing(Piece):
    """A rule for which steps a shorter run visits. A config gives its name and a count: "ddim25".

    The function takes (num_timesteps, count) and returns `count` steps, ascending; it raises ValueError if it cannot.
    """

    is_fractional: bool = False
    """It chooses noise levels σ = √(1−ᾱ)/√ᾱ instead of steps: the function takes (σ of step 0, σ of the last step,
    count) and returns `count` σ, ascending, from the first to the last. They lie between steps, so the network gets
    fractional timesteps."""
    takes_weights: bool = False
    """A fractional spacing whose function takes weights as well: "spline25:3,2,1"."""


SPACINGS = Registry[Spacing]("spacing of steps", "adm.spacings")
SPACINGS.register("ddim", Spacing(path="adm.respacing:ddim_stride"))
SPACINGS.register("karras", Spacing(path="adm.respacing:karras_sigmas", is_fractional=True))
SPACINGS.register("spline", Spacing(path="adm.respacing:spline_sigmas", is_fractional=True, takes_weights=True))


def spacing_of(steps: object) -> str | None:
    """The spacing named by a value of `steps`: "ddim" for "ddim25"; None for a count or counts."""
    text = steps.strip() if isinstance(steps, str) else ""
    return max((name for name in SPACINGS if text.startswith(name)), key=len, default=None) if text else None


@dataclass(frozen=True, kw_only=True)
class Mean(Piece):
    """What the network predicts. The class has `x0` and `target`: see adm.diffusion.means."""

    is_posterior_mean: bool = False
    """The prediction is itself the mean of p(x_{t−1} | x_t), so x_0 is not needed for it."""
    is_preconditioned: bool = False
    """It also chooses what the network receives, by `inputs`."""
    options: tuple[str, ...] = ()
    """The `MEAN_OPTIONS` that it takes. Others are refused unless they have their defaults."""
    needs_signal: bool = False
    """x_0 follows from the prediction only where x_t has a trace of it: not with a zero terminal SNR."""


MEAN_OPTIONS = ("sigma_data",)
"""Options of the config section `diffusion` that only some means take."""
MEANS = Registry[Mean]("mean", "adm.means")
MEANS.register("epsilon", Mean(path="adm.diffusion.means:Epsilon", needs_signal=True))
MEANS.register("x0", Mean(path="adm.diffusion.means:X0"))
MEANS.register("v", Mean(path="adm.diffusion.means:V"))
MEANS.register(
    "edm",
    Mean(path="adm.diffusion.means:EDM", is_preconditioned=True, options=("sigma_data",)),
)
MEANS.register("previous", Mean(path="adm.diffusion.means:Previous", is_posterior_mean=True))


@dataclass(frozen=True, kw_only=True)
class Variance(Piece):
    """The variance of p(x_{t−1} | x_t). The function takes (process, v, x, t), and returns Σ and log Σ.

    Where results depend only on whether the variance is learned, adm.effective replaces it by the first one that is.
    """

    is_learned: bool
    """The network has a second half of output channels, v. A fixed variance receives v = None."""


VARIANCES = Registry[Variance]("variance", "adm.variances")
VARIANCES.register("fixed_small", Variance(path="adm.diffusion.variances:fixed_small", is_learned=False))
VARIANCES.register("fixed_large", Variance(path="adm.diffusion.variances:fixed_large", is_learned=False))
VARIANCES.register("learned_range", Variance(path="adm.diffusion.variances:learned_range", is_learned=True))
VARIANCES.register("learned", Variance(path="adm.diffusion.variances:learned", is_learned=True))


@dataclass(frozen=True, kw_only=True)
class Loss(Piece):
    """A training objective. The function takes (process, model, x0, t, noise, model_kwargs), and returns its terms per
    image, (N,), including "loss"."""

    options: tuple[str, ...] = ()
    """The `LOSS_OPTIONS` that it takes, as keywords. Others are refused unless they have their defaults."""
    is_bound: bool = False
    """It is L_vlb alone, whatever the variance."""
    fixed_variance_matters: bool = True
    """Whether the loss depends on which fixed variance is used."""
    like_with_fixed_variance: str | None = None
    """The loss that is equal to this one if the variance is fixed."""


LOSS_OPTIONS = ("min_snr_gamma",)
"""Options of the config section `diffusion` that only some losses take."""
LOSSES = Registry[Loss]("loss", "adm.losses")
LOSSES.register("mse", Loss(path="adm.diffusion.objectives:mse", fixed_variance_matters=False))
LOSSES.register(
    "rescaled_mse",
    Loss(path="adm.diffusion.objectives:rescaled_mse", fixed_variance_matters=False, like_with_fixed_variance="mse"),
)
LOSSES.register(
    "min_snr",
    Loss(path="adm.diffusion.objectives:min_snr", options=("min_snr_gamma",), fixed_variance_matters=False),
)
LOSSES.register("kl", Loss(path="adm.diffusion.objectives:kl", is_bound=True))
LOSSES.register("rescaled_kl", Loss(path="adm.diffusion.objectives:rescaled_kl", is_bound=True))


# -- sampling ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sampler(Piece):
    """A sampler, from x_T to x_0. The function is a loop: see adm.diffusion.loops."""

    options: tuple[str, ...] = ("clip_denoised",)
    """The `SAMPLER_OPTIONS` that it takes, as keywords. Others are refused unless they have their defaults."""
    is_guided: bool = True
    """It takes cond_fn, the gradient of a classifier."""
    adds_noise: bool = True
    """Steps add noise; a sampler with the option eta adds none at η = 0."""
    uses_variance: bool = True
    """The images depend on the diffusion model's variance."""
    evaluations_per_step: int = 1
    """Evaluations of the network per step."""
    last_step_evaluations: int | None = None
    """Evaluations in the last step, if different."""
    least_steps: int = 1
    needs_signal: bool = False
    """Its steps are measured in σ/α or in λ at both ends: not from pure noise, as with a zero terminal SNR."""
    takes_fractional_timesteps: bool = False
    """It evaluates the network between the steps, at timesteps that are not whole numbers."""
    reverse: str | None = None
    """ "module:attribute" of the loop from x_0 to x_T that this one inverts at η = 0, such as ddim_reverse_loop."""

    def evaluations(self, num_steps: int) -> int:
        """Network evaluations per image."""
        last = self.evaluations_per_step if self.last_step_evaluations is None else self.last_step_evaluations
        return self.evaluations_per_step * (num_steps - 1) + last

    def is_deterministic(self, eta: float) -> bool:
        """Whether x_T determines the image."""
        return not self.adds_noise or ("eta" in self.options and eta == 0)


SAMPLER_OPTIONS = ("eta", "guidance_at", "temperature", "temperature_scales", "clip_denoised")
"""Options of the config section `sample` that only some samplers take."""
SAMPLERS = Registry[Sampler]("sampler", "adm.samplers")
SAMPLERS.register(
    "ddpm",
    Sampler(
        path="adm.diffusion.loops:sample_loop",
        options=("guidance_at", "temperature", "temperature_scales", "clip_denoised"),
    ),
)
SAMPLERS.register(
    "ddim",
    Sampler(
        path="adm.diffusion.loops:ddim_loop",
        options=("eta", "temperature", "temperature_scales", "clip_denoised"),
        uses_variance=False,
        reverse="adm.diffusion.loops:ddim_reverse_loop",
    ),
)
_solver = Sampler(path="", adds_noise=False, uses_variance=False)
SAMPLERS.register("dpmpp_2m", replace(_solver, path="adm.diffusion.dpm_solver:dpmpp_2m_loop"))
SAMPLERS.register(
    "dpmpp_2s",
    replace(
        _solver,
        path="adm.diffusion.dpm_solver:dpmpp_2s_loop",
        evaluations_per_step=2,
        last_step_evaluations=1,
        needs_signal=True,
        takes_fractional_timesteps=True,
    ),
)
SAMPLERS.register("dpmpp_sde_2m", replace(_solver, path="adm.diffusion.dpm_solver:dpmpp_sde_2m_loop", adds_noise=True))
SAMPLERS.register("unipc", replace(_solver, path="adm.diffusion.unipc:unipc_2_loop"))
SAMPLERS.register("unipc_3", replace(_solver, path="adm.diffusion.unipc:unipc_3_loop"))
SAMPLERS.register("edm_euler", replace(_solver, path="adm.diffusion.edm:edm_euler_loop"))
SAMPLERS.register(
    "edm_heun",
    replace(
        _solver,
        path="adm.diffusion.edm:edm_heun_loop",
        evaluations_per_step=2,
        last_step_evaluations=1,
        needs_signal=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class GuidancePlace(Piece):
    """The point at which the classifier's gradient is taken. The function is like those in adm.diffusion.guidance."""


GUIDANCE_PLACES = Registry[GuidancePlace]("place of guidance", "adm.guidance_places")
GUIDANCE_PLACES.register("x_t", GuidancePlace(path="adm.diffusion.guidance:gradient_at_x_t"))
GUIDANCE_PLACES.register("mean", GuidancePlace(path="adm.diffusion.guidance:gradient_at_mean"))


class Guide(Enum):
    """What images are guided by."""

    CLASSIFIER = "a classifier"
    """The gradient of its log p(y | x_t)."""
    UNLABELLED = "a network without labels"
    """The model itself, given no label; or an unconditional one. The model is guided away from it."""
    WEAK = "a weaker model"
    """One of the same images and labels, from which the model is guided away."""


@dataclass(frozen=True, kw_only=True)
class Guidance(Piece):
    """A kind of guidance. By a classifier, the function takes (classifier, scale), and returns a cond_fn. Otherwise it
    takes (pair, scale), where pair(x, t, **model_kwargs) returns the outputs of the model and of its guide, and
    returns the guided model. See adm.diffusion.guidance."""

    guide: Guide
    neutral_scale: float
    """The sample.guidance_scale at which images are the model's own."""


GUIDANCES = Registry[Guidance]("kind of guidance", "adm.guidances")
GUIDANCES.register(
    "classifier",
    Guidance(path="adm.diffusion.guidance:classifier_gradient", guide=Guide.CLASSIFIER, neutral_scale=0.0),
)
GUIDANCES.register(
    "classifier_free",
    Guidance(path="adm.diffusion.guidance:away_from_guide", guide=Guide.UNLABELLED, neutral_scale=1.0),
)
GUIDANCES.register(
    "autoguidance", Guidance(path="adm.diffusion.guidance:away_from_guide", guide=Guide.WEAK, neutral_scale=1.0)
)


# -- networks and training --------------------------------------------------------------------------------------------


class Role(Enum):
    """What a network is for. The value is the name of the stage that trains it, in the store and in the ledger."""

    DRAWS = "train"
    """x_t → ε, and v where the variance is learned."""
    ENLARGES = "train_upsampler"
    """The same, conditioned on a smaller image."""
    CLASSIFIES = "train_classifier"
    """x_t → logits."""

    @property
    def stage(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Network(Piece):
    """A kind of network: a torch module that is constructed from a ModelConfig, keeps it as `config`, and is called as
    model(x, t, y=None, low_res=None)."""

    role: Role
    cost: str
    """ "module:attribute" of a function from a ModelConfig to its NetworkCost that needs no torch. It raises UserError
    for an invalid network."""
    layout: str | None = None
    """ "module:attribute" of a function from a ModelConfig to its blocks, adm.models.layout.Layout; None for a network
    that has no such blocks."""
    unused: tuple[str, ...] = ()
    """Options of ModelConfig that have no effect."""
    takes_fractional_timesteps: bool = True
    """t may lie between whole numbers, as for an embedding by sines; not for a table with a row per timestep."""


NETWORKS = Registry[Network]("kind of network", "adm.networks")
_unet = Network(
    path="adm.models.unet:UNet",
    role=Role.DRAWS,
    cost="adm.compute.network:cost_of_blocks",
    layout="adm.models.layout:layout",
    unused=("pool",),
)
NETWORKS.register("unet", _unet)
NETWORKS.register("super_res", replace(_unet, path="adm.models.super_res:SuperRes", role=Role.ENLARGES))
NETWORKS.register(
    "encoder", replace(_unet, path="adm.models.encoder:Encoder", role=Role.CLASSIFIES, unused=("num_heads_up",))
)


def kinds(role: Role) -> str:
    """The kinds of network with a role, for a message."""
    return ", ".join(name for name, network in NETWORKS.items() if network.role is role)


@dataclass(frozen=True, kw_only=True)
class TimestepSampler(Piece):
    """How the timesteps of a training batch are sampled. The class is constructed from the number of timesteps, and
    implements adm.diffusion.timesteps.TimestepSampler."""

    is_continuous: bool = False
    """Its t lie between the steps: it needs a schedule that has a σ there, and a loss without L_vlb."""


TIMESTEP_SAMPLERS = Registry[TimestepSampler]("timestep sampler", "adm.timestep_samplers")
TIMESTEP_SAMPLERS.register("uniform", TimestepSampler(path="adm.diffusion.timesteps:Uniform"))
TIMESTEP_SAMPLERS.register("log_normal", TimestepSampler(path="adm.diffusion.timesteps:LogNormal", is_continuous=True))
TIMESTEP_SAMPLERS.register("loss_second_moment", TimestepSampler(path="adm.diffusion.timesteps:LossSecondMoment"))


@dataclass(frozen=True, kw_only=True)
class Engine(Piece):
    """An implementation of the optimizer step. The class is constructed from (model, TrainConfig, device, precision,
    micro_batches), and implements adm.training.engines.Engine."""

    unavailable_reason: str | None = None
    """ "module:attribute" of a function of a device type that returns why the engine is unavailable, or None."""
    instead: str | None = None
    """The engine that is used, with a warning, if this one is unavailable; None: that is an error."""
    trouble: str = "it is unavailable here"
    """What is wrong if it is unavailable, for a message."""
    remedy: str = "install what it needs"
    """What the user can do then, for a message."""
    shards_state: bool = False
    """It supports train.zero_stage."""


ENGINES = Registry[Engine]("training engine", "adm.engines")
_deepspeed = Engine(
    path="adm.training.engines.deepspeed_engine:DeepSpeedEngine",
    unavailable_reason="adm.training.engines.deepspeed_engine:unavailable_reason",
    trouble="DeepSpeed's operators cannot be built here",
    remedy="install a C++ compiler and ninja",
    shards_state=True,
)
ENGINES.register("auto", replace(_deepspeed, instead="torch"))
ENGINES.register("deepspeed", _deepspeed)
ENGINES.register("torch", Engine(path="adm.training.engines.torch_engine:TorchEngine"))


# -- pictures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Picture(Piece):
    """A picture of samples, besides their grid. The function takes a StageContext and the path of the picture, and
    returns its metrics."""

    file: str
    caption: str
    metrics: tuple[str, ...] = ()
    is_square: bool = False
    """It shows figures.num_samples² samples instead of figures.num_samples."""
    is_per_class: bool = False
    """It shows figures.num_samples samples of each class that sample.labels lists."""
    shows_reference: bool = False
    """It shows images that the samples are compared with."""
    searches_reference: bool = False
    """It searches for neighbours among figures.num_reference of them."""
    side_by_side: bool = False
    """Reports show those of all arms side by side."""

    def num_shown(self, num_samples: int, num_classes: int = 1) -> int:
        if self.is_per_class:
            return num_samples * num_classes
        return num_samples**2 if self.is_square else num_samples


PICTURES = Registry[Picture]("picture", "adm.pictures")
PICTURES.register(
    "neighbours",
    Picture(
        path="adm.studies.figures:neighbours",
        file="neighbours.png",
        caption="samples, and below each its nearest training images",
        metrics=("nearest_distance_ratio",),
        shows_reference=True,
        searches_reference=True,
    ),
)
PICTURES.register(
    "diversity",
    Picture(
        path="adm.studies.figures:diversity",
        file="diversity.png",
        caption="samples, and random training images to their right",
        is_square=True,
        shows_reference=True,
    ),
)
PICTURES.register(
    "column",
    Picture(
        path="adm.studies.figures:column",
        file="column.png",
        caption="the same samples, one noise seed per row",
        side_by_side=True,
    ),
)
PICTURES.register(
    "classes",
    Picture(
        path="adm.studies.figures:classes",
        file="classes.png",
        caption="one class per row, in the order of sample.labels",
        is_per_class=True,
    ),
)


# -- what a stage needs to know about the names in its config ---------------------------------------------------------


def versions(*sections: BaseModel, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """For the key of a stage that reads these sections: {"versions": {"sampler heun": 2}}, with the names whose pieces
    have a version above 1, or {}. `leave_out` lists options that change no result."""
    changed = {
        f"{option} {name}": piece.version
        for option, name, piece in _named(sections)
        if piece.version > 1 and option not in leave_out
    }
    return {"versions": changed} if changed else {}


def imports(*sections: BaseModel) -> tuple[str, ...]:
    """The import paths of the pieces that these sections name."""
    return tuple(dict.fromkeys(piece.path for _, _, piece in _named(sections)))


def _named(sections: tuple[BaseModel, ...]) -> Iterator[tuple[str, str, Piece]]:
    """(option, name, piece) for every registered name in config sections."""
    for section in sections:
        for option, field in type(section).model_fields.items():
            value = getattr(section, option)
            if (registry := registry_of(annotation_of(field))) is not None:
                yield option, value, registry[value]
            elif get_origin(field.annotation) is tuple and (registry := registry_of(get_args(field.annotation)[0])):
                yield from ((option, name, registry[name]) for name in value)
            elif option == "steps" and (spacing := spacing_of(value)) is not None:
                yield option, spacing, SPACINGS[spacing]
