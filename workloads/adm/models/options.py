"""The options of the published code's constructors, as a ModelConfig.

They say the same in other words: attention resolutions are downsampling factors there and pixels here, −1 means
"not given", and two booleans spell `updown`. Two options have one value here: `dims` is 2, and `use_fp16` is False,
since precision belongs to a run (autocast, or `model.half()`) and not to the network.
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
    "use_fp16": "run the network under torch.autocast, or convert it by .half()",
}
REQUIRED = ("image_size", "in_channels", "model_channels", "out_channels", "num_res_blocks", "attention_resolutions")
DEFAULTS_BY_ROLE: Mapping[Role, Mapping[str, Any]] = {
    Role.DRAWS: {"num_classes": None},
    Role.ENLARGES: {"num_classes": None},
    Role.CLASSIFIES: {"pool": "adaptive"},
}


def model_config(kind: str, options: Mapping[str, Any]) -> ModelConfig:
    """The ModelConfig that a constructor of the published code would have built with these options.

    Raises UserError for an unknown kind, an unknown or a missing option, and (as pydantic's ValidationError, which is a
    ValueError too) for a value that is not allowed.
    """
    role = NETWORKS[kind].role
    defaults = {**DEFAULTS, **DEFAULTS_BY_ROLE[role]}
    known = (*REQUIRED, *defaults)
    for name in options:
        if name not in known:
            raise UserError(f"unknown option {name!r} for a model of kind {kind}{did_you_mean(name, known)}")
    if missing := [name for name in REQUIRED if name not in options]:
        raise UserError(f"a model of kind {kind} needs the options {', '.join(missing)}")
    given = {**defaults, **options}
    for name, reason in ONE_VALUE.items():
        if given[name] != defaults[name]:
            raise UserError(f"{name} is {given[name]!r}, but can only be {defaults[name]!r}: {reason}")

    def unless_minus_one(value: int | None) -> int | None:
        return None if value == -1 else value

    image_size = given["image_size"]
    return ModelConfig(
        kind=kind,
        image_size=image_size,
        # The network takes any smaller image; the published code does not say which, and its upsamplers do ×4.
        low_res_size=max(1, image_size // 4) if role is Role.ENLARGES else None,
        in_channels=given["in_channels"],
        out_channels=given["out_channels"],
        channels=given["model_channels"],
        num_res_blocks=given["num_res_blocks"],
        channel_mult=_multiples(given["channel_mult"]),
        attention_resolutions=_pixels(given["attention_resolutions"], image_size),
        num_heads=given["num_heads"],
        num_heads_up=unless_minus_one(given["num_heads_upsample"]),
        head_channels=unless_minus_one(given["num_head_channels"]),
        qkv_order="new" if given["use_new_attention_order"] else "legacy",
        norm="adagn" if given["use_scale_shift_norm"] else "add",
        updown="residual" if given["resblock_updown"] else "conv" if given["conv_resample"] else "plain",
        rescale_skip=given["rescale_skip"],
        dropout=float(given["dropout"]),
        num_classes=given.get("num_classes"),
        pool=given.get("pool", "attention"),
        activation_checkpointing=given["use_checkpoint"],
        implementation=given["implementation"],
    )


def _multiples(channel_mult: str | Iterable[float]) -> tuple[float, ...]:
    """(1, 2, 2), or "1,2,2" as the published scripts' flags have it."""
    if not isinstance(channel_mult, str):
        return tuple(channel_mult)
    try:
        return tuple(float(part) for part in channel_mult.split(","))
    except ValueError:
        raise UserError(f"channel_mult is {channel_mult!r}; it is numbers, such as (1, 2, 2) or '1,2,2'") from None


def _pixels(factors: str | Collection[int], image_size: int) -> tuple[int, ...]:
    """Resolutions in pixels of downsampling factors. One that does not divide the image is never reached."""
    # The published scripts' flags, which are text, are in pixels: read as factors they would be another network.
    if isinstance(factors, str) or not all(isinstance(factor, int) and factor > 0 for factor in factors):
        raise UserError(
            f"attention_resolutions is {factors!r}; it is downsampling factors, such as (2, 4): image_size // pixels"
        )
    return tuple(image_size // factor for factor in factors if image_size % factor == 0)
