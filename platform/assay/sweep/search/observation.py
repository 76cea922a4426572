"""Observations of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.workload import JSON


@dataclass(frozen=True)
class Observation:
    """A suggested point and its objective."""

    values: Mapping[str, JSON]
    objective: float | None
    """None while it runs, and if it failed: the search then avoids its neighbourhood."""
