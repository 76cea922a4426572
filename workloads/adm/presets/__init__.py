"""Shipped configs: the paper's models (tables.py), two-stage sampling (two_stage.py), and small ones. Imports no
torch."""

from __future__ import annotations

from adm.config import Config
from adm.presets import cifar10, digits, tables, two_stage
from assay.errors import UserError, did_you_mean

__all__ = ["load", "names"]

SMALL = {"tiny_digits": digits.tiny, "digits": digits.config, "cifar10": cifar10.config}
"""Presets for a laptop or a workstation."""
TWO_STAGE = two_stage.PRESETS


def names() -> tuple[str, ...]:
    """Every preset: the small ones first, two-stage ones last."""
    return (*SMALL, *tables.NAMES, *TWO_STAGE)


def load(name: str) -> Config:
    """The preset of that name. Raises UserError with the closest match if there is none."""
    if name not in names():
        raise UserError(f"unknown preset {name!r}{did_you_mean(name, names())}")
    others = SMALL | TWO_STAGE
    return others[name]() if name in others else tables.config(name)
