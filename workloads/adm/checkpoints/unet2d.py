"""The U-Net as diffusers' UNet2DModel, and back: the same function, key by key, or a refusal that says why not.

The two agree on the timestep embedding (cos, then sin), on GroupNorm in float32 with 32 groups, on residual blocks with
addition or with scale and shift, on up/downsampling by convolutions (`conv`) or by residual blocks (`resnet`), on the
order of skip connections, and on class embeddings added to the timestep's. Channels of a learned variance are channels
like any others. They differ in names, and in that UNet2DModel has q, k and v apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from adm.checkpoints.fit import expected_shapes
from adm.config import ModelConfig
from adm.models.layout import NUM_GROUPS, Attention, Layer, Layout, Res, Resample, layout
from adm.models.unet import UNet
from adm.registries import NETWORKS
from assay.errors import UserError
from assay.text import listed

CLASS = "UNet2DModel"
MIDDLE = "UNetMidBlock2D"
DOWN = {"conv": "DownBlock2D", "residual": "ResnetDownsampleBlock2D"}
UP = {"conv": "UpBlock2D", "residual": "ResnetUpsampleBlock2D"}
ATTENTION_DOWN, ATTENTION_UP = "AttnDownBlock2D", "AttnUpBlock2D"
"""Types of blocks: without attention by `updown`, and with it. The latter have `updown` in an option of the model."""
SAMPLING = {"conv": "conv", "residual": "resnet"}
"""`updown` → downsample_type and upsample_type."""
NORM = {"add": "default", "adagn": "scale_shift"}
"""`norm` → resnet_time_scale_shift."""
FIXED: Mapping[str, tuple[Any, str]] = {
    "center_input_sample": (False, "x goes into the network as it is"),
    "time_embedding_type": ("positional", "frequencies of the timestep are fixed"),
    "flip_sin_to_cos": (True, "cosines come before sines"),
    "freq_shift": (0, "frequencies are 10,000^(−i/half)"),
    "mid_block_type": (MIDDLE, "the middle has two residual blocks"),
    "add_attention": (True, "the middle has attention"),
    "mid_block_scale_factor": (1, "the middle's residuals are not rescaled"),
    "downsample_padding": (1, "convolutions are padded on every side"),
    "act_fn": ("silu", "the activation is SiLU"),
    "norm_num_groups": (NUM_GROUPS, f"GroupNorm has {NUM_GROUPS} groups"),
    "norm_eps": (1e-5, "GroupNorm has ε = 1e-5"),
    "class_embed_type": (None, "classes have a table of embeddings"),
}
"""Option of UNet2DModel → the only value with which it is this network, and what that value means."""
DEFAULTS: Mapping[str, Any] = {
    **{name: value for name, (value, _) in FIXED.items()},
    "sample_size": None,
    "in_channels": 3,
    "out_channels": 3,
    "time_embedding_dim": None,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (224, 448, 672, 896),
    "layers_per_block": 2,
    "downsample_type": "conv",
    "upsample_type": "conv",
    "dropout": 0.0,
    "attention_head_dim": 8,
    "attn_norm_num_groups": None,
    "resnet_time_scale_shift": "default",
    "num_class_embeds": None,
    "num_train_timesteps": None,
}
"""Every option of UNet2DModel, and what it is if a config.json leaves it out."""
PARTS = {
    Res: {
        "in_layers.0": "norm1",
        "in_layers.2": "conv1",
        "emb_layers.1": "time_emb_proj",
        "out_layers.0": "norm2",
        "out_layers.3": "conv2",
        "skip_connection": "conv_shortcut",
    },
    Attention: {"norm": "group_norm", "proj_out": "to_out.0", "qkv": "to_qkv"},
}
"""A layer's parts: ours → theirs. "to_qkv" stands for to_q, to_k and to_v."""
OUTSIDE = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb": "class_embedding",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
"""The parts that belong to no resolution."""
ATTENDED, QKV = ".to_qkv.", (".to_q.", ".to_k.", ".to_v.")


def config_json(config: ModelConfig) -> dict[str, Any]:
    """The options of the UNet2DModel that computes what the network of `config` does.

    Raises UserError with every reason why there is none.
    """
    if reasons := list(_not_written(config)):
        raise UserError("\n  ".join([f"the model is no {CLASS}:", *reasons]))
    plan = layout(config)
    sizes = [config.image_size >> level for level in range(len(config.channel_mult))]
    attends = [size in config.attention_resolutions for size in sizes]
    has_one_head = set(_heads(plan).values()) == {1}
    return {
        "_class_name": CLASS,
        **DEFAULTS,
        "sample_size": config.image_size,
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "down_block_types": [ATTENTION_DOWN if attention else DOWN[config.updown] for attention in attends],
        "up_block_types": [ATTENTION_UP if attention else UP[config.updown] for attention in reversed(attends)],
        "block_out_channels": [int(mult * config.channels) for mult in config.channel_mult],
        "layers_per_block": config.num_res_blocks,
        "downsample_type": SAMPLING[config.updown],
        "upsample_type": SAMPLING[config.updown],
        "dropout": config.dropout,
        "attention_head_dim": None if has_one_head else _head_dims(plan).pop(),
        "attn_norm_num_groups": NUM_GROUPS,  # without it, a middle with scale and shift has attention without a norm
        "resnet_time_scale_shift": NORM[config.norm],
        "num_class_embeds": config.num_classes,
    }


def to_unet2d(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The weights under UNet2DModel's keys, in its shapes."""
    heads = _heads(layout(config))
    theirs: dict[str, Tensor] = {}
    for key, name in _names(config):
        value = weights[key].detach().cpu()
        value = value[:, :, 0] if value.ndim == 3 else value  # 1×1 convolutions are linear there
        if ATTENDED in name:
            parts = _split(value, heads[key], config.qkv_order)
            theirs |= {part: split.contiguous().clone() for part, split in zip(_apart(name), parts, strict=True)}
        else:
            theirs[name] = value.contiguous().clone()
    return theirs


def model_config(text: str) -> ModelConfig:
    """The config of the network that a UNet2DModel with this config.json is. Its qkv order is the default one.

    Raises UserError with every reason why there is none, and FieldError as `layout` does.
    """
    values = {**DEFAULTS, **_read(text)}
    if reasons := list(_not_read(values)):
        raise UserError("\n  ".join([f"the {CLASS} is no network of adm:", *reasons]))
    size, widths = values["sample_size"], values["block_out_channels"]
    size = size if isinstance(size, int) else size[0]
    options = {
        "image_size": size,
        "in_channels": values["in_channels"],
        "out_channels": values["out_channels"],
        "channels": widths[0],
        "num_res_blocks": values["layers_per_block"],
        "channel_mult": tuple(width / widths[0] for width in widths),
        "attention_resolutions": tuple(
            size >> level for level, kind in enumerate(values["down_block_types"]) if kind == ATTENTION_DOWN
        ),
        "head_channels": values["attention_head_dim"],
        "norm": next(ours for ours, theirs in NORM.items() if theirs == values["resnet_time_scale_shift"]),
        "updown": _updown(values).pop(),
        "dropout": float(values["dropout"]),
        "num_classes": values["num_class_embeds"],
    }
    try:
        config = ModelConfig.model_validate(options)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
        raise UserError(f"config.json has values that no network of adm has: {wrong}") from error
    layout(config)
    return config


def from_unet2d(theirs: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The weights of a UNet2DModel under our keys, in float32. Raises UserError naming keys that are absent or left."""
    heads, shapes = _heads(layout(config)), expected_shapes(config)
    names = {key: _apart(name) for key, name in _names(config)}
    wanted = {name for several in names.values() for name in several}
    problems = [f"{name}: missing" for name in sorted(wanted - theirs.keys())]
    problems += [f"{name}: not in the model" for name in sorted(theirs.keys() - wanted)]
    if problems:
        raise UserError("\n  ".join([f"the weights are not those of config.json, in {len(problems)} keys:", *problems]))
    weights = {}
    for key, several in names.items():
        values = [theirs[name].float() for name in several]
        value = values[0] if len(values) == 1 else _joined(values, heads[key], config.qkv_order)
        weights[key] = value[:, :, None] if len(shapes[key]) == 3 else value
    return weights


def _apart(name: str) -> list[str]:
    """Their keys for a tensor of ours: three of q, k and v, else one."""
    return [name.replace(ATTENDED, part) for part in QKV] if ATTENDED in name else [name]


def _names(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Our key and theirs, for every tensor of the network, in our order."""
    plan = layout(config)
    parts = {**OUTSIDE}
    for ours, theirs, layer in _layers(plan):
        if isinstance(layer, Resample):
            parts |= {f"{ours}.op": f"{theirs}.conv", f"{ours}.conv": f"{theirs}.conv"}
        else:
            parts |= {f"{ours}.{part}": f"{theirs}.{name}" for part, name in PARTS[type(layer)].items()}
    for key in expected_shapes(config):
        part, _, kind = key.rpartition(".")
        yield key, f"{parts[part]}.{kind}"


def _layers(plan: Layout) -> Iterator[tuple[str, str, Layer]]:
    """The name of every layer but the first and last convolution, ours and theirs."""
    depth, levels = plan.config.num_res_blocks, len(plan.config.channel_mult)
    for index, block in enumerate(plan.input_blocks[1:]):
        level, place = divmod(index, depth + 1)
        for j, layer in enumerate(block):
            kind = "attentions" if isinstance(layer, Attention) else "resnets"
            theirs = f"{kind}.{place}" if place < depth else "downsamplers.0"
            yield f"input_blocks.{index + 1}.{j}", f"down_blocks.{level}.{theirs}", layer
    for j, (theirs, layer) in enumerate(
        zip(("resnets.0", "attentions.0", "resnets.1"), plan.middle_block, strict=True)
    ):
        yield f"middle_block.{j}", f"mid_block.{theirs}", layer
    for index, block in enumerate(plan.output_blocks):
        level, place = divmod(index, depth + 1)
        for j, layer in enumerate(block):
            resamples = j > 0 and j == len(block) - 1 and place == depth and level < levels - 1
            kind = "attentions" if isinstance(layer, Attention) else "resnets"
            theirs = "upsamplers.0" if resamples else f"{kind}.{place}"
            yield f"output_blocks.{index}.{j}", f"up_blocks.{level}.{theirs}", layer


def _heads(plan: Layout) -> dict[str, int]:
    """Our key of q, k and v → the number of heads."""
    attentions = ((name, layer) for name, _, layer in _layers(plan) if isinstance(layer, Attention))
    return {f"{name}.qkv.{kind}": layer.heads for name, layer in attentions for kind in ("weight", "bias")}


def _head_dims(plan: Layout) -> set[int]:
    return {layer.channels // layer.heads for _, _, layer in _layers(plan) if isinstance(layer, Attention)}


def _split(qkv: Tensor, heads: int, order: str) -> tuple[Tensor, ...]:
    """q, k, v, each (C, …), from (3C, …) in the legacy order [heads, 3, ch] or the new [3, heads, ch]."""
    sizes, dim = ((heads, 3, -1), 1) if order == "legacy" else ((3, heads, -1), 0)
    return tuple(part.flatten(0, 1) for part in qkv.reshape(*sizes, *qkv.shape[1:]).unbind(dim))


def _joined(parts: list[Tensor], heads: int, order: str) -> Tensor:
    """The inverse of `_split`."""
    split = [part.reshape(heads, -1, *part.shape[1:]) for part in parts]
    return torch.stack(split, dim=1 if order == "legacy" else 0).flatten(0, 2)


def _not_written(config: ModelConfig) -> Iterator[str]:
    """Why the network of `config` is no UNet2DModel."""
    if NETWORKS[config.kind].load() is not UNet:
        yield f"kind {config.kind}: only the U-Net that predicts ε is one; an upsampler reads a second image"
        return
    if config.updown not in SAMPLING:
        yield f"updown {config.updown}: its blocks resample with convolutions (conv) or residual blocks (residual)"
    if config.rescale_skip:
        yield "rescale_skip true: its residual connections are not divided by √2"
    if config.channel_mult[0] != 1:
        yield f"channel_mult starts with {config.channel_mult[0]:g}: its embedding is as wide as the first resolution"
    plan = layout(config)
    if set(_heads(plan).values()) != {1} and len(dims := sorted(_head_dims(plan))) > 1:
        yield f"heads of {listed([*map(str, dims)])} channels: its heads are equally wide (attention_head_dim)"


def _not_read(values: Mapping[str, Any]) -> Iterator[str]:
    """Why a UNet2DModel with these options is no network of adm."""
    for name, (allowed, meaning) in FIXED.items():
        if values[name] != allowed:
            yield f"{name} {json.dumps(values[name])}: allowed is {json.dumps(allowed)}, since {meaning}"
    widths, size = values["block_out_channels"], values["sample_size"]
    if values["time_embedding_dim"] not in (None, 4 * widths[0]):
        yield f"time_embedding_dim {values['time_embedding_dim']}: allowed is {4 * widths[0]}, 4 × the first channels"
    if not isinstance(size, int) and not (size and len(set(size)) == 1):
        yield f"sample_size {json.dumps(size)}: allowed is the side of a square, in pixels"
    if values["resnet_time_scale_shift"] not in NORM.values():
        yield f"resnet_time_scale_shift {values['resnet_time_scale_shift']}: allowed are {', '.join(NORM.values())}"
    elif values["attn_norm_num_groups"] is None and values["resnet_time_scale_shift"] != NORM["add"]:
        yield f"attn_norm_num_groups null: allowed is {NUM_GROUPS}, since attention in the middle has a norm"
    if values["attn_norm_num_groups"] not in (None, NUM_GROUPS):
        yield f"attn_norm_num_groups {values['attn_norm_num_groups']}: allowed is {NUM_GROUPS}"
    downs, ups = values["down_block_types"], values["up_block_types"]
    known = {*DOWN.values(), *UP.values(), ATTENTION_DOWN, ATTENTION_UP}
    if others := sorted({*downs, *ups} - known):
        yield f"blocks of type {', '.join(others)}: allowed are {', '.join(sorted(known))}"
    elif [kind == ATTENTION_DOWN for kind in downs] != [kind == ATTENTION_UP for kind in reversed(ups)]:
        yield "attention on the way down and up is at different resolutions: here, a resolution has it in both"
    elif not (found := _updown(values)) <= SAMPLING.keys() or len(found) > 1:
        yield f"resolutions are resampled by {', '.join(sorted(found))} blocks: here, all by conv, or all by residual"


def _updown(values: Mapping[str, Any]) -> set[str]:
    """`updown`, of every resolution that is resampled. Several are refused."""
    by_type = {kind: ours for kinds in (DOWN, UP) for ours, kind in kinds.items()}
    by_option = {theirs: ours for ours, theirs in SAMPLING.items()}
    attention = {ATTENTION_DOWN: values["downsample_type"], ATTENTION_UP: values["upsample_type"]}
    resampled = [*values["down_block_types"][:-1], *values["up_block_types"][:-1]]
    found = {
        by_option.get(attention[kind], str(attention[kind])) if kind in attention else by_type[kind]
        for kind in resampled
    }
    return found or {"residual"}


def _read(text: str) -> dict[str, Any]:
    """The options in a config.json. Raises UserError if it is that of something else."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise UserError(f"config.json is not JSON: {error}") from error
    if not isinstance(values, dict) or values.get("_class_name") != CLASS:
        what = values.get("_class_name", "nothing") if isinstance(values, dict) else "no object"
        raise UserError(f"config.json describes {what}; allowed: {CLASS}")
    options = {name: value for name, value in values.items() if not name.startswith("_")}
    if unknown := sorted(options.keys() - DEFAULTS.keys()):
        raise UserError(f"config.json has options that are not known here: {', '.join(unknown)}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
