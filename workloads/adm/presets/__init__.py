"""Configs that ship: the paper's models (tables.py) and one for a laptop (digits.py). No torch here."""

from __future__ import annotations

from adm.config import Config
from adm.presets import digits, tables
from assay.errors import UserError, did_you_mean

__all__ = ["load", "names"]


def names() -> tuple[str, ...]:
    """Every preset, the smallest first."""
    return ("digits", *tables.NAMES)


def load(name: str) -> Config:
    """The preset of that name. Raises UserError, naming the nearest, when there is none."""
    if name not in names():
        raise UserError(f"unknown preset {name!r}{did_you_mean(name, names())}")
    return digits.config() if name == "digits" else tables.config(name)
