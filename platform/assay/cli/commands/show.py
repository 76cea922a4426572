"""`assay show`: one stored stage, a sweep, one of its trials, a preset, or a job."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from assay.cli.commands.ls import KEY_SHOWN, ago, budget_of
from assay.cli.commands.preset_tables import show_tables
from assay.cli.names import open_sweep
from assay.cli.output import console, print_json, print_text, read_only_store
from assay.costs.availability import survey
from assay.errors import AssayError, UserError, did_you_mean, passing_warnings
from assay.home import Home
from assay.planning import Plan, PlannedTrial, make_plan
from assay.provenance import origin_in_words
from assay.report.tables.grids import Grid
from assay.report.tables.listing import Column, Listing
from assay.store import Store, StoredResult
from assay.sweep.config_text import as_yaml, asked_in_words
from assay.sweep.expansion import in_words
from assay.sweep_files import find_sweep
from assay.text import devices, json_number, size, took
from assay.workload import JSON, Stage, installed_presets

KEY = re.compile(r"[0-9a-f]{4,32}")
TABLE = "table"
"""Prefix of the names of printed tables, after `preset`."""
JOB = re.compile(r".+-[0-9a-f]{10}-\d+")


def show_anything(
    what: str, name: str | None, profile: str | None, sets: Sequence[str], *, address: str | None, is_json: bool
) -> None:
    if what == "preset":
        _show_preset(name, is_json)
        return
    if name is not None:
        raise UserError(f"got {what!r} and {name!r}, allowed: one key or sweep, or: show preset NAME")
    store = read_only_store(Home.default())
    if KEY.fullmatch(what):
        matching = [key for key in store.known() if key.startswith(what)]
        if matching:
            _show_result(_by_key(store, what, matching), store, is_json)
            return
    try:
        sweep_name, trial = _split(what)
    except UserError as error:
        no_key = UserError(f"no stored stage has a key that starts with {what}; see them with: assay ls")
        _show_job(what, address, is_json, otherwise=no_key if KEY.fullmatch(what) else error)
        return
    plan = make_plan(open_sweep(sweep_name, profile, sets), store)
    if trial is None:
        _show_sweep(plan, store, is_json)
    else:
        _show_trial(plan, _find_trial(plan, trial), store, is_json)


def find_result(store: Store, prefix: str) -> StoredResult:
    """The stored result whose key starts with `prefix`. Raises UserError if there is none, or several."""
    matching = [key for key in store.known() if key.startswith(prefix)] if KEY.fullmatch(prefix) else []
    if not matching:
        raise UserError(f"no stored stage has a key that starts with {prefix}; see them with: assay ls")
    return _by_key(store, prefix, matching)


def _show_job(what: str, address: str | None, is_json: bool, otherwise: UserError) -> None:
    """Show a job by a prefix of its id; `otherwise` is the error if it cannot be one."""
    if address is None and JOB.fullmatch(what):
        raise UserError(f"{what} is the id of a job: give its cluster by --address http://HEAD:8265 or ASSAY_ADDRESS")
    if address is None:
        raise otherwise
    from assay.cli.commands.jobs import find_job, show_job  # imports Ray

    try:
        job = find_job(what, address)
    except AssayError as error:
        raise type(error)(f"{otherwise}\nIt is not a job either: {error}") from error
    show_job(job, is_json)


def _split(what: str) -> tuple[str, str | None]:
    """ "sweep:trial", split at the first colon that is not part of a file's name."""
    try:
        return str(find_sweep(what)), None
    except UserError:
        name, colon, trial = what.partition(":")
        if not colon:
            raise
        return str(find_sweep(name)), trial


def _by_key(store: Store, prefix: str, matching: Sequence[str]) -> StoredResult:
    if len(matching) > 1:
        shown = ", ".join(key[:16] for key in matching[:6])
        raise UserError(f"ambiguous key prefix {prefix} ({len(matching)} matches: {shown}); type more characters")
    result = store.get(matching[0])
    if result is None:
        raise UserError(f"{matching[0]} is unfinished; run its sweep again to finish it")
    return result


def _find_trial(plan: Plan, text: str) -> PlannedTrial:
    """By its name, its number in the file, or an unambiguous prefix of its name."""
    names = [trial.name for trial in plan.trials]
    if text in names:
        return plan.trials[names.index(text)]
    if text.isdecimal() and int(text) < len(names):
        return plan.trials[int(text)]
    matches = [trial for trial in plan.trials if trial.name.lower().startswith(text.lower())]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UserError(f"{text!r} is ambiguous, {len(matches)} trials: {'; '.join(t.name for t in matches)}")
    hint = did_you_mean(text, names, f"; it has: {'; '.join(names)}")
    raise UserError(f"{plan.sweep.name} has no trial {text!r}{hint}")


def _show_preset(name: str | None, is_json: bool) -> None:
    with passing_warnings(lambda message: print(f"warning: {message}", file=sys.stderr)):
        installed = installed_presets()
    known = [(preset, workload) for workload, presets in installed.items() for preset in presets]
    names = [preset for preset, _ in known]
    if name is None:
        labels = [(p if names.count(p) == 1 else f"{workload.name}:{p}", workload) for p, workload in known]
        if is_json:
            print_json(sorted(label for label, _ in labels))
        else:
            for label, workload in labels:
                print(f"{label}  ({workload.name})")
        return
    if name not in names and name.startswith(TABLE):
        show_tables(list(installed), name, is_json)
        return
    qualified = {f"{workload.name}:{preset}": (preset, workload) for preset, workload in known}
    matching = [entry for label, entry in qualified.items() if name in (label, entry[0])]
    if not matching:
        raise UserError(f"unknown preset {name!r}{did_you_mean(name, names)}")
    if len(matching) > 1:
        choices = ", ".join(f"{workload.name}:{preset}" for preset, workload in matching)
        raise UserError(f"{name!r} is a preset of {len(matching)} workloads; allowed: {choices}")
    preset, workload = matching[0]
    with passing_warnings(None):  # warnings are about trials
        config = workload.resolve(preset, {})
    if is_json:
        print_json(config)
    else:
        print_text(as_yaml(config).rstrip("\n"))


def _show_sweep(plan: Plan, store: Store, is_json: bool) -> None:
    statuses = survey(plan, store)
    if is_json:
        print_json({"sweep": plan.sweep.name, "trials": [_trial_json(plan, trial, store) for trial in plan.trials]})
        return
    out = console()
    out.print(Text.assemble((plan.sweep.name, "bold"), f"  {plan.sweep.description}".rstrip()))

    rows = [(trial, stage) for trial in plan.trials for stage in trial.stages]
    columns: list[Column[tuple[PlannedTrial, Stage]]] = [
        Column("#", lambda row: str(row[0].trial.index) if row[1] is row[0].stages[0] else "", folds=False),
        Column("trial", lambda row: row[0].name if row[1] is row[0].stages[0] else ""),
        Column("stage", lambda row: row[1].name, folds=False),
        Column("key", lambda row: row[1].key[:KEY_SHOWN], folds=False),
        Column("state", lambda row: statuses[row[1].key].state, folds=False),
    ]
    out.print(Grid(Listing(None, columns, rows)))
    out.print()
    out.print(f"A trial's full config: assay show {plan.sweep.name}:0", soft_wrap=True)


def _trial_json(plan: Plan, trial: PlannedTrial, store: Store) -> dict[str, Any]:
    results = _results(plan, trial, store)
    rung, leaf = trial.reached(results) or (None, None)
    return {
        "trial": trial.name,
        "config": trial.trial.config,
        "varied": dict(trial.trial.varied),
        "stages": [{"stage": s.name, "key": s.key, "amount": s.amount if s.budget else None} for s in trial.stages],
        "chosen": {result.stage: chosen for result in results.values() if (chosen := _chosen(result))},
        "reached": rung and rung.amount,
        "metrics": None if leaf is None else _numbers(leaf.metrics),
    }


def _show_trial(plan: Plan, trial: PlannedTrial, store: Store, is_json: bool) -> None:
    if is_json:
        print_json(_trial_json(plan, trial, store))
        return
    statuses = survey(plan, store)
    out = console()
    out.print(Text(trial.name, style="bold"))
    for stage in trial.stages:
        state = statuses[stage.key].state
        out.print(f"  {stage.name:<18} {stage.key[:KEY_SHOWN]}  {state}", soft_wrap=True)
    results = _results(plan, trial, store)
    if (reached := trial.reached(results)) is not None:
        rung, leaf = reached
        where = "" if rung.amount is None else f" at {rung.amount:,} of {plan.sweep.scheduler.budget}"
        out.print(f"\nmetrics{where}", style="bold")
        _print_pairs(leaf.metrics)
    out.print("\nconfig", style="bold")
    print_text(as_yaml(trial.trial.config).rstrip("\n"))
    if chosen := [(result, path) for result in results.values() for path in result.asked]:
        out.print("\nchosen at run time", style="bold")
        for result, path in chosen:
            print_text(
                f"  {result.stage:<18} {path} {in_words(result.notes[path])}  # {asked_in_words(result.asked[path])}"
            )


def _results(plan: Plan, trial: PlannedTrial, store: Store) -> dict[str, StoredResult]:
    """Results of the rungs that it climbs, by key."""
    return {s.key: result for s in trial.climbed(plan.decided) if (result := store.find(s.key)) is not None}


def _chosen(result: StoredResult) -> dict[str, JSON]:
    """Path → the chosen value, where the config asks for another, such as "auto"."""
    return {path: result.notes[path] for path in result.asked}


def _show_result(result: StoredResult, store: Store, is_json: bool) -> None:
    origins = {name: made for name in sorted(result.provenance.origins) if (made := store.origin(name)) is not None}
    if is_json:
        dumped = {name: origin.model_dump(mode="json") for name, origin in origins.items()}
        print_json({**result.record, "metrics": _numbers(result.metrics), "origins": dumped})
        return
    out, cost = console(), result.cost
    out.print(Text.assemble((f"{result.stage}  {result.key}", "bold")), soft_wrap=True)
    out.print(f"  committed {ago(result.created)} ({result.created}), {size(result.bytes)}", soft_wrap=True)
    out.print(f"  took {took(cost.seconds)} on {devices(cost.count, cost.device)}", soft_wrap=True)
    if budget_of(result):
        out.print(f"  budget {budget_of(result)} ({result.budget.path})", soft_wrap=True)
    for origin in origins.values():
        out.print("\nfrom", style="bold")
        for name, text in origin_in_words(origin).items():
            print_text(f"  {name:<18} {text}")
        _print_machines(result)
    if result.notes:
        out.print("\nnotes", style="bold")
        for name, value in result.notes.items():
            print_text(f"  {name:<18} {in_words(value)}")
    if result.metrics:
        out.print("\nmetrics", style="bold")
        _print_pairs(result.metrics)
    if result.inputs:
        out.print("\ninputs", style="bold")
        _print_inputs(result.inputs)
    if (rows := result.rows_read) is not None:
        out.print(f"\nrows of {rows.stage}  {rows.key[:KEY_SHOWN]}", style="bold")
        _print_inputs(rows.inputs)
        print_text(as_yaml(rows.config, {}).rstrip("\n"))
    if result.file_bytes or result.shards:
        out.print("\nfiles", style="bold")
        for name, num_bytes in result.file_bytes.items():
            out.print(f"  {name:<18} {size(num_bytes):>8}  {result.file(name)}", soft_wrap=True)
        if result.shards:
            out.print(f"  {len(result.shards)} shards of rows", soft_wrap=True)
    out.print("\nconfig", style="bold")
    print_text(as_yaml(result.config, result.asked).rstrip("\n"))
    if result.execution:
        out.print("\nexecution", style="bold")
        print_text(as_yaml(result.execution, result.asked).rstrip("\n"))


def _print_machines(result: StoredResult) -> None:
    made = {"computed on": ", ".join(sorted(result.provenance.hosts)), **result.provenance.versions}
    for name, text in made.items():
        print_text(f"  {name:<18} {text}")


def _print_inputs(inputs: Mapping[str, str]) -> None:
    for role, key in inputs.items():
        print_text(f"  {role:<18} {key[:KEY_SHOWN]}")


def _print_pairs(values: Mapping[str, float]) -> None:
    for name, value in values.items():
        print_text(f"  {name:<18} {value:.6g}")


def _numbers(values: Mapping[str, float]) -> dict[str, float | str]:
    return {name: json_number(value) for name, value in values.items()}
