"""`assay report`: a sweep's page from what is stored. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.cli.names import open_sweep
from assay.cli.output import console, print_json, store_to_look_at
from assay.home import Home
from assay.planning import checked, make_plan
from assay.report.stored import StoredStudy
from assay.text import plural, relative, size
from assay.tracking import log_report


def report_sweep(name: str, profile: str | None, sets: Sequence[str], output: Path | None, is_json: bool) -> None:
    """Write the page into the sweep's report folder, and from there to its run in MLflow; or where it is asked for."""
    home = Home.default()
    store = store_to_look_at(home)
    plan = make_plan(open_sweep(name, profile, sets), store)
    plan = checked(plan, plan.stages, "left")  # for what they warn of, as after a run
    study = StoredStudy.of(plan, store, home)
    file, made = study.write_page(output)
    done = sum(bool(row.estimates) for row in made.rows)
    tracked = log_report(home, plan.sweep, study.folder) if output is None else None
    if is_json:
        print_json(
            {
                "page": str(file),
                "trials": len(made.rows),
                "with_result": done,
                "bytes": file.stat().st_size,
                "mlflow": tracked,
            }
        )
        return
    told = f"{plural(len(made.rows), 'trial')}, {done:,} with a result, {size(file.stat().st_size)}"
    console().print(f"{relative(file)}: {told}", soft_wrap=True)
    if tracked is not None:
        console().print(f"MLflow: {tracked}", soft_wrap=True)
