"""Warn of stages whose code changed since they were stored, while their version did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assay.planning.plan import Plan, Warned
from assay.provenance import Stale

MOST_MODULES = 6
"""Modules that a warning names."""


def with_stale(plan: Plan, stale: Sequence[Stale]) -> Plan:
    """The plan with a warning for each set of changed modules, and of inputs that were computed again."""
    stages: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Stale]] = {}
    for each in stale:
        stages.setdefault((each.modules, each.inputs), []).append(each)
    warned = [
        Warned(
            _message([one.stage.name for one in alike], modules, inputs),
            tuple(dict.fromkeys(trial.name for one in alike for trial in plan.trials_of[one.stage.key])),
        )
        for (modules, inputs), alike in stages.items()
    ]
    return replace(plan, warned_by_checks=(*plan.warned_by_checks, *warned))


def _message(stages: Sequence[str], modules: Sequence[str], inputs: Sequence[str]) -> str:
    names = ", ".join(dict.fromkeys(stages))
    if inputs:
        return (
            f"{names}: {', '.join(inputs)} was computed again after this had read it, and became another. What is "
            "stored is kept. To compute it again: assay run --stale recompute"
        )
    more = f" and {len(modules) - MOST_MODULES} more" if len(modules) > MOST_MODULES else ""
    return (
        f"{names}: the code changed since this was stored, but the version of the stage did not: "
        f"{', '.join(modules[:MOST_MODULES])}{more}. What is stored is kept. To compute it again: assay run --stale "
        "recompute; if it would be the same: --stale keep"
    )
