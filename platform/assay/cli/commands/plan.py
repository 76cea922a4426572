"""`assay validate` and `assay plan`: check a sweep, and show what running it would compute. Neither starts Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.text import Text

from assay.cli.commands.estimates import suggested_during_the_run, summary
from assay.cli.commands.simulate import On, print_simulation, simulated, write_chart
from assay.cli.commands.simulate import as_json as simulation_json
from assay.cli.names import open_sweep
from assay.cli.output import console, data_remarks_printed, print_json, print_text, print_warnings, read_only_store
from assay.costs.availability import StageStatus, State, stale_of, survey
from assay.costs.cost_estimate import CostEstimate, sum_of
from assay.costs.devices import SECONDS_PER_DAY, find_device
from assay.costs.memory import GIB, MemoryNeed, memory_in_words, memory_need
from assay.costs.rates import Rates
from assay.home import Home
from assay.planning import Plan, PlannedTrial, checked, make_plan, with_random_suggestions
from assay.planning.labels import serves
from assay.planning.stale import with_stale
from assay.report.tables.grids import Grid
from assay.report.tables.listing import Column, Listing
from assay.settings import rates_of, receivers
from assay.sweep.expansion import in_words
from assay.sweep.trial_checks import MOST_CHECKED
from assay.text import days, plural, took, usd
from assay.workload import Stage

MOST_LINES = 40
"""Rows of a table. Thousands of stages are shown as sums; --json has every row."""
MOST_PLANNED = 100
"""Trials whose stages are checked, if the configs of only a sample are."""
Needs = Mapping[str, MemoryNeed | None]
"""Key of a stage → what a worker of it needs of its device's memory; None if unknown, or without a GPU."""
STATE_STYLES: dict[State, str] = {
    "stored": "green",
    "partial": "yellow",
    "missing": "",
    "damaged": "red",
    "dropped": "dim",
}


def validate_sweep(
    name: str, profile: str | None, sets: Sequence[str], is_json: bool, *, verifies_data: bool = False
) -> None:
    with data_remarks_printed(verifies_data):
        sweep = open_sweep(name, profile, sets)
        receivers(sweep, Home.default())  # refuses wrong settings
        count = sweep.num_trials()
        is_sample = count > MOST_CHECKED
        # Stages see more than configs do, such as a missing file.
        plan = checked(make_plan(sweep, most=MOST_PLANNED if is_sample else None))
    if not is_sample:
        count = len(plan.trials) or count
    if is_json:
        about = {"file": sweep.file, "name": sweep.name, "profile": sweep.profile, "trials": count}
        print_json({**about, "warnings": list(plan.warnings)})
        return
    print_warnings(plan.warnings)
    at = f" with profile {sweep.profile}" if sweep.profile else ""
    print_text(f"{sweep.file}{at}: OK: {sweep.name}, {plural(count, 'trial')} of {sweep.subject}")
    if is_sample:
        print(
            f"checked: about {MOST_CHECKED:,} of the trials, evenly spread, and the corners of the space; "
            f"the stages of the first {MOST_PLANNED}."
        )
    if sweep.searcher.facts.learns:
        print(suggested_during_the_run(sweep))


def plan_sweep(
    name: str,
    profile: str | None,
    sets: Sequence[str],
    is_json: bool,
    *,
    verifies_data: bool = False,
    on: On | None = None,
) -> None:
    home = Home.default()
    store = read_only_store(home)
    with data_remarks_printed(verifies_data):
        known = make_plan(open_sweep(name, profile, sets), store)
        plan = with_random_suggestions(known, store)
        receivers(plan.sweep, home)  # refuses wrong settings
        rates = rates_of(home)
        statuses = survey(plan, store, rates)
        plan = checked(plan, {key for key, status in statuses.items() if status.state == "stored"})
    stale = stale_of(statuses, store)
    plan = with_stale(plan, stale)
    changed = {each.stage.key: list(each.modules) for each in stale}
    needs = {
        key: memory_need(stage, plan.sweep.resources, plan.hints.days.reference) for key, stage in plan.stages.items()
    }
    simulation = None if on is None else simulated(plan, statuses, on)
    if simulation is not None and on is not None and on.chart is not None:
        write_chart(plan, simulation, rates, on.chart)
    if is_json:
        more = {} if simulation is None else {"simulation": simulation_json(simulation, rates)}
        about = {**_as_json(plan, statuses, needs, rates, changed), "random_trials": _num_random(plan, known)}
        print_json({**about, **more})
        return
    print_warnings(plan.warnings)
    out = console()
    out.print(Text.assemble((plan.sweep.name, "bold"), f"  {plan.sweep.description}".rstrip()))
    out.print(Grid(_trials(plan, statuses)))
    if len(plan.trials) > MOST_LINES:
        out.print(f"… and {len(plan.trials) - MOST_LINES:,} more")
    out.print()
    out.print(Grid(_stages(plan, statuses, needs, rates)))
    out.print()
    for line in [*_memory_lines(needs), *summary(plan, statuses, rates)]:
        out.print(line, soft_wrap=True)
    if count := _num_random(plan, known):
        out.print(f"random values stand for those to be suggested, in {plural(count, 'trial')}.")
    if simulation is not None:
        print_simulation(plan, simulation, rates)


def _num_random(plan: Plan, known: Plan) -> int:
    """How many trials have random points instead of points that the searcher will suggest."""
    return len(plan.trials) - len(known.trials)


def _trials(plan: Plan, statuses: dict[str, StageStatus]) -> Listing[PlannedTrial]:
    def stored(trial: PlannedTrial) -> str:
        return f"{sum(statuses[s.key].state == 'stored' for s in trial.stages)} of {len(trial.stages)}"

    def value(path: str, trial: PlannedTrial) -> str:
        return in_words(trial.trial.varied.get(path))

    varied = list(dict.fromkeys(path for trial in plan.trials for path in trial.trial.varied))
    columns = [
        Column[PlannedTrial]("trial", lambda trial: trial.name, min_width=16),
        *(Column[PlannedTrial](path, partial(value, path)) for path in varied),
        Column("stored", stored, is_number=True),
    ]
    return Listing(plural(len(plan.trials), "trial"), columns, plan.trials[:MOST_LINES])


@dataclass(frozen=True)
class _Alike:
    """Stages that share a row."""

    keys: Sequence[str]
    first: StageStatus
    cost: CostEstimate


def _stages(plan: Plan, statuses: dict[str, StageStatus], needs: Needs, rates: Rates) -> Listing[_Alike]:
    rows = []
    for keys in _alike(statuses):
        first = statuses[keys[0]]  # a single stage is shown at full cost, however likely it is to be needed
        cost = first.left if len(keys) == 1 else sum_of(statuses[key].expected for key in keys)
        rows.append(_Alike(keys, first, cost))
    columns: list[Column[_Alike]] = [
        Column("stage", lambda row: row.first.stage.name, folds=False),
        Column("kind", lambda row: row.first.stage.kind, folds=False),
        Column("for", lambda row: _for(plan, row.keys, round(row.cost.stages)), min_width=10),
        Column("budget", _budget, is_number=True),
        Column("state", _state, min_width=7, color=lambda row: STATE_STYLES[row.first.state]),
        Column(plan.hints.days.name, _days, is_number=True),
        *([Column("USD", _dollars, is_number=True)] if rates else []),
        Column("about", partial(_time, plan), is_number=True),
    ]
    if any(_uses_gpus(plan, key) for key in plan.stages):
        columns.insert(5, Column("memory", partial(_memory, plan, needs), is_number=True))
    return Listing(plural(len(plan.stages), "stage"), columns, rows)


def _budget(row: _Alike) -> str:
    return f"{row.first.stage.amount:,} {row.first.stage.unit}" if row.first.stage.budget else ""


def _days(row: _Alike) -> str:
    return "?" if row.cost.device_days is None else days(row.cost.device_days)


def _dollars(row: _Alike) -> str:
    return "?" if row.cost.usd is None else usd(row.cost.usd) + ("+?" if row.cost.unknown_usd else "")


def _memory(plan: Plan, needs: Needs, row: _Alike) -> str:
    """The largest need of a worker; empty without GPUs."""
    known = [need.bytes for key in row.keys if (need := needs[key]) is not None]
    if known:
        return f"{max(known) / GIB:.1f} GiB"
    return "?" if _uses_gpus(plan, row.keys[0]) else ""


def _uses_gpus(plan: Plan, key: str) -> bool:
    _, gpus = plan.sweep.resources.group_of(plan.stages[key]).of_each
    return gpus > 0


def _memory_lines(needs: Needs) -> list[str]:
    """What the stages need beside what their devices have: of those of one name, with as many items at a time, the one
    that needs most."""
    largest: dict[tuple[str, int], MemoryNeed] = {}
    for need in needs.values():
        if need is not None:
            alike = need.stage.name, need.at_a_time
            largest[alike] = max(need, largest.get(alike, need), key=lambda each: each.bytes)
    return [f"memory: {memory_in_words(need)}" for need in largest.values()]


def _time(plan: Plan, row: _Alike) -> str:
    """By earlier results; else by FLOPs on the GPUs of the stage's resources: "3d 22h on 8"."""
    if row.first.state in ("stored", "dropped"):
        return ""
    if row.cost.seconds is not None:
        return took(row.cost.seconds)
    seconds = _seconds_on_gpus(plan, row.first.stage, row.cost)
    return "?" if seconds is None else f"{took(seconds)} on {_gpus(plan, row.first.stage):g}"


def _gpus(plan: Plan, stage: Stage) -> float:
    """The most GPUs that a stage may have."""
    group = plan.sweep.resources.group_of(stage)
    return group.units[1] * group.of_each[1]


def _seconds_on_gpus(plan: Plan, stage: Stage, cost: CostEstimate) -> float | None:
    """A stage's device-days divided among the most GPUs that it may have. None without GPUs, and for GPUs of another
    kind than the device whose days these are."""
    named, reference = plan.sweep.resources.group_of(stage).gpu, plan.hints.days.reference
    if named is not None and find_device(named) != find_device(reference):
        return None
    gpus = _gpus(plan, stage)
    return None if cost.device_days is None or not gpus else cost.device_days * SECONDS_PER_DAY / gpus


def _alike(statuses: dict[str, StageStatus]) -> list[list[str]]:
    """Keys that share a row: one each, or, if there are too many to read, all of one kind, budget and state."""
    if len(statuses) <= MOST_LINES:
        return [[key] for key in statuses]
    lines: dict[tuple[str, int, State], list[str]] = {}
    for key, status in statuses.items():
        lines.setdefault((status.stage.name, status.stage.amount, status.state), []).append(key)
    return list(lines.values())


def _for(plan: Plan, alike: Sequence[str], count: int) -> str:
    """The trials that read a stage, and their number; for several stages, how many will be computed."""
    if len(alike) > 1:
        return f"{'' if count == len(alike) else f'{count:,} of '}{plural(len(alike), 'stage')}"
    readers = len(plan.trials_of[alike[0]])
    label = serves(plan, alike[0])
    return label if readers in (1, len(plan.trials)) else f"{label} ({plural(readers, 'trial')})"


def _state(row: _Alike) -> str:
    status = row.first
    state = f"partial {status.done:,} of {status.stage.amount:,}" if status.state == "partial" else status.state
    return f"{state}, if promoted" if len(row.keys) == 1 and status.chance < 1 else state


def _memory_json(need: MemoryNeed | None) -> dict[str, Any] | None:
    if need is None:
        return None
    return {
        "bytes_per_worker": need.bytes,
        "at_a_time": need.at_a_time,
        "setting": need.memory.setting,
        "device": need.device,
        "most_by_gib": {str(size): most for size, most in need.most.items()},
        "remedies": list(need.memory.remedies),
    }


def _as_json(
    plan: Plan, statuses: dict[str, StageStatus], needs: Needs, rates: Rates, changed: Mapping[str, list[str]]
) -> dict[str, Any]:
    unit = plan.hints.days.field
    return {
        "sweep": plan.sweep.name,
        "file": plan.sweep.file,
        "profile": plan.sweep.profile,
        "market": rates.market if rates else None,
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
                "rows": status.rows,
                "chance": status.chance,
                unit: status.left.device_days,
                f"{unit}_by": next(iter(status.left.by), None),
                "usd": status.left.usd,
                "seconds": status.left.seconds,
                "seconds_on_gpus": _seconds_on_gpus(plan, status.stage, status.left),
                "memory": _memory_json(needs[key]),
                "changed_modules": changed.get(key, []),
            }
            for key, status in statuses.items()
        ],
        "warnings": list(plan.warnings),
        "stages_if_nothing_were_shared": sum(len(trial.stages) for trial in plan.trials),
    }
