"""The options of the published code's constructors, as a ModelConfig.

They say the same in other words: attention resolutions are downsampling factors there and pixels here, −1 means
"not given", and two booleans spell `updown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from adm.config import ModelConfig
from assay.errors import UserError, did_you_mean

Kind = Literal["unet", "super_res", "encoder"]

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
}
REQUIRED = ("image_size", "in_channels", "model_channels", "out_channels", "num_res_blocks", "attention_resolutions")
OF_KIND: Mapping[str, Mapping[str, Any]] = {
    "unet": {"num_classes": None},
    "super_res": {"num_classes": None},
    "encoder": {"pool": "adaptive"},
}


def model_config(kind: str, options: Mapping[str, Any]) -> ModelConfig:
    """The ModelConfig that a constructor of the published code would have built with these options.

    Raises UserError for an unknown kind, an unknown or a missing option, and (as pydantic's ValidationError, which is a
    ValueError too) for a value that is not allowed.
    """
    if kind not in OF_KIND:
        raise UserError(f"unknown kind of model {kind!r}{did_you_mean(kind, OF_KIND)}")
    defaults = {**DEFAULTS, **OF_KIND[kind]}
    known = (*REQUIRED, *defaults)
    for name in options:
        if name not in known:
            raise UserError(f"unknown option {name!r} for a model of kind {kind}{did_you_mean(name, known)}")
    if missing := [name for name in REQUIRED if name not in options]:
        raise UserError(f"a model of kind {kind} needs the options {', '.join(missing)}")
    given = {**defaults, **options}

    def unless_minus_one(value: int | None) -> int | None:
        return None if value == -1 else value

    image_size = given["image_size"]
    return ModelConfig(
        kind=kind,  # type: ignore[arg-type]
        image_size=image_size,
        # The network takes any smaller image; the published code does not say which, and its upsamplers do ×4.
        low_res_size=max(1, image_size // 4) if kind == "super_res" else None,
        in_channels=given["in_channels"],
        out_channels=given["out_channels"],
        channels=given["model_channels"],
        num_res_blocks=given["num_res_blocks"],
        channel_mult=tuple(given["channel_mult"]),
        attention_resolutions=tuple(
            image_size // factor for factor in given["attention_resolutions"] if image_size % factor == 0
        ),
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
