"""`assay doctor`: every record and file of the store, looked at; what is damaged is told, and set aside if asked."""

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

REPAIR = "`assay doctor --repair` sets it aside and deletes nothing; what a sweep needs of it is computed anew"


def contents(repairs: bool) -> Iterator[Finding]:
    """A finding a fault, and one of how much was looked at."""
    looked_at, told, faults = [0, 0], list[str](), list[Fault]()
    try:
        store = Store(Home.default().store_url, told.append, heals=repairs)
        with Console(file=sys.stderr).status("the store") as status:

            def tell(num_bytes: int) -> None:
                looked_at[:] = looked_at[0] + 1, looked_at[1] + num_bytes
                status.update(f"the store: {_amount(*looked_at)}")

            for fault in Inspection(store, tell).faults():
                faults.append(fault)
                if repairs:
                    fault.mend()
    except StoreError as error:
        yield Finding("fail", "store", str(error))
        return
    for line in told if repairs else [fault.message for fault in faults]:
        yield Finding("ok" if "; set aside in " in line else "fail", "store", line)
    is_good = repairs or not faults
    looked = f"{_amount(*looked_at)} looked at, {plural(len(faults), 'fault')}"
    yield Finding("ok" if is_good else "fail", "store", looked, "" if is_good else REPAIR)


def _amount(count: int, num_bytes: int) -> str:
    return f"{plural(count, 'file')}, {size(num_bytes)}"
