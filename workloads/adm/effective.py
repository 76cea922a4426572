"""The canonical form of a config: options without effect have their defaults, and equivalent spellings become one.

Stages are built from it, so trials that must give equal results share their stages. Imports no torch.
"""

from __future__ import annotations

from typing import TypeVar

from adm.config import Config, DiffusionConfig, ModelConfig, SampleConfig, Steps, TrainConfig
from adm.models.layout import Attention, layout
from adm.registries import LOSS_OPTIONS, LOSSES, NETWORKS, PICTURES, SAMPLERS, VARIANCES, Guide, Role, spacing_of
from adm.respacing import fractional_spacing, section_counts, space_timesteps
from adm.sampling.guides import guided_timesteps, has_null_class, visited
from adm.studies.config import FiguresConfig
from assay.workload.fields import Section

T = TypeVar("T", bound=Section)
GUIDANCE = ("guidance", "guidance_scale", "guidance_at", "guidance_interval", "guide", "guide_checkpoint")
"""The options of SampleConfig that have no effect on images that are not guided."""
PRINTED_RESOLUTIONS: tuple[int, ...] = ModelConfig.model_fields["attention_resolutions"].default


def effective(c: Config) -> Config:
    """The canonical config with the same results as `c`."""
    update: dict[str, object] = {
        "model": _with(_model(c.model), null_class=has_null_class(c)),
        "train": _train(c.train),
        "sample": _sample(c),
        "figures": _figures(c.figures),
    }
    if (classifier := c.classifier) is not None:
        update["classifier"] = _with(classifier, model=_model(classifier.model), train=_train(classifier.train))
    if (up := c.upsampler) is not None:
        steps = _steps(up.diffusion.steps, up.steps)
        update["upsampler"] = _with(up, model=_model(up.model), train=_train(up.train), steps=steps)
    return _with(c, **update)


def trained_process(process: DiffusionConfig) -> DiffusionConfig:
    """The process as far as it affects training. With a fixed variance, L_simple depends neither on which one it is nor
    on the factor of L_vlb."""
    loss = LOSSES[process.loss]
    if VARIANCES[process.variance].is_learned:
        return process
    if not loss.fixed_variance_matters:
        process = _with(process, variance=_first_like(process.variance))
    return _with(process, loss=loss.like_with_fixed_variance or process.loss)


def sampled_process(process: DiffusionConfig, sampler: str, is_loaded: bool) -> DiffusionConfig:
    """The process as far as it affects sampling. Some samplers, such as DDIM, have their own variance; weights from
    a file do not depend on the loss."""
    if is_loaded:
        defaults = DiffusionConfig()
        process = _with(process, loss=defaults.loss, **{name: getattr(defaults, name) for name in LOSS_OPTIONS})
    if not SAMPLERS[sampler].uses_variance:
        process = _with(process, variance=_first_like(process.variance))
    return process


def _first_like(variance: str) -> str:
    """The first registered variance that is learned, or fixed, as this one is: it represents them all."""
    return next(name for name in VARIANCES if VARIANCES[name].is_learned == VARIANCES[variance].is_learned)


def reached_resolutions(model: ModelConfig) -> tuple[int, ...]:
    """Side lengths in pixels of the network's feature maps, largest first."""
    return tuple(model.image_size >> level for level in range(len(model.channel_mult)))


def _model(model: ModelConfig) -> ModelConfig:
    network = NETWORKS[model.kind]
    model = _with(model, **{name: ModelConfig.model_fields[name].default for name in network.unused})
    if network.layout is None:
        return model
    model = _with(model, attention_resolutions=_attention_resolutions(model))
    if model.num_heads_up == model.num_heads or model.head_channels is not None:
        model = _with(model, num_heads_up=None)
    if len(model.channel_mult) == 1:  # nothing is resampled
        model = _with(model, updown="residual")
    return _with(model, qkv_order="legacy") if _has_one_head(model) else model


def _attention_resolutions(model: ModelConfig) -> tuple[int, ...]:
    """The attention resolutions that the network reaches; or all of the tables', where those have the same effect: the
    upsampler of table 13 never reaches 8 pixels."""
    reached = reached_resolutions(model)
    effective_sizes, printed_sizes = (
        tuple(size for size in reached if size in sizes) for sizes in (model.attention_resolutions, PRINTED_RESOLUTIONS)
    )
    return PRINTED_RESOLUTIONS if effective_sizes == printed_sizes else effective_sizes


def _has_one_head(model: ModelConfig) -> bool:
    """Whether all attention has one head: then [heads, 3, ch] and [3, heads, ch] are the same."""
    network = layout(model)
    blocks = (*network.input_blocks, network.middle_block, *network.output_blocks)
    return all(layer.heads == 1 for block in blocks for layer in block if isinstance(layer, Attention))


def _train(train: TrainConfig) -> TrainConfig:
    if train.weight_decay == 0:
        train = _with(train, optimizer="adamw")
    if train.precision == "fp32":
        train = _with(train, compress_gradients=False)
    first, *others = train.ema_rates
    return _with(train, ema_rates=(first, *sorted(others, reverse=True)), ema_lengths=tuple(sorted(train.ema_lengths)))


def _sample(c: Config) -> SampleConfig:
    sample = c.sample
    if sample.ema_rate == c.train.ema_rates[0]:
        sample = _with(sample, ema_rate=None)
    if sample.temperature == 1.0:  # scaling by 1 changes nothing
        sample = _with(sample, temperature_scales="noise")
    if sample.guided_by is None:  # the guide is evaluated nowhere
        sample = _with(sample, **{name: SampleConfig.model_fields[name].default for name in GUIDANCE})
    if c.model.num_classes is None and sample.guided_by is not Guide.CLASSIFIER:  # labels are not used
        sample = _with(sample, labels="balanced")
    if c.model.role is not Role.DRAWS:
        return sample
    if guided_timesteps(c.diffusion, sample) == visited(c.diffusion, sample.steps):
        sample = _with(sample, guidance_interval=None)
    return _with(sample, steps=_steps(c.diffusion.steps, sample.spaced_steps), density=None)


def _steps(num_timesteps: int, steps: Steps) -> Steps:
    """The simplest spelling of the same steps: a count, else counts per section, else a spacing and a count."""
    if (fractional := fractional_spacing(num_timesteps, steps)) is not None:
        return fractional.spelled
    kept = space_timesteps(num_timesteps, steps)
    if kept == space_timesteps(num_timesteps, len(kept)):
        return len(kept)
    counts = section_counts(num_timesteps, steps)
    return f"{spacing_of(steps)}{len(kept)}" if counts is None else tuple(counts)


def _figures(figures: FiguresConfig) -> FiguresConfig:
    figures = _with(figures, draw=tuple(name for name in PICTURES if name in figures.draw))
    if any(PICTURES[name].searches_reference for name in figures.draw):
        return figures
    default = FiguresConfig()
    return _with(figures, num_neighbours=default.num_neighbours, num_reference=default.num_reference)


def _with(section: T, **values: object) -> T:
    return section.model_copy(update=values)
