"""`assay compare`: the final table of sweeps from what is stored, without computing."""

from __future__ import annotations

from collections.abc import Sequence

from assay.cli.names import open_sweep
from assay.cli.output import console, print_json
from assay.home import Home
from assay.planning import make_plan
from assay.report import as_json, as_rich, from_store, table
from assay.store import Store


def compare_sweeps(names: Sequence[str], profile: str | None, sets: Sequence[str], is_json: bool) -> None:
    store = Store(Home.default().store_url)
    plans = [make_plan(open_sweep(name, profile, sets)) for name in names]
    tables = [table(plan, from_store(plan, store)) for plan in plans]
    if is_json:
        print_json({"sweeps": [as_json(made) for made in tables]})
        return
    out = console()
    for made in tables:
        out.print(as_rich(made), crop=False)
