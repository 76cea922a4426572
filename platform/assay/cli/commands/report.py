"""`assay report`: a sweep's page from stored results. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.cli.names import open_sweep
from assay.cli.output import console, print_json, read_only_store
from assay.home import Home
from assay.planning import checked, make_plan
from assay.report.stored import StoredStudy
from assay.text import plural, relative, size
from assay.tracking import log_report


def report_sweep(name: str, profile: str | None, sets: Sequence[str], output: Path | None, is_json: bool) -> None:
    """Write the page to `output`, or by default to the sweep's report folder and its run in MLflow."""
    home = Home.default()
    store = read_only_store(home)
    plan = make_plan(open_sweep(name, profile, sets), store)
    plan = checked(plan, plan.stages, "left")  # for its warnings, as after a run
    study = StoredStudy.of(plan, store, home)
    file, table = study.write_page(output)
    done = sum(bool(row.estimates) for row in table.rows)
    tracked = log_report(home, plan.sweep, study.folder) if output is None else None
    if is_json:
        print_json(
            {
                "page": str(file),
                "trials": len(table.rows),
                "with_result": done,
                "bytes": file.stat().st_size,
                "mlflow": tracked,
            }
        )
        return
    summary = f"{plural(len(table.rows), 'trial')}, {done:,} with a result, {size(file.stat().st_size)}"
    console().print(f"{relative(file)}: {summary}", soft_wrap=True)
    if tracked is not None:
        console().print(f"MLflow: {tracked}", soft_wrap=True)
