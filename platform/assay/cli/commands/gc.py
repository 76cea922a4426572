"""`assay gc`: delete from the store and from MLflow what no sweep that is kept reaches."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assay.cli.exits import EXIT_COULD_NOT
from assay.cli.names import command_line, open_sweep, report_folder
from assay.cli.output import console, print_json
from assay.errors import UserError, passing_warnings
from assay.home import Home
from assay.planning.reached import plan_to_keep, reached_by, refuse_unknown_keys
from assay.report.report_file import ReportFile
from assay.report.tables.grids import Grid
from assay.report.tables.listing import Column, Listing
from assay.store import Store
from assay.store.contents import bytes_in
from assay.store.garbage import Author, Garbage, Reached, delete, find_garbage, in_use, sweeps_of
from assay.store.scratch import LEFT_ALONE_S, leftovers
from assay.sweep import Sweep
from assay.text import counted, plural, size
from assay.tracking import Found, OldRun, OldVersion, StoredKeys, delete_old, find_old

SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
YOUNG = "1d"
NAMES = {
    "results": "results",
    "progress": "checkpoints and shards",
    "studies": "notes on decisions and charges",
    "origins": "records of where results came from",
    "leases": "notes of what killed runs were computing",
    "staging": "interrupted uploads",
    "ray": "Ray's scratch",
    "set-aside": "damaged files that were set aside",
    "mlflow": "MLflow runs",
    "models": "registered models",
}


LEFT = {
    "running": "RUNNING; if it was killed, `assay sync` with its sweep ends it",
    "elsewhere": "without a result in this store: of another one, or deleted earlier; `assay ui` can delete them",
}
"""Why runs in MLflow stay though they are old."""


@dataclass(frozen=True)
class Item:
    """One thing that can be deleted, or was."""

    what: str
    path: str
    bytes: int | None
    """None if MLflow's server has it."""
    stage: str = ""
    author: Author | None = None
    model: str = ""
    """The registered model that this is a version of."""


@dataclass(frozen=True)
class Row:
    """Everything of one kind by one sweep."""

    sweep: str
    what: str
    items: Sequence[Item]

    @property
    def bytes(self) -> int:
        return sum(item.bytes or 0 for item in self.items)

    @property
    def size(self) -> str:
        is_partly_unknown = any(item.bytes is None for item in self.items)
        return f"{size(self.bytes) if self.bytes or not is_partly_unknown else ''}{'+?' if is_partly_unknown else ''}"


class _Collection:
    """What there is to delete, given what is to stay."""

    def __init__(
        self, home: Home, store: Store, sweeps: Sequence[Sweep], age_s: float, *, with_set_aside: bool
    ) -> None:
        self._home, self._store = home, store
        self.reached = _reached(sweeps, store)
        self.garbage = find_garbage(store, self.reached, age_s, with_set_aside=with_set_aside)
        local = "://" not in home.scratch_url
        folders = leftovers(Path(home.scratch_url)) if local else []
        self.scratch = [Item("ray", str(folder), bytes_in(folder)) for folder in folders]
        kept = {sweep.name for sweep in sweeps} | {run.sweep for run in store.running(LEFT_ALONE_S)}
        going = {each.path.removeprefix("results/"): each.author for each in self.garbage if each.what == "results"}
        self.mlflow = find_old(home, kept, age_s, StoredKeys({*store.known()}, sweeps_of(store), going))

    @property
    def items(self) -> list[Item]:
        return [
            *map(_of_store, self.garbage),
            *self.scratch,
            *map(_of_run, self.mlflow.runs),
            *map(_of_version, self.mlflow.versions),
        ]

    def delete(self) -> None:
        """Delete it; what is deleted is what remains here."""
        self.garbage = delete(self._store, self.garbage)
        for item in self.scratch:
            shutil.rmtree(item.path, ignore_errors=True)  # the next run of its user may be removing it
        deleted = {each.path for each in self.garbage}
        lost = [each for each in self.mlflow.versions if each.key is None or f"results/{each.key}" in deleted]
        self.mlflow = delete_old(self._home, replace(self.mlflow, versions=lost))


def collect_garbage(keep: Sequence[str], older_than: str | None, is_preview: bool, is_yes: bool, is_json: bool) -> int:
    """Print what would be deleted, or delete it and print what was. Returns the exit code."""
    if not keep:
        raise UserError("gc: got no sweep to keep, allowed: one or more, as in --keep quickstart")
    if is_preview and is_yes:
        raise UserError("gc: got --preview and --yes; give only one of them")
    age_s, home = seconds_of(older_than or YOUNG), Home.default()
    store, sweeps = Store(home.store_url, heals=False), list(_every_profile(keep, home))
    found = _Collection(home, store, sweeps, age_s, with_set_aside=older_than is not None)
    if is_yes:
        found.delete()
    stay = _staying(found, store, sweeps, older_than or YOUNG)
    rows = _rows(found.items, {sweep.name for sweep in sweeps})
    if is_json:
        about = {"mlflow": found.mlflow.problem, "mlflow_left": _left_json(found.mlflow)}
        print_json({"deleted": is_yes, "stays": stay, **about, **_as_json(rows)})
    else:
        _print(rows, stay, found.mlflow, is_yes)
    return EXIT_COULD_NOT if found.mlflow.problem else 0


def seconds_of(age: str) -> float:
    """ "30d" as seconds. Raises UserError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", age.strip())
    if match is None:
        raise UserError(f"--older-than: got {age!r}, allowed: hours, days or weeks, as in 12h, 30d or 2w")
    return float(match[1]) * SECONDS[match[2]]


def _every_profile(names: Sequence[str], home: Home) -> Iterator[Sweep]:
    """The sweeps without and with each of their profiles, and as they last ran here with --set."""
    for name in dict.fromkeys(names):
        whole = open_sweep(name, None, [])
        for profile in (None, *whole.profiles):
            sweep = whole if profile is None else open_sweep(name, profile, [])
            yield sweep
            try:
                sets = ReportFile.read(report_folder(home, sweep)).sets
            except UserError:  # it did not run here
                continue
            if sets:
                yield open_sweep(name, profile, sets)


def _reached(sweeps: Sequence[Sweep], store: Store) -> Reached:
    reached = Reached()
    with passing_warnings(None):  # these are for who runs them
        plans = [plan_to_keep(sweep, store) for sweep in sweeps]
        for plan in plans:
            reached |= reached_by(plan, store)
        for plan in plans:
            refuse_unknown_keys(plan, store, reached.keys)
    return reached


def _of_store(garbage: Garbage) -> Item:
    return Item(garbage.what, garbage.path, garbage.bytes, garbage.stage, garbage.author)


def _of_run(old: OldRun) -> Item:
    return Item("mlflow", f"mlflow/{old.run.info.run_id}", old.bytes, "", (old.sweep, old.profile))


def _of_version(old: OldVersion) -> Item:
    return Item("models", f"models:/{old.model}/{old.version}", 0, author=old.author, model=old.model)


def _rows(items: Iterable[Item], kept: set[str]) -> list[Row]:
    """By sweep, those without any last."""
    rows: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        rows.setdefault((_label(item, kept), item.what), []).append(item)
    order = list(NAMES)
    named = sorted(rows.items(), key=lambda row: (row[0][0] == "", row[0][0], order.index(row[0][1])))
    return [Row(sweep, what, members) for (sweep, what), members in named]


def _label(item: Item, kept: set[str]) -> str:
    if item.author is None:
        return "unknown" if item.what in ("results", "progress") else ""
    name, profile = item.author
    label = f"{name} ({profile})" if profile else name
    return f"{label}, with other settings" if name in kept else label


def _staying(found: _Collection, store: Store, sweeps: Sequence[Sweep], age: str) -> dict[str, Any]:
    known, going = {*store.known()}, {each.path for each in found.garbage}
    left = {key for key in known if f"results/{key}" not in going}
    used = in_use(store).keys & left
    return {
        "kept": sorted({sweep.name for sweep in sweeps}),
        "results": len(left & found.reached.keys),
        "results_in_use": len(used - found.reached.keys),
        "younger_results": len(left - found.reached.keys - used),
        "age": age,
    }


def _what(row: Row) -> str:
    named = [name for item in row.items if (name := item.stage or item.model)]
    return NAMES[row.what] + (f": {counted(named)}" if named else "")


COLUMNS: tuple[Column[Row], ...] = (
    Column("sweep", lambda row: row.sweep, min_width=10),
    Column("what", _what, min_width=20),
    Column("count", lambda row: f"{len(row.items):,}", is_number=True),
    Column("size", lambda row: row.size, is_number=True),
)


def _print(rows: Sequence[Row], stay: dict[str, Any], mlflow: Found, is_deleted: bool) -> None:
    out = console()
    total = size(sum(row.bytes for row in rows))
    if rows:
        out.print(Grid(Listing("deleted" if is_deleted else "could be deleted", COLUMNS, rows)))
        out.print()
    out.print(f"stays: {_stay_in_words(stay)}", soft_wrap=True)
    for (sweep, why), count in sorted(mlflow.left.items()):
        out.print(f"stays: {plural(count, 'MLflow run')} of {sweep}, {LEFT[why]}.", soft_wrap=True)
    if mlflow.problem is not None:
        out.print(mlflow.problem, soft_wrap=True, style="red")
    if not rows:
        out.print("Nothing to delete.")
    elif is_deleted:
        out.print(f"Freed {total}.")
    else:
        words = command_line().replace(" --preview", "")
        out.print(f"Nothing was deleted. To free {total}: {words} --yes", soft_wrap=True)


def _stay_in_words(stay: dict[str, Any]) -> str:
    parts = [f"{plural(stay['results'], 'result')} of {', '.join(stay['kept'])} with all profiles"]
    if stay["results_in_use"]:
        parts.append(f"{stay['results_in_use']:,} that a run uses")
    if stay["younger_results"]:
        parts.append(f"{stay['younger_results']:,} younger than {stay['age']}, or what these were computed from")
    return "; ".join(parts) + "."


def _as_json(rows: Sequence[Row]) -> dict[str, Any]:
    listed = [
        {"sweep": row.sweep or None, "what": row.what, "count": len(row.items), "bytes": row.bytes} for row in rows
    ]
    items = [_item_json(item) for row in rows for item in row.items]
    return {"bytes": sum(row.bytes for row in rows), "by_sweep": listed, "items": items}


def _left_json(mlflow: Found) -> list[dict[str, Any]]:
    return [{"sweep": sweep, "why": why, "count": count} for (sweep, why), count in sorted(mlflow.left.items())]


def _item_json(item: Item) -> dict[str, Any]:
    sweep, profile = item.author or (None, None)
    about = {"sweep": sweep, "profile": profile, "what": item.what, "stage": item.stage or None}
    return {**about, "path": item.path, "bytes": item.bytes}
