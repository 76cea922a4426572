"""`assay doctor`: check every record and file of the store, and set damaged ones aside if asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from rich.console import Console

from assay.cli.commands.finding import Finding
from assay.errors import StoreError
from assay.home import Home
from assay.store import Store
from assay.store.inspection import Fault, Inspection
from assay.text import plural, size

REPAIR = "`assay doctor --repair` sets it aside and deletes nothing; a sweep that needs it computes it again"


def contents(repairs: bool) -> Iterator[Finding]:
    """One finding per fault, and one with the number of files checked."""
    checked, reports, faults = [0, 0], list[str](), list[Fault]()
    try:
        store = Store(Home.default().store_url, reports.append, heals=repairs)
        with Console(file=sys.stderr).status("the store") as status:

            def count(num_bytes: int) -> None:
                checked[:] = checked[0] + 1, checked[1] + num_bytes
                status.update(f"the store: {_amount(*checked)}")

            for fault in Inspection(store, count).faults():
                faults.append(fault)
                if repairs:
                    fault.mend()
    except StoreError as error:
        yield Finding("fail", "store", str(error))
        return
    for line in reports if repairs else [fault.message for fault in faults]:
        yield Finding("ok" if "; set aside in " in line else "fail", "store", line)
    is_good = repairs or not faults
    summary = f"{_amount(*checked)} checked, {plural(len(faults), 'fault')}"
    yield Finding("ok" if is_good else "fail", "store", summary, "" if is_good else REPAIR)


def _amount(count: int, num_bytes: int) -> str:
    return f"{plural(count, 'file')}, {size(num_bytes)}"
