"""`assay run --rows`: the listener that prints each result as a line of JSON, for programs that read the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from assay.costs.availability import StageStatus
from assay.execution import Event, Outcome
from assay.home import Home
from assay.planning import Plan
from assay.results import log_rows
from assay.store import Store

if TYPE_CHECKING:
    from assay.store import StoredResult


class Rows:
    """Prints every row once, without delay: stored ones when the run begins, new ones when they are committed."""

    def __init__(self, out: TextIO, home: Home) -> None:
        self._out = out
        self._store = Store(home.store_url, heals=False)
        self._plan: Plan | None = None
        self._printed: set[str] = set()

    def begin(self, plan: Plan, before: Mapping[str, StageStatus], stored: Mapping[str, StoredResult]) -> None:
        self._plan = plan
        # What is stored above an undecided rung may be another study's: it is printed once the trial climbs there.
        sure = {stage.key for trial in plan.trials for rung in plan.climbs_for_sure(trial) for stage in rung.stages}
        self._print({key: result for key, result in stored.items() if key in sure})

    def event(self, event: Event) -> None:
        if event.kind == "committed" and self._plan is not None and event.key in self._plan.stages:
            result = self._store.find(event.key)
            self._print({event.key: result} if result is not None else {})

    def end(self, outcome: Outcome) -> None:
        self._plan = outcome.plan
        self._print({key: result for trial in outcome.trials for key, result in trial.results.items()})
        for trial in outcome.failed:
            assert trial.error is not None
            self._write(log_rows.failure_row(trial.planned, trial.error))

    def _print(self, results: Mapping[str, StoredResult]) -> None:
        assert self._plan is not None
        for row in [*log_rows.stage_rows(self._plan, results.values()), *log_rows.result_rows(self._plan, results)]:
            self._write(row)

    def _write(self, row: Mapping[str, Any]) -> None:
        line = log_rows.as_line(row)
        if line not in self._printed:
            self._printed.add(line)
            print(line, file=self._out, flush=True)
