"""Observations of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.workload import JSON


@dataclass(frozen=True)
class Observation:
    """A suggested point and its objectives."""

    values: Mapping[str, JSON]
    objective: float | None
    """The sweep's first. None while it runs, and if it failed: the search then avoids its neighbourhood."""
    others: Sequence[float | None] = ()
    """Its other objectives, in the order of the sweep; None if unknown."""
