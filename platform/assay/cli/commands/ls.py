"""`assay ls`: the sweeps that have a report here, and the stages in the store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assay.cli.output import console, print_json, read_only_store
from assay.home import Home
from assay.report.report_file import ReportFile, reports
from assay.report.tables.grids import Grid
from assay.report.tables.listing import Column, Listing
from assay.store import RunningRecord, StoredResult
from assay.text import age, clock, counted, plural, relative, size, took

KEY_SHOWN = 12


def list_everything(address: str | None, is_json: bool) -> None:
    home = Home.default()
    sweeps = _reports(home)
    store = read_only_store(home)
    results, running = sorted(store.results(), key=lambda r: r.created, reverse=True), store.running()
    if address is not None:
        from assay.cli.commands.jobs import jobs_grid, jobs_json  # imports Ray
    if is_json:
        told = {} if address is None else {"jobs": jobs_json(address)}
        told["running"] = [run_json(run) for run in running]
        print_json({**told, "sweeps": sweeps, "stages": [_stage_json(result) for result in results]})
        return
    out = console()
    if address is not None:
        out.print(jobs_grid(address))
        out.print()
    if running:
        out.print(Grid(Listing(f"{plural(len(running), 'run')} in progress: assay watch", RUN_COLUMNS, running)))
        out.print()
    if not sweeps and not results and not running:
        out.print(f"Nothing yet in {relative(home.root)}. Start with: assay run SWEEP", soft_wrap=True)
        return
    if sweeps:
        out.print(Grid(Listing(plural(len(sweeps), "sweep"), SWEEP_COLUMNS, sweeps)))
        out.print()
    if results:
        out.print(Grid(Listing("stored stages", STAGE_COLUMNS, results)))
        out.print()
        total = sum(result.bytes for result in results)
        out.print(f"{plural(len(results), 'stage')}, {size(total)}. For details: assay show KEY", soft_wrap=True)


def ago(created: str) -> str:
    return age((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())


def budget_of(result: StoredResult) -> str:
    return f"{result.budget.amount:,} {result.budget.unit}" if result.budget.path else ""


def _reports(home: Home) -> list[dict[str, Any]]:
    """The last report of `assay run` for each sweep, newest first."""
    entries = [(folder, report) for folder, report in reports(home) if isinstance(report, ReportFile)]
    entries.sort(key=lambda entry: entry[1].created, reverse=True)
    return [_summary(report, folder) for folder, report in entries]


def _summary(report: ReportFile, folder: Path) -> dict[str, Any]:
    best, value = report.first or (None, None)
    return {
        "sweep": report.sweep,
        "profile": report.profile,
        "file": report.file,
        "trials": len(report.trials),
        "failed": sum(trial.failure is not None for trial in report.trials),
        "metric": report.metric,
        "best": best,
        "best_value": value,
        "created": report.created.isoformat(),
        "report": str(folder),
    }


SWEEP_COLUMNS: tuple[Column[dict[str, Any]], ...] = (
    Column("sweep", lambda s: f"{s['sweep']} ({s['profile']})" if s["profile"] else s["sweep"], min_width=10),
    Column("trials", lambda s: f"{s['trials']}" + (f", {s['failed']} failed" if s["failed"] else ""), is_number=True),
    Column("best", lambda s: s["best"] or "-", min_width=16),
    Column("metric", lambda s: "" if s["best_value"] is None else f"{s['metric']} {s['best_value']:.4g}", min_width=10),
    Column("when", lambda s: ago(s["created"]), is_number=True),
    Column("report", lambda s: relative(Path(s["report"])), min_width=18),
)
STAGE_COLUMNS: tuple[Column[StoredResult], ...] = (
    Column("key", lambda r: r.key[:KEY_SHOWN], folds=False),
    Column("stage", lambda r: r.stage, folds=False),
    Column("budget", lambda r: budget_of(r), is_number=True),
    Column("size", lambda r: size(r.bytes), is_number=True),
    Column("took", lambda r: took(r.cost.seconds), is_number=True),
    Column("when", lambda r: ago(r.created), is_number=True),
)


RUN_COLUMNS: tuple[Column[RunningRecord], ...] = (
    Column("sweep", lambda run: f"{run.sweep} ({run.profile})" if run.profile else run.sweep, min_width=10),
    Column("trials", lambda run: f"{run.board.trials_done} of {run.board.trials}" if run.board else "", is_number=True),
    Column("computes", lambda run: _running_stages(run), min_width=12),
    Column("by", lambda run: f"{run.user} on {run.host}"),
    Column("since", lambda run: ago(run.started), is_number=True),
    Column("left", lambda run: clock(run.board.left_s) if run.board and run.board.left_s else "?", is_number=True),
)


def _running_stages(run: RunningRecord) -> str:
    return counted([stage.name for stage in run.board.running]) if run.board else "starting"


def run_json(run: RunningRecord) -> dict[str, Any]:
    return run.model_dump(mode="json", exclude={"keys", "lineages", "studies"})


def _stage_json(result: StoredResult) -> dict[str, Any]:
    return {
        "key": result.key,
        "stage": result.stage,
        "budget": result.budget.model_dump(),
        "bytes": result.bytes,
        "seconds": result.cost.seconds,
        "device": result.cost.device,
        "created": result.created,
    }
