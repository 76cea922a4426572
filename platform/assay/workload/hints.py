"""How a workload wants its results to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReportHints:
    """How to show a workload's results: which metrics come first, and which files are pictures."""

    metrics: tuple[str, ...]
    sample_grid: str | None = None
    comparable: tuple[str, ...] = ()
    """Metrics or notes of the last stage that must be the same in trials that are ranked together."""
    pictures: Mapping[str, str] = field(default_factory=dict)
    """Other pictures that the last stage may commit → a heading for those of all trials."""
    side_by_side: frozenset[str] = frozenset()
    """Those pictures whose columns show the same items in every trial: side by side, a row is one item."""


@dataclass(frozen=True)
class PrintedTable:
    """A table of a workload's presets, as printed by its authors."""

    name: str
    title: str
    columns: tuple[str, ...]
    """Headings of all columns but the first."""
    rows: tuple[tuple[str, ...], ...]
    """A row's label, then one cell per column."""
    notes: tuple[str, ...] = ()
