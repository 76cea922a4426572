"""Configs that ship: the paper's models (tables.py), one for a laptop, one for a workstation. No torch here."""

from __future__ import annotations

from adm.config import Config
from adm.presets import cifar10, digits, tables
from assay.errors import UserError, did_you_mean

__all__ = ["load", "names"]

SMALL = {"tiny_digits": digits.tiny, "digits": digits.config, "cifar10": cifar10.config}


def names() -> tuple[str, ...]:
    """Every preset, the smallest first."""
    return (*SMALL, *tables.NAMES)


def load(name: str) -> Config:
    """The preset of that name. Raises UserError, naming the nearest, when there is none."""
    if name not in names():
        raise UserError(f"unknown preset {name!r}{did_you_mean(name, names())}")
    return SMALL[name]() if name in SMALL else tables.config(name)
