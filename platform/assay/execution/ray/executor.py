"""The executor on Ray: trials under Tune, trainings under Train, fan-outs under Data, reductions as tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from assay.events import Emit
from assay.execution.packing import Machine
from assay.execution.pause import Pause
from assay.execution.ray.session import session
from assay.execution.rung_decisions import RungDecisions
from assay.planning import Plan
from assay.store import Store
from assay.store.scratch import run_folder


class RayExecutor:
    """Modules that import Ray are imported within the session, which first sets Ray's environment variables."""

    @contextmanager
    def session(self, address: str | None, scratch_url: str, log: Path) -> Iterator[None]:
        with run_folder(scratch_url) as self._scratch_url, session(address, log):
            yield

    def capacity(self) -> Sequence[Machine]:
        from assay.execution.ray.capacity import capacity

        return capacity()

    def check(self, plan: Plan, done: Collection[str], emit: Emit) -> None:
        from assay.execution.ray.checks import check_here

        check_here(plan, done, emit)

    def run(self, plan: Plan, store: Store, done: Sequence[str], decisions: RungDecisions, pause: Pause) -> None:
        from assay.execution.ray.trials import run_trials

        run_trials(plan, store, done, self._scratch_url, decisions, pause)
