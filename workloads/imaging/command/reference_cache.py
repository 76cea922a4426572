"""Features of references, kept by the contents of their images, so that the next evaluation need not compute them.

A file of ~/.cache/adm/references has one reference's features by one network: 8 kB an image for Inception. What is
damaged, or cannot be written, is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from imaging.command.spaces import Space
from imaging.extractors import FEATURES, SPATIAL
from imaging.metrics.moments import Gaussian
from imaging.metrics.trial import Features
from imaging.paths import written_whole

CACHE = "~/.cache/adm/references"
VERSION = 1
"""Increase it when the same images get other features, or files another layout."""


def cached(space: Space, contents: str) -> tuple[Features, Gaussian | None] | None:
    """FEATURES (N, D) of a reference, and the statistics of SPATIAL if the network has that; None: not kept."""
    try:
        with np.load(_path(space, contents), allow_pickle=False) as kept:
            spatial = Gaussian(kept["mu_s"], kept["sigma_s"]) if SPATIAL in space.columns else None
            return kept["features"], spatial
    except Exception:  # absent, or damaged in any way
        return None


def keep(space: Space, contents: str, features: Features, statistics: Mapping[str, Gaussian]) -> None:
    arrays: dict[str, Any] = {"features": features}
    if SPATIAL in space.columns:
        arrays |= {"mu_s": statistics[SPATIAL].mean, "sigma_s": statistics[SPATIAL].cov}
    # A full disk, a home that cannot be written: all is computed again next time.
    with (
        contextlib.suppress(OSError),
        written_whole(_path(space, contents)) as partial,
        partial.open("wb") as file,
    ):
        np.savez(file, **arrays)


def _path(space: Space, contents: str) -> Path:
    name = hashlib.sha256(f"{VERSION} {contents} {space.features} {FEATURES}".encode()).hexdigest()[:32]
    return Path(CACHE).expanduser() / f"{name}.npz"
