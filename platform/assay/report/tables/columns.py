"""The columns of a table: what a person reads in a cell, and its value as data. The same in every format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from assay.costs.ledger import Total, total_days
from assay.results.estimates import Difference
from assay.results.rows import Arm, Row
from assay.results.table import Table
from assay.text import decimals, metric, took

BEST = "best"


@dataclass(frozen=True)
class Column:
    """One column: how a person reads a cell of it, and its value as data."""

    header: str
    shown: Callable[[Row], str]
    value: Callable[[Row], str | float | int | None]
    is_number: bool = True
    title: str = ""
    """The header on a terminal, where it must be short: a note says the rest."""
    is_spare: bool = False
    """Of another metric than the sweep's: left out where a terminal has no room for it."""


def columns(table: Table) -> Iterator[Column]:
    yield Column("rank", lambda r: rank_of(table, r), lambda r: r.rank, is_number=False)
    yield Column("trial", lambda r: r.trial, lambda r: r.trial, is_number=False)
    for name in (*table.metrics, *(n for n in table.reference_metrics if n not in table.metrics)):
        if name in table.metrics:
            yield _metric_column(table, name)
        if name == table.metric and any(row.from_best and row.from_best.noise is not None for row in table.rows):
            yield _from_best_column(table)
        if name in table.reference_metrics:
            yield _reference_column(table, name)
        if any(name in row.ledger for row in table.rows):
            yield _ledger_column(table, name)
    if any(row.num_samples is not None for row in table.rows):
        yield Column("N", lambda r: _or_dash(r.num_samples, "{:,}"), lambda r: r.num_samples)
    yield Column("compute", lambda r: "-" if r.seconds is None else took(r.seconds), lambda r: r.seconds)
    if any(row.cost.unknown < row.cost.stages for row in table.rows):
        yield Column("V100-days", lambda r: total_days(r.cost) if r.cost.stages else "-", lambda r: known_days(r.cost))
    yield Column("state", lambda r: r.status, lambda r: r.status, is_number=False)


def known_days(cost: Total | None) -> float | None:
    """V100-days of what is known; None where nothing is."""
    return cost.v100_days if cost is not None and cost.unknown < cost.stages else None


def rank_of(table: Table, row: Row) -> str:
    return "-" if row.rank is None else BEST if row.trial == table.best else str(row.rank)


def _metric_column(table: Table, name: str) -> Column:
    places = _places(table, name)
    return Column(
        name,
        lambda r: (
            with_interval(r.estimates[name].value, r.estimates[name].half_width, places) if name in r.estimates else "-"
        ),
        lambda r: r.metrics.get(name),
        is_spare=name != table.metric,
    )


def _from_best_column(table: Table) -> Column:
    places = _places(table, table.metric)
    return Column(
        "from best",
        lambda r: "" if r.from_best is None else gap(r.from_best, places),
        lambda r: None if r.from_best is None else r.from_best.value,
    )


def _reference_column(table: Table, name: str) -> Column:
    where = f" ({table.reference_source})" if table.reference_source else ""
    return Column(
        f"paper's {name}{where}",
        lambda r: _or_dash(r.reference.get(name), "{:g}"),
        lambda r: r.reference.get(name),
        title=f"paper's {name}",
        is_spare=name != table.metric,
    )


def _ledger_column(table: Table, name: str) -> Column:
    return Column(
        f"ledger's {name}",
        lambda r: total_days(r.ledger[name]) if name in r.ledger else "-",
        lambda r: known_days(r.ledger.get(name)),
        is_spare=name != table.metric,
    )


def _places(table: Table, name: str) -> int:
    return decimals(row.metrics[name] for row in table.rows if name in row.metrics)


def with_interval(value: float, half_width: float | None, places: int) -> str:
    """3.412 ± 0.120"""
    return metric(value, places) if half_width is None else f"{metric(value, places)} ± {metric(half_width, places)}"


def gap(difference: Difference, places: int) -> str:
    """A difference with its mark: +0.790 *"""
    mark = {True: " *", False: " ~", None: ""}[difference.is_beyond_noise]
    return f"{difference.value:+.{places}f}{mark}"


def arm_columns(table: Table) -> list[tuple[str, Callable[[Arm], str]]]:
    """The table over seeds: headers and cells."""
    places = decimals(arm.mean for arm in table.arms)
    best = table.best
    return [
        ("rank", lambda arm: "-" if arm.lacks else BEST if arm.name == best else str(arm.rank)),
        ("arm", lambda arm: arm.name),
        (f"mean {table.metric}", lambda arm: with_interval(arm.mean, arm.half_width, places)),
        ("from best", lambda arm: "" if arm.from_best is None else gap(arm.from_best, places)),
        ("spread", lambda arm: _or_dash(arm.spread, f"{{:.{places}f}}")),
        ("seeds", lambda arm: f"{arm.seeds} of {arm.seeds + len(arm.lacks)}" if arm.lacks else str(arm.seeds)),
    ]


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
