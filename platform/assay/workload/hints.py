"""How a workload wants its results to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from assay.costs.devices import DeviceDays


@dataclass(frozen=True)
class ReportHints:
    """How to show a workload's results: which metrics come first, which files are pictures, and in what units."""

    metrics: tuple[str, ...]
    """Those that lead, as columns of tables."""
    count: str = ""
    """The metric that is N: how many items the others are over. Tables show it as a column of that name."""
    curves: tuple[str, ...] = ("loss",)
    """What trainings log that reports draw as curves, and that a running one is shown with."""
    item_unit: str = "items"
    """What `items` of a stage are, for its rate, as "tokens"."""
    short_units: Mapping[str, str] = field(default_factory=dict)
    """Units → how rates write them: {"tokens": "tok"} for 140 tok/s. "iterations" is "it" everywhere."""
    days: DeviceDays = field(default_factory=DeviceDays)
    """What costs are added up in, as DeviceDays("A100"), of a device that the costs of this field are published for;
    `limits` and plots of a sweep may name it, as a100_days."""
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
