"""Whether weights fit a network: by their keys and shapes, and by the options that shapes do not determine."""

from __future__ import annotations

from functools import cache

import torch

from adm import presets
from adm.compute import network_cost
from adm.config import ModelConfig
from adm.models import build
from adm.models.layout import Attention, Layer, layout
from adm.registries import NETWORKS
from imaging import weight_files
from imaging.blank import blank
from imaging.weight_files import Shapes

QKV_LAYOUT = {"legacy": "[heads, 3, ch]", "new": "[3, heads, ch]"}


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Key → shape in the network of a config. Allocates no weights."""
    with blank():
        return weight_files.shapes_of(build(config).state_dict())


def shape_differences(actual: Shapes, config: ModelConfig) -> list[str]:
    """One line for every key that is missing, unexpected, or of another shape."""
    return weight_files.shape_differences(actual, expected_shapes(config))


def prefixes_that_fit(actual: Shapes, config: ModelConfig) -> list[str]:
    """The prefixes under which a file has all keys of the network, as in a file of several networks."""
    expected = expected_shapes(config)
    first = next(iter(expected))
    prefixes = [key.removesuffix(first) for key in actual if key.endswith(f".{first}")]
    return [prefix for prefix in prefixes if all(actual.get(f"{prefix}{key}") == expected[key] for key in expected)]


def silent_differences(actual: ModelConfig, config: ModelConfig, origin: str = "the file") -> list[str]:
    """One line for every key whose weights would load, since shapes agree, but compute something else.

    `origin` is where the config `actual` comes from.
    """
    lines = []
    expected = _attention_layers(config)
    for key, layer in _attention_layers(actual).items():
        if key not in expected:
            continue
        if actual.qkv_order != config.qkv_order:
            ours, theirs = (f"{c.qkv_order} {QKV_LAYOUT[c.qkv_order]}" for c in (config, actual))
            lines.append(f"{key}: qkv order {theirs} in {origin}, {ours} in the model")
        if layer.heads != expected[key].heads:
            lines.append(f"{key}: {layer.heads} heads in {origin}, {expected[key].heads} in the model")
    if actual.rescale_skip != config.rescale_skip:
        lines.append(
            f"every residual: rescale_skip {actual.rescale_skip} in {origin}, {config.rescale_skip} in the model"
        )
    return lines


def _attention_layers(config: ModelConfig) -> dict[str, Attention]:
    """Key of the qkv weights → the attention layer they belong to."""
    if NETWORKS[config.kind].layout is None:
        return {}
    plan = layout(config)
    layers: dict[str, Layer] = {f"middle_block.{j}": layer for j, layer in enumerate(plan.middle_block)}
    for part, blocks in (("input_blocks", plan.input_blocks), ("output_blocks", plan.output_blocks)):
        layers |= {f"{part}.{i}.{j}": layer for i, block in enumerate(blocks) for j, layer in enumerate(block)}
    return {f"{key}.qkv.weight": layer for key, layer in layers.items() if isinstance(layer, Attention)}


def fitting_presets(actual: Shapes) -> list[str]:
    """Presets with exactly these keys and shapes."""
    total = sum(torch.Size(shape).numel() for shape in actual.values())
    return [
        name
        for name, (config, parameters) in _presets().items()
        if parameters == total and not shape_differences(actual, config)
    ]


@cache
def _presets() -> dict[str, tuple[ModelConfig, int]]:
    """Preset → its model, and the number of parameters, which rules out most presets without comparing shapes.

    Two-stage presets are left out: both of their models have presets of their own.
    """
    models = {name: presets.load(name) for name in presets.names() if name not in presets.TWO_STAGE}
    return {name: (config.model, network_cost(config.model).parameters) for name, config in models.items()}
