"""`assay why`: what makes a stage be computed that a stored result does not answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from assay.cli.commands.ls import KEY_SHOWN, ago
from assay.cli.commands.show import KEY
from assay.cli.names import open_sweep
from assay.cli.output import console, print_json, print_text, read_only_store
from assay.costs.availability import StageStatus, survey
from assay.errors import AssayError, UserError
from assay.home import Home
from assay.planning import Plan, make_plan
from assay.planning.labels import serves
from assay.planning.why import Difference, Reason, reasons
from assay.report.report_file import ReportFile, reports
from assay.store import Store
from assay.sweep_files import SUFFIXES, SWEEPS
from assay.workload import Stage

MOST_TRIALS = 100
"""Trials of each sweep that are searched for a key."""


def explain(what: str, sweep: str | None, profile: str | None, sets: Sequence[str], is_json: bool) -> None:
    """`what` is a sweep, or a key of the sweep that is given or of any that is known here."""
    home = Home.default()
    store = read_only_store(home)
    key = what if sweep is not None or KEY.fullmatch(what) else None
    if key is None:
        plan = make_plan(open_sweep(what, profile, sets), store)
        chosen = [*plan.needed.values()]
    else:
        if not KEY.fullmatch(key):
            raise UserError(f"got {key!r}, allowed: the first characters of a key, and the sweep that it is of")
        plan, chosen = _find(key, _plans(home, store, sweep, profile, sets))
    statuses = survey(plan, store)
    missing = [stage for stage in chosen if statuses[stage.key].state != "stored"]
    found = reasons(missing, store.results()) if missing else []
    if is_json:
        print_json([_as_json(reason, statuses[reason.stage.key]) for reason in found])
        return
    if not missing:
        is_one = key is not None
        print_text(
            f"{chosen[0].name} {chosen[0].key} is stored" if is_one else f"all {len(chosen):,} stages are stored"
        )
        return
    alike: dict[tuple[str, tuple[str, ...]], list[Stage]] = {}
    for reason in found:
        lines = tuple(_lines(reason, statuses[reason.stage.key]))
        alike.setdefault((reason.stage.name, lines), []).append(reason.stage)
    for place, ((_, lines), stages) in enumerate(alike.items()):
        if place:
            print()
        _print(plan, stages, lines)


def _plans(home: Home, store: Store, sweep: str | None, profile: str | None, sets: Sequence[str]) -> Iterator[Plan]:
    """The plans that may hold a key: of the sweep, or of those with a report here and those in sweeps/."""
    if sweep is not None:
        yield make_plan(open_sweep(sweep, profile, sets), store)
        return
    ran = [(report.file, report.profile) for _, report in reports(home) if isinstance(report, ReportFile)]
    here = [(str(file), profile) for suffix in SUFFIXES for file in sorted(SWEEPS.glob(f"*{suffix}"))]
    for file, at in dict.fromkeys([*((f, p) for f, p in ran if f and Path(f).is_file()), *here]):
        try:
            yield make_plan(open_sweep(file, at, sets), store, MOST_TRIALS)
        except AssayError as error:  # a sweep of another time, or without this profile: the key may be of the next
            print(f"left out {file}: {str(error).splitlines()[0]}", file=sys.stderr)


def _find(prefix: str, plans: Iterator[Plan]) -> tuple[Plan, list[Stage]]:
    for plan in plans:
        matching = [key for key in plan.stages if key.startswith(prefix)]
        if len(matching) > 1:
            raise UserError(f"ambiguous key prefix {prefix} ({len(matching)} matches): type more characters")
        if matching:
            return plan, [plan.stages[matching[0]]]
    raise UserError(
        f"no stage of a sweep known here has a key that begins with {prefix}; name its sweep: assay why {prefix} SWEEP "
        "[--profile NAME]. Keys of a sweep: assay show SWEEP"
    )


def _print(plan: Plan, stages: Sequence[Stage], lines: Sequence[str]) -> None:
    """The lines about stages of one name for which they are the same."""
    first, *more = stages
    title = f" ({serves(plan, first.key)})  " if not more else f" ({len(stages):,} stages)  "
    keys = first.key[:KEY_SHOWN] if not more else f"{first.key[:KEY_SHOWN]}, …"
    console().print(Text.assemble((first.name, "bold"), title, (keys, "dim")), soft_wrap=True)
    for line in lines:
        print_text(f"  {line}")


def _lines(reason: Reason, status: StageStatus) -> Iterator[str]:
    stage = reason.stage
    if status.state == "damaged":
        yield "its stored result is damaged; see: assay doctor"
        return
    if status.done:
        yield f"{status.done:,} of {stage.amount:,} {stage.unit} are stored: it continues there"
    if reason.nearest is None:
        yield f"nothing is stored of a stage named {stage.name}"
        return
    if reason.is_by_inputs:
        names = ", ".join(dict.fromkeys(each.source.name for each in reason.differences if each.source is not None))
        yield f"it reads {names}, which is not the one that was stored"
        return
    yield f"the nearest stored is {reason.nearest.key[:KEY_SHOWN]}, {ago(reason.nearest.created)}; it differs in:"
    width = max(len(each.what) for each in reason.differences)
    for each in reason.differences:
        yield f"  {each.what:<{width}}  {_short(each, each.planned)}, stored: {_short(each, each.stored)}"


def _short(difference: Difference, value: str) -> str:
    return value[:KEY_SHOWN] if difference.source is not None else value


def _as_json(reason: Reason, status: StageStatus) -> dict[str, Any]:
    return {
        "key": reason.stage.key,
        "stage": reason.stage.name,
        "state": status.state,
        "done": status.done,
        "nearest": None if reason.nearest is None else reason.nearest.key,
        "differences": [{"what": d.what, "planned": d.planned, "stored": d.stored} for d in reason.differences],
    }
