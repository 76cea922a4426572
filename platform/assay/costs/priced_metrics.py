"""What the ledger has of the work that a study prices and does not do, beside the prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from assay.costs.devices import SECONDS_PER_DAY
from assay.costs.ledger import Entry, Total, entries
from assay.planning import Plan
from assay.store import Store
from assay.text import counted, took
from assay.workload import ReportHints, Work

SAME_OPERATIONS = 0.01
"""Networks are the same to the ledger where an item takes them the same operations, but for this share."""


@dataclass(frozen=True)
class PricedMetrics:
    """Device-days by the ledger, for the metrics that are prices."""

    amounts: Mapping[str, Mapping[str, Total]] = field(default_factory=dict)
    """Last stage's key → metric → the sum over its work; nothing where the ledger has none of it. Each piece of work
    counts as one stage, and as an unknown one where its like never ran, or only on devices that are not declared."""
    notes: tuple[str, ...] = ()
    """How those figures come about."""


NOT_PRICED = PricedMetrics()


def priced(plan: Plan, store: Store) -> PricedMetrics:
    """By every result in the store, whichever study it was for. Reads none where the plan prices nothing."""
    leaves = [trial.leaf for trial in plan.trials if trial.leaf.prices]
    if not leaves:
        return NOT_PRICED
    hints = plan.hints
    names = {work.stage for leaf in leaves for works in leaf.prices.values() for work in works}
    ledger = entries(store.results(), hints.days)
    known = [entry for entry in ledger if entry.stage in names and entry.items and entry.flops]
    amounts: dict[str, dict[str, Total]] = {}
    rates: dict[str, dict[str, None]] = {}  # in words → whose it is
    for leaf in leaves:
        for metric, works in leaf.prices.items():
            found = {work: _alike(work, known) for work in works}
            if any(found.values()):
                parts = (_took(work, alike) for work, alike in found.items())
                amounts.setdefault(leaf.key, {})[metric] = sum(parts, Total())
                for work, alike in found.items():
                    if alike:
                        rates.setdefault(_in_words(alike, hints), {})[work.name] = None
    return PricedMetrics(amounts, (_note(rates, hints),) if rates else ())


def _alike(work: Work, known: Iterable[Entry]) -> list[Entry]:
    """Stages that did such work: of the same name, and of a network like it."""
    ours = [entry for entry in known if entry.stage == work.stage]
    return [e for e in ours if abs((e.flops or 0) / (e.items or 1) / work.flops_per_item - 1) < SAME_OPERATIONS]


def _took(work: Work, alike: Sequence[Entry]) -> Total:
    """At the mean rate of those that ran on declared devices."""
    items, days = _declared(alike)
    return Total(1, device_days=work.items * days / items) if items else Total(1, unknown=1)


def _declared(alike: Sequence[Entry]) -> tuple[int, float]:
    """Items, and device-days for them."""
    known = [entry for entry in alike if entry.device_days is not None]
    return sum(entry.items or 0 for entry in known), sum(entry.device_days or 0.0 for entry in known)


def _in_words(alike: Sequence[Entry], hints: ReportHints) -> str:
    items, days = _declared(alike)
    if items:
        rate = items / (days * SECONDS_PER_DAY)
        return f"{rate:,.4g} {hints.item_unit} a {hints.days.device}-second over {items:,}"
    devices = counted(sorted({entry.device for entry in alike}))
    seconds = took(sum(entry.device_seconds for entry in alike))
    return f"{sum(entry.items or 0 for entry in alike):,} {hints.item_unit} in {seconds} of {devices}, not declared"


def _note(rates: Mapping[str, Iterable[str]], hints: ReportHints) -> str:
    told = "; ".join(f"{', '.join(names)}: {rate}" for rate, names in rates.items())
    return (
        f"ledger's: the {hints.item_unit} of the row, at the rate of the trainings that are stored here: {told}. "
        "? is what has no such training, or only on devices whose worth is not declared."
    )
