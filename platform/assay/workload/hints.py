"""How a workload wants its results to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from assay.costs.devices import DeviceDays


@dataclass(frozen=True)
class ReportHints:
    """How to show a workload's results: which metrics come first, which files are pictures, and in what units."""

    metrics: tuple[str, ...]
    """The columns of tables; the sweep's own metric is always the first."""
    count: str = ""
    """The metric that tables show as N: how many items the others were measured on."""
    curves: tuple[str, ...] = ("loss",)
    """Values logged by trainings that reports draw; progress displays show the first that a stage reports."""
    item_unit: str = "items"
    """What the `items` of a stage are, such as "tokens": its rate is in tokens/s."""
    short_units: Mapping[str, str] = field(default_factory=dict)
    """Unit → its abbreviation in rates: {"tokens": "tok"} for 140 tok/s. Iterations are "it" for every workload."""
    days: DeviceDays = field(default_factory=DeviceDays)
    """The unit of costs. With DeviceDays("A100") they are in A100-days, and sweeps say a100_days in limits and plots;
    without a device in device-days, each device counting as it is."""
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
