"""Convert the options of the published code's constructors to a ModelConfig.

The published options differ in form: attention resolutions are downsampling factors and not pixels, −1 means "not
given", and two booleans stand for `updown`. Two of them have a single value here: `dims` is 2, and `use_fp16` is False,
since precision belongs to a run (autocast, or `model.half()`), not to the network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from adm.config import ModelConfig
from adm.registries import NETWORKS, Role
from assay.errors import UserError, did_you_mean

DEFAULTS: Mapping[str, Any] = {
    "dropout": 0.0,
    "channel_mult": (1, 2, 4, 8),
    "conv_resample": True,
    "use_checkpoint": False,
    "num_heads": 1,
    "num_head_channels": -1,
    "num_heads_upsample": -1,
    "use_scale_shift_norm": False,
    "resblock_updown": False,
    "use_new_attention_order": False,
    "rescale_skip": False,
    "implementation": "optimized",
    "dims": 2,
    "use_fp16": False,
}
ONE_VALUE = {
    "dims": "the networks are for images",
    "use_fp16": "run the network under torch.autocast, or convert it with .half()",
}
REQUIRED = ("image_size", "in_channels", "model_channels", "out_channels", "num_res_blocks", "attention_resolutions")
DEFAULTS_BY_ROLE: Mapping[Role, Mapping[str, Any]] = {
    Role.DRAWS: {"num_classes": None},
    Role.ENLARGES: {"num_classes": None},
    Role.CLASSIFIES: {"pool": "adaptive"},
}


def model_config(kind: str, options: Mapping[str, Any]) -> ModelConfig:
    """The ModelConfig of the network that a constructor of the published code would build with these options.

    Raises UserError for an unknown kind, an unknown or missing option, and (as pydantic's ValidationError, which is
    also a ValueError) for an invalid value.
    """
    role = NETWORKS[kind].role
    defaults = {**DEFAULTS, **DEFAULTS_BY_ROLE[role]}
    known = (*REQUIRED, *defaults)
    for name in options:
        if name not in known:
            raise UserError(f"unknown option {name!r} for a model of kind {kind}{did_you_mean(name, known)}")
    if missing := [name for name in REQUIRED if name not in options]:
        raise UserError(f"a model of kind {kind} needs the options {', '.join(missing)}")
    merged = {**defaults, **options}
    for name, reason in ONE_VALUE.items():
        if merged[name] != defaults[name]:
            raise UserError(f"{name} is {merged[name]!r}, but can only be {defaults[name]!r}: {reason}")

    def unless_minus_one(value: int | None) -> int | None:
        return None if value == -1 else value

    image_size = merged["image_size"]
    return ModelConfig(
        kind=kind,
        image_size=image_size,
        # The network accepts any smaller image. The published options do not name its size; published upsamplers do ×4.
        low_res_size=max(1, image_size // 4) if role is Role.ENLARGES else None,
        in_channels=merged["in_channels"],
        out_channels=merged["out_channels"],
        channels=merged["model_channels"],
        num_res_blocks=merged["num_res_blocks"],
        channel_mult=_multiples(merged["channel_mult"]),
        attention_resolutions=_pixels(merged["attention_resolutions"], image_size),
        num_heads=merged["num_heads"],
        num_heads_up=unless_minus_one(merged["num_heads_upsample"]),
        head_channels=unless_minus_one(merged["num_head_channels"]),
        qkv_order="new" if merged["use_new_attention_order"] else "legacy",
        norm="adagn" if merged["use_scale_shift_norm"] else "add",
        updown="residual" if merged["resblock_updown"] else "conv" if merged["conv_resample"] else "plain",
        rescale_skip=merged["rescale_skip"],
        dropout=float(merged["dropout"]),
        num_classes=merged.get("num_classes"),
        pool=merged.get("pool", "attention"),
        activation_checkpointing=merged["use_checkpoint"],
        implementation=merged["implementation"],
    )


def _multiples(channel_mult: str | Iterable[float]) -> tuple[float, ...]:
    """The multiples as a tuple, from a sequence or from text such as "1,2,2", as in the published scripts' flags."""
    if not isinstance(channel_mult, str):
        return tuple(channel_mult)
    try:
        return tuple(float(part) for part in channel_mult.split(","))
    except ValueError:
        raise UserError(f"channel_mult is {channel_mult!r}; allowed: numbers, such as (1, 2, 2) or '1,2,2'") from None


def _pixels(factors: str | Collection[int], image_size: int) -> tuple[int, ...]:
    """Resolutions in pixels for downsampling factors. Factors that do not divide the image size have no effect."""
    # The flags of the published scripts are text and in pixels: read as factors, they would give another network.
    if isinstance(factors, str) or not all(isinstance(factor, int) and factor > 0 for factor in factors):
        raise UserError(
            f"attention_resolutions is {factors!r}; allowed: downsampling factors, such as (2, 4): image_size // pixels"
        )
    return tuple(image_size // factor for factor in factors if image_size % factor == 0)
