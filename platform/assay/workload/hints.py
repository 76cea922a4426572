"""How a workload wants its results shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReportHints:
    """How to show a workload's results: which metrics lead, and which files are pictures."""

    metrics: tuple[str, ...]
    sample_grid: str | None = None
    comparable: tuple[str, ...] = ()
    """Metrics or notes of the last stage that must be the same in trials that are ranked together."""
    pictures: Mapping[str, str] = field(default_factory=dict)
    """Other pictures that the last stage may commit → what they show, for a heading over those of all trials."""
    side_by_side: frozenset[str] = frozenset()
    """Which of these have columns of the same few items in every trial: side by side, a row is one item."""


@dataclass(frozen=True)
class PrintedTable:
    """A table that a workload makes of its presets, as its authors print it."""

    name: str
    title: str
    columns: tuple[str, ...]
    """Headings of all columns but the first."""
    rows: tuple[tuple[str, ...], ...]
    """What the row is about, then a cell a column."""
    notes: tuple[str, ...] = ()
