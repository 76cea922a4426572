"""assay: studies of generative models on a Ray cluster. What the command line does, for scripts:

    outcome = assay.run("sweeps/quickstart.yaml", profile="smoke")
    print(outcome.to_pandas())
    print(assay.compare("sweeps/quickstart.yaml", profile="smoke").best)
    job = assay.Client("http://head:8265").submit("sweeps/table6_adagn.yaml")

A sweep is given as the path of a YAML file, as a dict of the same keys, or as what `load_sweep` returns.
Importing assay is cheap: each function imports what it needs when it is called.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.errors import UserError, refuse_other

if TYPE_CHECKING:
    from assay.client import Client
    from assay.execution import Listener, Outcome, Pause
    from assay.home import Home
    from assay.planning import Plan
    from assay.report.stored import StoredStudy
    from assay.results import Table
    from assay.sweep import Sweep

    SweepLike = str | os.PathLike[str] | Mapping[str, object] | Sweep

__all__ = ["Client", "compare", "load_sweep", "plan", "report", "run"]

A_SWEEP = "the path of a sweep file, a dict of its keys, or what assay.load_sweep returns"


def __getattr__(name: str) -> type[Client]:
    """Import `Client` on first use: Ray takes a second to import."""
    if name == "Client":
        from assay.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_sweep(
    source: str | os.PathLike[str] | Mapping[str, object], *, profile: str | None = None, sets: Sequence[str] = ()
) -> Sweep:
    """The sweep in a YAML file or a dict, with a profile and every "path=value" of `sets` applied.

    Raises SpecError with every problem.
    """
    from assay import sweep as sweeps

    return sweeps.load_sweep(source, profile=profile, sets=sets)


def plan(sweep: SweepLike, *, profile: str | None = None, sets: Sequence[str] = ()) -> Plan:
    """The sweep's trials, the stages they share, and `warnings`. Computes nothing.

    Raises UserError for everything that a run would refuse, as far as this machine can tell.
    """
    from assay.planning import checked, make_plan

    return checked(make_plan(_sweep("sweep", sweep, profile, sets)))


def run(
    what: SweepLike | Plan,
    home: Home | None = None,
    *,
    profile: str | None = None,
    sets: Sequence[str] = (),
    executor: str = "ray",
    address: str | None = None,
    listeners: Sequence[Listener] = (),
    pause: Pause | None = None,
    stale: str | None = None,
    progress: bool | None = None,
) -> Outcome:
    """Compute the missing results of a sweep, and return every trial's.

    `home` defaults to the command line's. Failed stages are in the outcome. Call `pause.ask` from another thread to
    checkpoint the trainings and return; the same call to `run` resumes. `stale`, "keep" or "recompute": what to do with
    stages whose code changed while their version did not; None keeps what is stored, and warns. `progress` shows bars;
    by default in a notebook, unless there are other `listeners`.
    """
    from assay import execution
    from assay.planning import Plan, make_plan
    from assay.shown import is_notebook

    where = _home(home)
    refuse_other("address", address, (str, type(None)), "the address of a Ray cluster, or None for one of its own")
    refuse_other("pause", pause, (execution.Pause, type(None)), "an assay.execution.Pause, or None")
    for listener in listeners:
        if not all(callable(getattr(listener, name, None)) for name in ("begin", "event", "end")):
            raise UserError(f"listeners: got {listener!r}, allowed: objects with the methods begin, event and end")
    refuse_other("progress", progress, (bool, type(None)), "True, False, or None for bars in notebooks")
    if isinstance(what, Plan) and (profile is not None or sets):
        raise UserError("profile and sets apply to a sweep file or dict: pass them to assay.plan")
    if progress or (progress is None and not listeners and is_notebook()):
        from assay.progress_bars import ProgressBars

        listeners = (*listeners, ProgressBars())
    planned = what if isinstance(what, Plan) else make_plan(_sweep("what", what, profile, sets))
    return execution.run(
        planned, where, executor=executor, address=address, listeners=listeners, pause=pause, stale=stale
    )


def compare(*sweeps: SweepLike, home: Home | None = None, profile: str | None = None) -> Table:
    """The final table of a sweep, or one ranking of several, from stored results. Computes nothing.

    Raises UserError for sweeps that are ranked by different metrics.
    """
    from assay.report.stored import labelled
    from assay.results import joint

    if not sweeps:
        raise UserError(f"compare: got no sweep, allowed: one or more of {A_SWEEP}")
    tables = labelled([_stored(sweep, home, profile, ()) for sweep in sweeps])
    table = tables[0] if len(tables) == 1 else joint(tables)
    if table is None:
        metrics = "; ".join(f"{each.sweep}: {', '.join(map(str, each.objectives))}" for each in tables)
        raise UserError(f"compare: got sweeps ranked by different metrics ({metrics}), allowed: the same in all")
    return table


def report(
    sweep: SweepLike,
    output: str | os.PathLike[str] | None = None,
    *,
    home: Home | None = None,
    profile: str | None = None,
    sets: Sequence[str] = (),
) -> Path:
    """Write the sweep's HTML page from stored results, into its report folder or to `output`. Returns its path."""
    refuse_other("output", output, (str, os.PathLike, type(None)), "the path of the file to write, or None")
    file, _ = _stored(sweep, home, profile, sets).write_page(None if output is None else Path(output))
    return file


def _sweep(what: str, given: SweepLike, profile: str | None, sets: Sequence[str]) -> Sweep:
    from assay.sweep import Sweep, load_sweep

    refuse_other(what, given, (str, os.PathLike, Mapping, Sweep), A_SWEEP)
    if not isinstance(given, Sweep):
        return load_sweep(given, profile=profile, sets=sets)
    if profile is not None or sets:
        raise UserError("profile and sets apply to a sweep file or dict: pass them to assay.load_sweep")
    return given


def _home(home: Home | None) -> Home:
    from assay.home import Home

    refuse_other("home", home, (Home, type(None)), "assay.home.Home(folder), a pathlib.Path, or None")
    return home if home is not None else Home.default()


def _stored(sweep: SweepLike, home: Home | None, profile: str | None, sets: Sequence[str]) -> StoredStudy:
    from assay.planning import make_plan
    from assay.report.stored import StoredStudy
    from assay.store import Store

    where = _home(home)
    store = Store(where.store_url, heals=False)
    return StoredStudy.of(make_plan(_sweep("sweep", sweep, profile, sets), store), store, where)


_write_report = report
"""Importing the package assay.report replaces the function by the package, which calls this one."""
