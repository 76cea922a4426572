"""Measured costs beside theoretical prices: the ledger's device-days of the work that a study only prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from assay.costs.devices import SECONDS_PER_DAY
from assay.costs.ledger import Entry, Total, entries, mean_rate
from assay.planning import Plan
from assay.store import Store
from assay.text import counted, took
from assay.workload import ReportHints, Work

SAME_OPERATIONS = 0.01
"""Networks count as the same if their operations per item differ by less than this share."""


@dataclass(frozen=True)
class PricedMetrics:
    """The ledger's device-days for the metrics that are prices."""

    amounts: Mapping[str, Mapping[str, Total]] = field(default_factory=dict)
    """Last stage's key → metric → the sum over its work; absent if the ledger has none of it. Each piece of work counts
    as one stage, an unknown one if it never ran, or only on devices that are not declared."""
    notes: tuple[str, ...] = ()
    """How these figures were computed."""


NOT_PRICED = PricedMetrics()


def priced(plan: Plan, store: Store) -> PricedMetrics:
    """The prices by all results in the store, of any study. Reads none if the plan prices nothing."""
    leaves = [trial.leaf for trial in plan.trials if trial.leaf.prices]
    if not leaves:
        return NOT_PRICED
    hints = plan.hints
    names = {work.stage for leaf in leaves for works in leaf.prices.values() for work in works}
    ledger = entries(store.results(), hints.days)
    known = [entry for entry in ledger if entry.stage in names and entry.items and entry.flops]
    amounts: dict[str, dict[str, Total]] = {}
    rates: dict[str, dict[str, None]] = {}
    """Description of a rate → names of the work that has it."""
    for leaf in leaves:
        for metric, works in leaf.prices.items():
            alike = {work: _alike(work, known) for work in works}
            if any(alike.values()):
                days = [(work, mean_rate(alike[work], lambda e: e.device_days, _items)) for work in works]
                parts = (Total.of_stage(0.0, None if rate is None else work.items * rate) for work, rate in days)
                amounts.setdefault(leaf.key, {})[metric] = sum(parts, Total())
                for work, rate in days:
                    if alike[work]:
                        rates.setdefault(_in_words(alike[work], rate, hints), {})[work.name] = None
    return PricedMetrics(amounts, (_note(rates, hints),) if rates else ())


def _items(entry: Entry) -> int:
    return entry.items or 0


def _alike(work: Work, known: Iterable[Entry]) -> list[Entry]:
    """Entries of stages of the same name and network."""
    ours = [entry for entry in known if entry.stage == work.stage]
    return [e for e in ours if abs((e.flops or 0) / (e.items or 1) / work.flops_per_item - 1) < SAME_OPERATIONS]


def _in_words(alike: Sequence[Entry], days_per_item: float | None, hints: ReportHints) -> str:
    if days_per_item is not None:
        items, rate = sum(_items(e) for e in alike if e.device_days is not None), 1 / (days_per_item * SECONDS_PER_DAY)
        return f"{rate:,.4g} {hints.item_unit} per {hints.days.device}-second over {items:,}"
    devices = counted(sorted({entry.device for entry in alike}))
    seconds = took(sum(entry.device_seconds for entry in alike))
    return f"{sum(map(_items, alike)):,} {hints.item_unit} in {seconds} on {devices}, not declared"


def _note(rates: Mapping[str, Iterable[str]], hints: ReportHints) -> str:
    listed = "; ".join(f"{', '.join(names)}: {rate}" for rate, names in rates.items())
    return (
        f"ledger's: the {hints.item_unit} of the row, at the rate of the trainings stored here: {listed}. "
        "? stands for work without such a training, or only with some on devices that are not declared."
    )
