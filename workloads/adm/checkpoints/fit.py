"""Whether weights fit a network: key by key, shape by shape, and in what shapes do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch

from adm import presets
from adm.compute import network_cost
from adm.config import ModelConfig
from adm.models import build
from adm.models.layout import Attention, Layer, layout
from adm.registries import NETWORKS

Shapes = Mapping[str, tuple[int, ...]]
QKV_LAYOUT = {"legacy": "[heads, 3, ch]", "new": "[3, heads, ch]"}


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Key → shape of the network of a config. Nothing is allocated."""
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in build(config).state_dict().items()}


def shape_differences(found: Shapes, config: ModelConfig) -> list[str]:
    """One line for every key that is missing, unexpected, or of another shape."""
    expected = expected_shapes(config)
    return [
        *(f"{key}: missing, should be {expected[key]}" for key in expected if key not in found),
        *(f"{key}: not in the model, {found[key]} in the file" for key in found if key not in expected),
        *(
            f"{key}: {found[key]} in the file, {expected[key]} in the model"
            for key in expected
            if key in found and found[key] != expected[key]
        ),
    ]


def prefixes_that_fit(found: Shapes, config: ModelConfig) -> list[str]:
    """What stands before the network's keys, where a file has all of them among others: as one of several networks."""
    expected = expected_shapes(config)
    first = next(iter(expected))
    prefixes = [key.removesuffix(first) for key in found if key.endswith(f".{first}")]
    return [prefix for prefix in prefixes if all(found.get(f"{prefix}{key}") == expected[key] for key in expected)]


def silent_differences(found: ModelConfig, config: ModelConfig, origin: str = "the file") -> list[str]:
    """One line for every key whose weights would load, since shapes agree, and compute something else.

    `origin` is what says that the weights are of `found`.
    """
    lines = []
    wanted = _attention_layers(config)
    for key, layer in _attention_layers(found).items():
        if key not in wanted:
            continue
        if found.qkv_order != config.qkv_order:
            ours, theirs = (f"{c.qkv_order} {QKV_LAYOUT[c.qkv_order]}" for c in (config, found))
            lines.append(f"{key}: qkv order {theirs} in {origin}, {ours} in the model")
        if layer.heads != wanted[key].heads:
            lines.append(f"{key}: {layer.heads} heads in {origin}, {wanted[key].heads} in the model")
    if found.rescale_skip != config.rescale_skip:
        lines.append(
            f"every residual: rescale_skip {found.rescale_skip} in {origin}, {config.rescale_skip} in the model"
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


def fitting_presets(found: Shapes) -> list[str]:
    """Presets with exactly these keys and shapes."""
    total = sum(torch.Size(shape).numel() for shape in found.values())
    return [
        name
        for name, (config, parameters) in _presets().items()
        if parameters == total and not shape_differences(found, config)
    ]


@cache
def _presets() -> dict[str, tuple[ModelConfig, int]]:
    """Every model a preset holds, with its number of parameters: most presets are ruled out by that alone.

    Both models of a preset of two stages have presets of their own.
    """
    models = {name: presets.load(name) for name in presets.names() if name not in presets.TWO_STAGE}
    return {name: (config.model, network_cost(config.model).parameters) for name, config in models.items()}
