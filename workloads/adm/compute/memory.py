"""Memory that a network needs on its device, counted from its layout like its operations. Imports no torch.

A training holds its weights, their gradients, Adam's two moments and the averages, all in 32 bits, whatever the batch;
and, for every image of a micro-batch, the tensors that autograd keeps for the backward pass. Which those are follows
from the operations of adm.models: a convolution keeps its input, GroupNorm its input, SiLU its input, softmax its
output. With activation checkpointing, residual blocks and attention keep only their input, and the rest of one block at
a time is computed again.

Legend: counts are of elements per image; R is a layer's side length in pixels, C channels, L = R² pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from adm.compute.network import network_cost
from adm.config import Config, EvaluateConfig, ModelConfig, TrainConfig
from adm.models.layout import (
    CPU_FUSED_ATTENTION_PIXELS,
    SPATIAL_POOL_CHANNELS,
    Attention,
    Conv,
    Layer,
    Layout,
    Res,
    channels,
    layout,
)
from adm.registries import NETWORKS, Guide, Role
from assay.workload import Memory, Stage

FP32 = 4
"""Bytes of an element in 32 bits."""
ADAM = 2 * FP32
"""Bytes per parameter of Adam's moments m and v."""
LOSS_IMAGES = {Role.DRAWS: 24, Role.ENLARGES: 27, Role.CLASSIFIES: 3}
"""Tensors of an image's size that the loss and its bound keep, with x_t and the noise."""


@dataclass(frozen=True)
class Arithmetic:
    """How a network computes, as far as that decides what is kept."""

    is_half: bool = True
    """Whether autocast computes in 16 bits: fp16 or bf16."""
    on_gpu: bool = True

    @property
    def width(self) -> int:
        """Bytes of an element of a feature map."""
        return 2 if self.is_half else FP32


def arithmetic(precision: str) -> Arithmetic:
    """That of a stage on a GPU. "auto" is one of the formats in 16 bits there."""
    return Arithmetic(is_half=precision != "fp32")


def has_layout(config: ModelConfig) -> bool:
    """Whether the network is made of blocks that can be walked; of others, the memory is unknown."""
    return NETWORKS[config.kind].layout is not None


def training_memory(model: ModelConfig, train: TrainConfig, section: str, network: str) -> Memory | None:
    """What a worker of a training needs; `section` and `network` are the paths of its TrainConfig and ModelConfig. None
    for a kind of network without a layout."""
    if not has_layout(model):
        return None
    how = arithmetic(train.precision)
    parameters = network_cost(model).parameters
    gradients, moments = FP32 * parameters, ADAM * parameters
    averages = FP32 * parameters * (len(train.ema_rates) + len(train.ema_lengths))
    fixed, divided = FP32 * parameters + averages, 0
    if train.zero_stage:  # DeepSpeed also keeps each worker's part of the weights apart
        divided += moments + FP32 * parameters
    else:
        fixed += moments
    if train.zero_stage == 2:
        divided += gradients
    else:
        fixed += gradients
    if train.compress_gradients and how.is_half:  # until a step's last is sent
        fixed += how.width * parameters
    return Memory(
        fixed=fixed,
        divided=divided,
        moments=step_moments(model, how),
        items=train.batch_size,
        at_a_time=train.micro_batch,
        setting=f"{section}.micro_batch",
        remedies=() if model.activation_checkpointing else (f"{network}.activation_checkpointing true",),
    )


def sampling_memory(c: Config, guide: ModelConfig | None = None) -> Memory | None:
    """What an actor that draws images needs: the networks, and the largest pass through one of them. `guide` is the
    network that the model is guided away from; without it, a model without labels is the same one, in the same pass."""
    models = [c.model, *([] if c.upsampler is None else [c.upsampler.model]), *([] if guide is None else [guide])]
    classifier = None if c.guiding_classifier is None else c.guiding_classifier.model
    networks = [*models, *([] if classifier is None else [classifier])]
    if not all(map(has_layout, networks)):
        return None
    how = arithmetic(c.sample.precision)
    held = sum(FP32 * network_cost(model).parameters + weight_copies(model, how) for model in networks)
    passes = [forward_bytes(model, how) for model in models]
    if c.sample.guided_by is Guide.UNLABELLED and guide is None:
        passes[0] *= 2
    if classifier is not None:
        passes.append(step_moments(classifier, how)[1][1])
    return Memory(fixed=held, moments=((0, max(passes)),), at_a_time=c.sample.batch_size, setting="sample.batch_size")


def of_classifier_features(evaluate: EvaluateConfig, network: Mapping[str, Stage]) -> tuple[int, int] | None:
    """(bytes held, bytes per image at a time) of the extractor "classifier", which computes in 32 bits. None for a kind
    of network without a layout."""
    model = ModelConfig(**network["classifier"].config["model"])
    if not has_layout(model):
        return None
    return FP32 * network_cost(model).parameters, forward_bytes(model, Arithmetic(is_half=False))


def weight_copies(config: ModelConfig, how: Arithmetic) -> int:
    """Bytes of the 16-bit copies of the weights, which autocast makes once a pass."""
    return how.width * network_cost(config).parameters if how.is_half else 0


@lru_cache(maxsize=256)
def step_moments(config: ModelConfig, how: Arithmetic) -> tuple[tuple[int, int], tuple[int, int]]:
    """(bytes, bytes per image) at the peaks of a training step's forward and backward passes: what autograd keeps, and
    what the layer at work needs besides. The backward pass frees what the last layer kept first, so in both passes a
    layer is at work beside what all layers before it keep."""
    plan, is_again = layout(config), config.activation_checkpointing
    # Gradients of concatenated inputs, parts of which wait until the backward pass reaches the input blocks.
    waiting = sum(_kept(block[0], plan, how)[0] for block in plan.output_blocks)
    kept = forward = backward = weight_gradient = 0
    for number, block in enumerate((*plan.input_blocks, plan.middle_block, *plan.output_blocks)):
        if number > len(plan.input_blocks):
            waiting -= _kept(block[0], plan, how)[0]
        for layer in block:
            own, inner = _kept(layer, plan, how)
            forward = max(forward, kept + _working(layer, plan, how))
            at_layer = kept + own + inner + _in_flight(layer, plan, how) + waiting
            if at_layer > backward:
                backward, weight_gradient = at_layer, _weight_gradient(layer)
            kept += own if is_again and isinstance(layer, Res | Attention) else own + inner
    head = _head_bytes(plan, how) + LOSS_IMAGES[config.role] * FP32 * config.in_channels * config.image_size**2
    copies = weight_copies(config, how)
    # Blocks that are computed again cast their weights again: the forward pass's copies are free by then.
    beside = weight_gradient + (0 if is_again else copies)
    return (copies, max(forward, kept)), (beside, max(backward, kept + head))


@lru_cache(maxsize=256)
def forward_bytes(config: ModelConfig, how: Arithmetic) -> int:
    """Bytes per image at the peak of a pass without gradients: the feature maps that wait to be concatenated, and the
    layer that is being computed."""
    plan = layout(config)
    waiting = [how.width * channels(block) * block[-1].resolution ** 2 for block in plan.input_blocks]
    total = sum(waiting) if plan.output_blocks else 0
    peak = 0
    for block in (*plan.input_blocks, plan.middle_block):
        peak = max(peak, total + max(_working(layer, plan, how) for layer in block))
    for block in plan.output_blocks:
        peak = max(peak, total + max(_working(layer, plan, how) for layer in block))
        total -= waiting.pop()
    head = 3 * FP32 * plan.head_channels * plan.head_resolution**2
    return max(peak, head)


def _kept(layer: Layer, plan: Layout, how: Arithmetic) -> tuple[int, int]:
    """Bytes that a layer keeps for its backward pass: of its input, and of what it computes."""
    w, pixels = how.width, layer.resolution**2
    if isinstance(layer, Conv):
        return w * layer.in_channels * pixels, 0
    if isinstance(layer, Res):
        return _kept_by_block(layer, plan, how)
    if isinstance(layer, Attention):
        return w * layer.channels * pixels, _kept_by_attention(layer, plan, how)
    if layer.direction == "down":
        return 4 * w * layer.channels * pixels, 0
    return (w * layer.channels * pixels if layer.conv else 0), 0


def _kept_by_block(layer: Res, plan: Layout, how: Arithmetic) -> tuple[int, int]:
    w, config = how.width, plan.config
    outputs = layer.out_channels * layer.resolution**2
    resampled = layer.in_channels * layer.resolution**2
    inputs = int(resampled * {"down": 4, "up": 0.25, None: 1}[layer.resample])
    inner = _norm_silu(inputs, config, how) + w * resampled  # the first convolution's input
    if layer.resample == "down":
        inner += w * inputs  # pooling keeps its input
    inner += w * outputs  # the second norm's input
    inner += _norm_silu(outputs, config, how, is_modulated=config.norm == "adagn") + w * outputs
    if config.implementation == "naive" and how.on_gpu and layer.in_channels != layer.out_channels:
        inner += (FP32 - how.width) * inputs  # the skip connection's convolution keeps the input itself
    if config.dropout > 0:
        inner += outputs * (1 if how.on_gpu else w)  # its mask
    inner += w * (plan.embed_channels + 3 * layer.out_channels)  # the projection of the embedding
    return w * inputs, inner


def _norm_silu(elements: int, config: ModelConfig, how: Arithmetic, is_modulated: bool = False) -> int:
    """What SiLU(GroupNorm(x)) keeps besides x and its output: nothing in one kernel, which computes it again."""
    if how.on_gpu and config.implementation == "optimized":
        return 0
    return elements * (how.width * (2 if is_modulated else 1) + _float_copy(how))


def _float_copy(how: Arithmetic) -> int:
    """Bytes per element by which the copy in 32 bits that GroupNorm keeps on a GPU exceeds its 16-bit input."""
    return FP32 - how.width if how.on_gpu else 0


def _kept_by_attention(layer: Attention, plan: Layout, how: Arithmetic) -> int:
    w, pixels = how.width, layer.resolution**2
    size = layer.channels * pixels
    kept = (w + _float_copy(how)) * size + w * size  # the norm's output, and the last projection's input
    if _is_fused(layer, plan, how):
        return kept + 4 * w * size + FP32 * layer.heads * pixels  # q, k, v, the output, and its log-sum-exps
    # Scaled q and k; and v: a view of all of q, k and v in the legacy order, else a copy.
    kept += w * size * (5 if plan.config.qkv_order == "legacy" else 3)
    return kept + _products(layer, plan, how) * (FP32 + _softmax_copy(how))  # the softmax


def _products(layer: Layer, plan: Layout, how: Arithmetic) -> int:
    """Elements of q·k for all heads and pairs of pixels, which fused attention never holds at once."""
    if not isinstance(layer, Attention) or _is_fused(layer, plan, how):
        return 0
    return layer.heads * layer.resolution**4


def _is_fused(layer: Attention, plan: Layout, how: Arithmetic) -> bool:
    if plan.config.implementation == "naive":
        return False
    return how.on_gpu or layer.resolution**2 >= CPU_FUSED_ATTENTION_PIXELS[how.width]


def _softmax_copy(how: Arithmetic) -> int:
    """Bytes per element of q·k of the softmax's copy in 16 bits, for the product with v."""
    return how.width if how.is_half else 0


def _in_flight(layer: Layer, plan: Layout, how: Arithmetic) -> int:
    """Bytes of the gradients while a layer is differentiated: of its feature maps, or of one while the softmax is, with
    those in 32 bits of its output and input. Ours transposes the former, which costs a copy; that in 16 bits is free by
    then. Fused attention on a CPU has those of q, k and v three times: contiguous, each as it was, and
    joined."""
    size = how.width * _size(layer)
    if isinstance(layer, Attention) and not how.on_gpu and _is_fused(layer, plan, how):
        return 9 * size
    softmax = FP32 * 3 - _softmax_copy(how)
    return max(3 * size, size + softmax * _products(layer, plan, how))


def _weight_gradient(layer: Layer) -> int:
    """Bytes of the gradient of a layer's largest weight, which is apart from the sum until it is added to it."""
    if isinstance(layer, Res):
        return FP32 * 9 * layer.out_channels * max(layer.in_channels, layer.out_channels)
    if isinstance(layer, Attention):
        return FP32 * 3 * layer.channels**2
    return 0


def _head_bytes(plan: Layout, how: Arithmetic) -> int:
    """The head, which computes in 32 bits: what it keeps, and its gradients."""
    config, ch, pixels = plan.config, plan.head_channels, plan.head_resolution**2
    norm = 1 if how.on_gpu and config.implementation == "optimized" and config.role is not Role.CLASSIFIES else 2
    if config.role is not Role.CLASSIFIES:
        return FP32 * pixels * ((norm + 1) * ch + 2 * ch)
    if config.pool == "attention":
        return FP32 * ch * ((norm + 1) * pixels + 6 * (pixels + 1))
    if config.pool == "adaptive":
        return FP32 * ch * pixels * (norm + 2)
    return FP32 * (plan.head_features + 4 * SPATIAL_POOL_CHANNELS)


def _size(layer: Layer) -> int:
    """Elements of the larger of a layer's input and output."""
    if isinstance(layer, Conv | Res):
        side = layer.resolution * (2 if isinstance(layer, Res) and layer.resample == "down" else 1)
        return max(layer.in_channels * side**2, layer.out_channels * layer.resolution**2)
    return layer.channels * layer.resolution**2


def _working(layer: Layer, plan: Layout, how: Arithmetic) -> int:
    """Bytes that are alive while a layer is computed without gradients: its input, what it is at, and its output."""
    size = how.width * _size(layer)
    if not isinstance(layer, Attention):
        return 4 * size
    if not how.on_gpu and _is_fused(layer, plan, how):
        return 10 * size  # with contiguous q, k and v
    return 8 * size + (2 * FP32 + _softmax_copy(how)) * _products(layer, plan, how)
