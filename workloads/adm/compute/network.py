"""Forward floating-point operations and parameters of a network, counted from its layout. Imports no torch.

A multiply-add counts as two operations. Convolutions, linear layers and attention's two products are counted;
element-wise work (norms, SiLU, sums, softmax, interpolation) is not. Average pooling, about 1e-5 of the total, is
counted separately.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from adm.config import ModelConfig
from adm.models.layout import SPATIAL_POOL_CHANNELS, Attention, Conv, Layer, Layout, Res, layout
from adm.registries import NETWORKS, Role
from assay.workload import load_attribute


@dataclass(frozen=True)
class NetworkCost:
    """Operations and parameters of a network, or of a part of one."""

    flops: int = 0
    """Operations of the forward pass of one image."""
    parameters: int = 0
    pooling: int = 0
    """Operations of average pooling: three additions and a product for 2×2 pixels."""

    def __add__(self, other: NetworkCost) -> NetworkCost:
        return NetworkCost(self.flops + other.flops, self.parameters + other.parameters, self.pooling + other.pooling)


@lru_cache(maxsize=256)  # a sweep of ten thousand trials has few networks
def network_cost(config: ModelConfig) -> NetworkCost:
    """The forward operations for one image, and the parameters, of the network of `config`.

    Raises UserError for a config that no network can have.
    """
    cost: NetworkCost = load_attribute(NETWORKS[config.kind].cost)(config)
    return cost


def cost_of_blocks(config: ModelConfig) -> NetworkCost:
    """The cost of a network that is built from the blocks of adm.models.layout."""
    plan = layout(config)
    E = plan.embed_channels
    cost = _linear(config.channels, E) + _linear(E, E)
    cost += NetworkCost(parameters=config.num_embeddings * E)
    for block in (*plan.input_blocks, plan.middle_block, *plan.output_blocks):
        cost += sum((_layer(layer, plan) for layer in block), NetworkCost())
    return cost + _head(plan)


def _layer(layer: Layer, plan: Layout) -> NetworkCost:
    pixels = layer.resolution**2
    if isinstance(layer, Conv):
        return _conv(3, layer.in_channels, layer.out_channels, pixels)
    if isinstance(layer, Res):
        c_in, c_out = layer.in_channels, layer.out_channels
        modulation = 2 if plan.config.norm == "adagn" else 1
        cost = _norm(c_in) + _conv(3, c_in, c_out, pixels) + _linear(plan.embed_channels, modulation * c_out)
        cost += _norm(c_out) + _conv(3, c_out, c_out, pixels)
        if layer.resample == "down":  # the branch and the skip
            cost += _pooling(c_in, pixels) + _pooling(c_in, pixels)
        return cost if c_in == c_out else cost + _conv(1, c_in, c_out, pixels)
    if isinstance(layer, Attention):
        ch = layer.channels
        qkv, projection = _conv(1, ch, 3 * ch, pixels), _conv(1, ch, ch, pixels)
        return _norm(ch) + qkv + _attention(ch, queries=pixels, keys=pixels) + projection
    if layer.conv:
        return _conv(3, layer.channels, layer.channels, pixels)
    return _pooling(layer.channels, pixels) if layer.direction == "down" else NetworkCost()


def _head(plan: Layout) -> NetworkCost:
    config, ch = plan.config, plan.head_channels
    if config.role is not Role.CLASSIFIES:
        return _norm(ch) + _conv(3, ch, config.out_channels, plan.head_resolution**2)
    classes, hidden = config.out_channels, SPATIAL_POOL_CHANNELS
    if config.pool == "attention":
        tokens = plan.head_resolution**2 + 1
        position = NetworkCost(parameters=ch * tokens)
        pooled = _conv(1, ch, 3 * ch, tokens) + _attention(ch, queries=1, keys=tokens)
        return _norm(ch) + position + pooled + _linear(ch, classes)
    if config.pool == "adaptive":
        return _norm(ch) + _linear(ch, classes)
    norm = _norm(hidden) if config.pool == "spatial_v2" else NetworkCost()
    return _linear(plan.head_features, hidden) + norm + _linear(hidden, classes)


def _conv(kernel: int, c_in: int, c_out: int, pixels: int) -> NetworkCost:
    weights = kernel * kernel * c_in * c_out
    return NetworkCost(flops=2 * weights * pixels, parameters=weights + c_out)


def _linear(c_in: int, c_out: int) -> NetworkCost:
    return _conv(1, c_in, c_out, 1)


def _pooling(channels: int, pixels: int) -> NetworkCost:
    return NetworkCost(pooling=4 * channels * pixels)


def _norm(channels: int) -> NetworkCost:
    return NetworkCost(parameters=2 * channels)


def _attention(channels: int, queries: int, keys: int) -> NetworkCost:
    """The products qᵀk and softmax(qᵀk)·v, for all heads."""
    return NetworkCost(flops=2 * 2 * queries * keys * channels)
