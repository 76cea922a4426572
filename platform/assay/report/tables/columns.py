"""The columns of a sweep's table of trials and of its table over seeds, in every format."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from assay.costs.ledger import Total, total_days
from assay.report.tables.listing import Column, Listing, Style
from assay.results.intervals import Difference
from assay.results.rows import ArmSummary, Row
from assay.results.table import NOTED, Table
from assay.text import days, decimals, metric, took

BEST, ON_FRONT = "best", "front"
FRONT = "Pareto"
"""The header of the column that marks the Pareto front."""


def trials_listing(table: Table) -> Listing[Row]:
    title = f"{table.sweep}: by {table.metric}, {best_is(table)}"
    return Listing(title, list(columns(table)), table.rows, partial(_style, table), may_shrink=True)


def arms_listing(table: Table) -> Listing[ArmSummary]:
    """The table over seeds."""
    best = table.best
    title = f"{table.sweep}: over seeds, {best_is(table)}"
    return Listing(title, _arm_columns(table), table.arms, lambda arm: "best" if arm.name == best else "")


def ranked_by(table: Table) -> str:
    """by loss, smaller is better; Pareto front of loss (min), accuracy (max)"""
    by = f"by {table.metric}, {best_is(table)}"
    return by if table.front is None else f"{by}; Pareto front of {', '.join(map(str, table.objectives))}"


def best_is(table: Table) -> str:
    return "smaller is better" if table.mode == "min" else "larger is better"


def _style(table: Table, row: Row) -> Style:
    if row.failure is not None:
        return "bad"
    return "best" if row.trial == table.best else "faint" if row.rank is None else ""


def columns(table: Table) -> Iterator[Column[Row]]:
    yield Column("rank", lambda r: rank_of(table, r), lambda r: r.rank, min_width=4, title="")
    yield Column("trial", lambda r: r.trial, min_width=16)
    if (front := table.front) is not None:
        yield Column(FRONT, lambda r: on_front(front.has(r)))
    for name in (*table.metrics, *(n for n in table.reference_metrics if n not in table.metrics)):
        if name in table.metrics:
            yield _metric_column(table, name)
        if name == table.metric and any(row.from_best and row.from_best.noise is not None for row in table.rows):
            yield _from_best_column(table)
        if name in table.reference_metrics:
            yield _reference_column(table, name)
        if any(name in row.ledger for row in table.rows):
            yield _ledger_column(table, name)
    yield from (_cost_column(o.name) for o in table.objectives if "." in o.name and o.name not in table.metrics)
    if any(row.count is not None for row in table.rows):
        yield Column("N", lambda r: _or_dash(r.count, "{:,}"), lambda r: r.count, is_number=True)
    yield Column(
        "compute", lambda r: "-" if r.seconds is None else took(r.seconds), lambda r: r.seconds, is_number=True
    )
    if any(row.cost.unknown < row.cost.stages for row in table.rows):
        yield Column(
            table.days.name,
            lambda r: total_days(r.cost) if r.cost.stages else "-",
            lambda r: known_days(r.cost),
            is_number=True,
        )
    yield Column("state", lambda r: r.status, min_width=9)


def known_days(cost: Total | None) -> float | None:
    """The sum of the known device-days; None if all are unknown."""
    return cost.device_days if cost is not None and cost.unknown < cost.stages else None


def rank_of(table: Table, row: Row) -> str:
    return "-" if row.rank is None else BEST if row.trial == table.best else str(row.rank)


def _metric_column(table: Table, name: str) -> Column[Row]:
    places, main = _places(table, name), [objective.name for objective in table.objectives]
    return Column(
        name,
        lambda r: (
            with_interval(r.estimates[name].value, r.estimates[name].half_width, places) if name in r.estimates else "-"
        ),
        lambda r: r.metrics.get(name),
        is_number=True,
        is_spare=name not in main,
        is_main=name in main,
    )


def _cost_column(name: str) -> Column[Row]:
    """An objective that is a cost of the stages of one name."""
    return Column(
        name,
        lambda r: cost_in_words(name, r.objectives.get(name)),
        lambda r: r.objectives.get(name),
        is_number=True,
        is_main=True,
    )


def cost_in_words(name: str, cost: float | None) -> str:
    """Seconds or device-days."""
    return "?" if cost is None else took(cost) if name.endswith("seconds") else days(cost)


def _from_best_column(table: Table) -> Column[Row]:
    places = _places(table, table.metric)
    return Column(
        "from best",
        lambda r: "" if r.from_best is None else gap(r.from_best, places),
        lambda r: None if r.from_best is None else r.from_best.value,
        is_number=True,
    )


def _reference_column(table: Table, name: str) -> Column[Row]:
    where = f" ({table.reference_source})" if table.reference_source else ""
    return Column(
        f"paper's {name}{where}",
        lambda r: _or_dash(r.reference.get(name), f"{{:g}} {NOTED}" if r.reference_note else "{:g}"),
        lambda r: r.reference.get(name),
        is_number=True,
        title=f"paper's {name}",
        is_spare=name != table.metric,
    )


def _ledger_column(table: Table, name: str) -> Column[Row]:
    return Column(
        f"ledger's {name}",
        lambda r: total_days(r.ledger[name]) if name in r.ledger else "-",
        lambda r: known_days(r.ledger.get(name)),
        is_number=True,
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


def _arm_columns(table: Table) -> list[Column[ArmSummary]]:
    places = decimals(arm.mean for arm in table.arms)
    best, on_it = table.best, () if table.front is None else table.front.names
    return [
        Column(
            "rank",
            lambda arm: "-" if arm.lacks else BEST if arm.name == best else str(arm.rank),
            min_width=4,
            title="",
        ),
        Column("arm", lambda arm: arm.name, min_width=16),
        *([] if table.front is None else [Column[ArmSummary](FRONT, lambda arm: on_front(arm.name in on_it))]),
        Column(f"mean {table.metric}", lambda arm: with_interval(arm.mean, arm.half_width, places), is_number=True),
        Column("from best", lambda arm: "" if arm.from_best is None else gap(arm.from_best, places), is_number=True),
        Column("spread", lambda arm: _or_dash(arm.spread, f"{{:.{places}f}}"), is_number=True),
        *(_mean_column(table, objective.name) for objective in table.objectives[1:]),
        Column("seeds", _seeds, is_number=True),
    ]


def _mean_column(table: Table, name: str) -> Column[ArmSummary]:
    """The column of an objective that is not the first."""
    known = [arm.objectives[name] for arm in table.arms if name in arm.objectives]
    if name not in table.metrics:
        return Column(f"mean {name}", lambda arm: cost_in_words(name, arm.objectives.get(name)), is_number=True)
    return Column(
        f"mean {name}",
        lambda arm: metric(arm.objectives[name], decimals(known)) if name in arm.objectives else "-",
        is_number=True,
    )


def on_front(is_on_it: bool | None) -> str:
    return ON_FRONT if is_on_it else ""


def _seeds(arm: ArmSummary) -> str:
    return f"{arm.seeds} of {arm.seeds + len(arm.lacks)}" if arm.lacks else str(arm.seeds)


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
