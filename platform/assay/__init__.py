"""assay: studies of generative models on a Ray cluster. The verbs of the command line, for scripts:

    sweep = assay.load_sweep("sweeps/quickstart.yaml", profile="smoke")
    outcome = assay.run(sweep)
    job = assay.Client("http://head:8265").submit(sweep)

Importing assay is light: each verb imports what it needs when it is called.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from assay.errors import refuse_other

if TYPE_CHECKING:
    from assay.client import Client
    from assay.execution import Listener, Outcome, Pause
    from assay.home import Home
    from assay.planning import Plan
    from assay.sweep import Sweep

__all__ = ["Client", "load_sweep", "plan", "run"]


def __getattr__(name: str) -> type[Client]:
    """Client needs Ray, which takes a second to import: not before somebody asks for it."""
    if name == "Client":
        from assay.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_sweep(path: str | os.PathLike[str], *, profile: str | None = None, sets: Sequence[str] = ()) -> Sweep:
    """The sweep in a YAML file, a profile and every "path=value" laid over it. Raises SpecError with every problem."""
    from assay import sweep as spec

    return spec.load_sweep(path, profile=profile, sets=sets)


def plan(sweep: Sweep) -> Plan:
    """The sweep's trials and the stages they share, and `warnings` of what the user should know. Computes nothing.

    Raises UserError for what a run would refuse, as far as that can be seen from here.
    """
    from assay.planning import checked, make_plan
    from assay.sweep import Sweep

    refuse_other("sweep", sweep, Sweep, "what assay.load_sweep returns")
    return checked(make_plan(sweep))


def run(
    what: Sweep | Plan,
    home: Home | None = None,
    *,
    executor: str = "ray",
    address: str | None = None,
    listeners: Sequence[Listener] = (),
    pause: Pause | None = None,
) -> Outcome:
    """Compute what is missing of a sweep, and return every trial's results.

    Without `home` results are kept where the command line keeps them. A stage that fails is in the outcome. `pause.ask`
    from another thread makes trainings save and the run return; the same call goes on from there.
    """
    from assay import execution
    from assay.home import Home
    from assay.planning import Plan, make_plan
    from assay.sweep import Sweep

    refuse_other("what", what, (Sweep, Plan), "what assay.load_sweep or assay.plan returns")
    refuse_other("home", home, (Home, type(None)), "assay.home.Home(folder), a pathlib.Path, or None")
    made = what if isinstance(what, Plan) else make_plan(what)
    where = home if home is not None else Home.default()
    return execution.run(made, where, executor=executor, address=address, listeners=listeners, pause=pause)
