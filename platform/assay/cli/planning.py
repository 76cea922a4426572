"""`assay validate` and `assay plan`: what a sweep says, and what running it would mean. Neither starts Ray."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.table import Table
from rich.text import Text

from assay.cli.names import open_sweep
from assay.cli.output import console, print_json
from assay.home import Home
from assay.planning import Plan, StageStatus, State, make_plan, survey
from assay.report import serves
from assay.report.grids import Grid, ruled
from assay.report.words import days, plural, took
from assay.spec import Sweep
from assay.spec.expand import in_words
from assay.spec.trial_checks import MOST_CHECKED
from assay.store import Store

MOST_LINES = 40
"""Of a table. A race of thousands is told in sums; --json has it all."""
STATE_STYLES: dict[State, str] = {
    "stored": "green",
    "partial": "yellow",
    "missing": "",
    "damaged": "red",
    "dropped": "dim",
}


def validate_sweep(name: str, profile: str | None, sets: Sequence[str], is_json: bool) -> None:
    sweep = open_sweep(name, profile, sets)
    count = sweep.num_trials()
    is_sample = count > MOST_CHECKED
    if not is_sample:  # stages see more than configs do, such as a file that is not there
        count = len(make_plan(sweep).trials) or count
    if is_json:
        print_json({"file": sweep.file, "name": sweep.name, "profile": sweep.profile, "trials": count})
        return
    at = f" with profile {sweep.profile}" if sweep.profile else ""
    print(f"{sweep.file}{at}: good: {sweep.name}, {plural(count, 'trial')} of {sweep.workload} {sweep.base}")
    if is_sample:
        print(f"checked: about {MOST_CHECKED:,} of the trials, evenly spread, and the corners of the space.")
    if sweep.searcher.name == "optuna":
        print(_suggested_as_it_goes(sweep))


def _suggested_as_it_goes(sweep: Sweep) -> str:
    searcher = sweep.searcher
    repeats = plural(len(sweep.design.arms) * len(sweep.seeds), "trial")
    return f"values are suggested as it goes: {searcher.num_trials} in batches of {searcher.batch}, each {repeats}."


def plan_sweep(name: str, profile: str | None, sets: Sequence[str], is_json: bool) -> None:
    store = Store(Home.default().store_url)
    plan = make_plan(open_sweep(name, profile, sets), store)
    statuses = survey(plan, store)
    if is_json:
        print_json(_as_json(plan, statuses))
        return
    out = console()
    out.print(Text.assemble((plan.sweep.name, "bold"), f"  {plan.sweep.description}".rstrip()))
    for make in (_trials, _stages):
        out.print(Grid(partial(make, plan, statuses)))
        out.print()
    for line in _summary(plan, statuses):
        out.print(line, soft_wrap=True)


@dataclass(frozen=True)
class _Sum:
    """Estimates of several stages. `unknown` counts those without one: a sum that hides them would be a lie."""

    total: float
    unknown: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> _Sum:
        listed = list(values)
        return cls(sum(v for v in listed if v is not None), sum(v is None for v in listed))


def _trials(plan: Plan, statuses: dict[str, StageStatus], is_tight: bool) -> Table:
    grid = ruled(plural(len(plan.trials), "trial"), is_tight)
    varied = list(dict.fromkeys(path for trial in plan.trials for path in trial.trial.varied))
    grid.add_column("trial", overflow="fold", min_width=16)
    for path in varied:
        grid.add_column(path, overflow="fold")
    grid.add_column("stored", justify="right", no_wrap=True)
    for trial in plan.trials[:MOST_LINES]:
        stored = sum(statuses[stage.key].state == "stored" for stage in trial.stages)
        values = [in_words(trial.trial.varied.get(path)) for path in varied]
        grid.add_row(*map(Text, [trial.name, *values, f"{stored} of {len(trial.stages)}"]))
    if len(plan.trials) > MOST_LINES:
        grid.add_row(Text(f"… and {len(plan.trials) - MOST_LINES:,} more"))
    return grid


def _stages(plan: Plan, statuses: dict[str, StageStatus], is_tight: bool) -> Table:
    grid = ruled(plural(len(plan.stages), "stage"), is_tight)
    for header in ("stage", "kind"):
        grid.add_column(header, no_wrap=True)
    grid.add_column("for", overflow="fold", min_width=10)
    grid.add_column("budget", justify="right", no_wrap=True)
    grid.add_column("state", overflow="fold", min_width=7)
    for header in ("V100-days", "about"):
        grid.add_column(header, justify="right", no_wrap=True)
    for alike in _alike(statuses):
        first = statuses[alike[0]]
        cost = _Sum.of(statuses[key].v100_days for key in alike)
        time = _Sum.of(statuses[key].seconds for key in alike)
        is_done = first.state in ("stored", "dropped")
        grid.add_row(
            Text(first.stage.name),
            first.stage.kind,
            Text(_for(plan, alike[0]) if len(alike) == 1 else f"{len(alike):,} stages"),
            f"{first.stage.amount:,} {first.stage.unit}" if first.stage.budget else "",
            Text(_state(first), style=STATE_STYLES[first.state]),
            "?" if cost.unknown == len(alike) else days(cost.total),
            "" if is_done else "?" if time.unknown == len(alike) else took(time.total),
        )
    return grid


def _alike(statuses: dict[str, StageStatus]) -> list[list[str]]:
    """Keys that share a line: one each, and all of a kind, budget and state where that were too many to read."""
    if len(statuses) <= MOST_LINES:
        return [[key] for key in statuses]
    lines: dict[tuple[str, int, State], list[str]] = {}
    for key, status in statuses.items():
        lines.setdefault((status.stage.name, status.stage.amount, status.state), []).append(key)
    return list(lines.values())


def _for(plan: Plan, key: str) -> str:
    """The trials that read a stage, and how many they are."""
    count = len(plan.trials_of[key])
    label = serves(plan, key)
    return label if count in (1, len(plan.trials)) else f"{label} ({plural(count, 'trial')})"


def _state(status: StageStatus) -> str:
    return f"partial {status.done:,} of {status.stage.amount:,}" if status.state == "partial" else status.state


def _summary(plan: Plan, statuses: dict[str, StageStatus]) -> list[str]:
    left = [status for status in statuses.values() if status.state not in ("stored", "dropped")]
    unshared = sum(len(trial.stages) for trial in plan.trials)
    lines = []
    if len(statuses) < unshared:
        lines.append(
            f"sharing: {len(statuses)} stages do the work of {unshared}; {unshared - len(statuses)} are saved."
        )
    if plan.sweep.searcher.name == "optuna":
        lines.append(_suggested_as_it_goes(plan.sweep))
    if not left:
        return [*lines, "to do: nothing, every stage is stored."] if statuses else lines
    cost, time = _Sum.of(s.v100_days for s in left), _Sum.of(s.seconds for s in left)
    parts = [f"to do: {plural(len(left), 'stage')} of {len(statuses)}"]
    if cost.unknown < len(left):
        parts.append(f"{days(cost.total)} V100-days{_besides(cost)}")
    if time.unknown < len(left):
        parts.append(f"{took(time.total)} one after the other, by earlier results{_besides(time)}")
    return [*lines, "; ".join(parts) + ".", *_bounds(plan, cost)]


def _bounds(plan: Plan, cost: _Sum) -> list[str]:
    """Why it may become less than that, or stop before."""
    sweep, lines = plan.sweep, []
    if sweep.scheduler.name != "fifo":
        lines.append(f"that is the most it may take: {sweep.scheduler.name} ends trials at their rungs.")
    if plan.waiting:
        lines.append(f"limits.trials is {sweep.limits.trials}: {plural(plan.waiting, 'more trial')} would wait.")
    if sweep.limits.v100_days is not None and cost.total > sweep.limits.v100_days:
        lines.append(f"limits.v100_days is {days(sweep.limits.v100_days)}: it would pause there.")
    return lines


def _besides(part: _Sum) -> str:
    return f" besides {plural(part.unknown, 'stage')} of unknown cost" if part.unknown else ""


def _as_json(plan: Plan, statuses: dict[str, StageStatus]) -> dict[str, Any]:
    return {
        "sweep": plan.sweep.name,
        "file": plan.sweep.file,
        "profile": plan.sweep.profile,
        "trials": [
            {"trial": t.name, "varied": dict(t.trial.varied), "stages": [stage.key for stage in t.stages]}
            for t in plan.trials
        ],
        "stages": [
            {
                "key": key,
                "stage": status.stage.name,
                "kind": status.stage.kind,
                "trials": [trial.name for trial in plan.trials_of[key]],
                "budget": status.stage.amount if status.stage.budget else None,
                "unit": status.stage.unit if status.stage.budget else None,
                "state": status.state,
                "done": status.done,
                "v100_days": status.v100_days,
                "seconds": status.seconds,
            }
            for key, status in statuses.items()
        ],
        "stages_if_nothing_were_shared": sum(len(trial.stages) for trial in plan.trials),
    }
