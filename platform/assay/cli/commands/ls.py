"""`assay ls`: the sweeps that have a report here, and the stages in the store."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from assay.cli.commands.reports import ReportOf, reports
from assay.cli.output import console, print_json, store_to_look_at
from assay.home import Home
from assay.report.tables.grids import Grid, ruled
from assay.store import StoredResult
from assay.text import age, plural, relative, size, took

KEY_SHOWN = 12


def list_everything(address: str | None, is_json: bool) -> None:
    home = Home.default()
    sweeps = _reports(home)
    results = sorted(store_to_look_at(home).results(), key=lambda r: str(r.record["created"]), reverse=True)
    if is_json:
        jobs = {} if address is None else {"jobs": jobs_json(address)}
        print_json({**jobs, "sweeps": sweeps, "stages": [_stage_json(result) for result in results]})
        return
    out = console()
    if address is not None:
        out.print(jobs_grid(address))
        out.print()
    if not sweeps and not results:
        out.print(f"Nothing yet in {relative(home.root)}. Start with: assay run SWEEP", soft_wrap=True)
        return
    if sweeps:
        out.print(Grid(partial(_sweep_table, sweeps)))
        out.print()
    if results:
        out.print(Grid(partial(_stage_table, results)))
        out.print()
        total = sum(bytes_of(result) for result in results)
        out.print(f"{plural(len(results), 'stage')}, {size(total)}. More of one: assay show KEY", soft_wrap=True)


def jobs_json(address: str) -> list[dict[str, Any]]:
    from assay.cli.commands import jobs

    return jobs.jobs_json(address)


def jobs_grid(address: str) -> Grid:
    from assay.cli.commands import jobs

    return jobs.jobs_grid(address)


def bytes_of(result: StoredResult) -> int:
    """Files and shards. Shards that a smaller budget shares count in both."""
    return sum(f.bytes for f in result.files.values()) + sum(s.file.bytes for s in result.shards)


def ago(created: str) -> str:
    return age((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())


def budget_of(result: StoredResult) -> str:
    budget = result.record["budget"]
    return f"{budget['amount']:,} {budget['unit']}" if budget["path"] else ""


def _reports(home: Home) -> list[dict[str, Any]]:
    """What `assay run` wrote last about each sweep, the newest first."""
    found = [(folder, report) for folder, report in reports(home) if isinstance(report, ReportOf)]
    found.sort(key=lambda entry: entry[1].created, reverse=True)
    return [_summary(report, folder) for folder, report in found]


def _summary(report: ReportOf, folder: Path) -> dict[str, Any]:
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


def _sweep_table(sweeps: list[dict[str, Any]], is_tight: bool) -> Table:
    grid = ruled(plural(len(sweeps), "sweep"), is_tight)
    grid.add_column("sweep", overflow="fold", min_width=10)
    grid.add_column("trials", justify="right")
    grid.add_column("best", overflow="fold", min_width=16)
    grid.add_column("metric", overflow="fold", min_width=10)
    grid.add_column("when", justify="right", no_wrap=True)
    grid.add_column("report", overflow="fold", min_width=18)
    for sweep in sweeps:
        name = f"{sweep['sweep']} ({sweep['profile']})" if sweep["profile"] else sweep["sweep"]
        failed = f", {sweep['failed']} failed" if sweep["failed"] else ""
        value = "" if sweep["best_value"] is None else f"{sweep['metric']} {sweep['best_value']:.4g}"
        cells = [name, f"{sweep['trials']}{failed}", sweep["best"] or "-", value, ago(sweep["created"])]
        grid.add_row(*map(Text, cells), Text(relative(Path(sweep["report"]))))
    return grid


def _stage_table(results: list[StoredResult], is_tight: bool) -> Table:
    grid = ruled("stored stages", is_tight)
    grid.add_column("key", no_wrap=True)
    grid.add_column("stage", no_wrap=True)
    for header in ("budget", "size", "took", "when"):
        grid.add_column(header, justify="right", no_wrap=True)
    for r in results:
        cells = [r.key[:KEY_SHOWN], r.stage, budget_of(r), size(bytes_of(r)), took(r.cost.seconds)]
        grid.add_row(*map(Text, cells), ago(r.record["created"]))
    return grid


def _stage_json(result: StoredResult) -> dict[str, Any]:
    return {
        "key": result.key,
        "stage": result.stage,
        "budget": result.record["budget"],
        "bytes": bytes_of(result),
        "seconds": result.cost.seconds,
        "device": result.cost.device,
        "created": result.record["created"],
    }
