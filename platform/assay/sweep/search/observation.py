"""A parameter point that a search proposed, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.workload import JSON


@dataclass(frozen=True)
class Observation:
    """One suggestion and what came of it."""

    values: Mapping[str, JSON]
    objective: float | None
    """None while it runs, and when it failed: the search keeps away from there until it knows."""
