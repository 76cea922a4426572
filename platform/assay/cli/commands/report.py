"""`assay report`: a sweep's page from what is stored. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.cli.names import open_sweep, report_folder
from assay.cli.output import console, print_json, store_to_look_at
from assay.costs.priced import priced
from assay.home import Home
from assay.planning import checked, computed_of, make_plan
from assay.report import PAGE, cannot_write, earlier_failures, earlier_logs, write_page
from assay.results import from_store
from assay.text import plural, relative, size
from assay.tracking import log_report


def report_sweep(name: str, profile: str | None, sets: Sequence[str], output: Path | None, is_json: bool) -> None:
    """Write the page into the sweep's report folder, and from there to its run in MLflow; or where it is asked for."""
    home = Home.default()
    store = store_to_look_at(home)
    plan = make_plan(open_sweep(name, profile, sets), store)
    plan = checked(plan, plan.stages, "left")  # for what they warn of, as after a run
    folder = report_folder(home, plan.sweep)
    file = folder / PAGE if output is None else output
    failed = earlier_failures(folder)
    trials, logs = from_store(plan, store, failed=failed), earlier_logs(folder, failed.values())
    try:
        computed = computed_of(plan.sweep, store).all()
        made = write_page(plan, trials, file, computed, logs, priced(plan, store))
    except OSError as error:
        raise cannot_write(file, error) from error
    done = sum(bool(row.estimates) for row in made.rows)
    tracked = log_report(home, plan.sweep, folder) if output is None else None
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
