"""Many short stages at a time on several machines, of which some are lost: every stage is computed, none fails."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import assay
import wide_workload
from assay.events import Event
from assay.execution import Outcome
from assay.home import Home
from assay.store import Store
from assay.sweep import load_sweep
from machines import Machines

pytestmark = pytest.mark.cluster

NODES = LANES = 2
"""So many machines, and lanes of each."""


class Loss:
    """A listener that calls `lose` once when every lane has a stage."""

    def __init__(self, lose: Callable[[], None]) -> None:
        self.began, self.committed = set[str](), Counter[str]()
        self.said: list[str] = []
        self._lose = lose

    def begin(self, *_: object) -> None: ...

    def end(self, outcome: Outcome) -> None: ...

    def event(self, event: Event) -> None:
        if event.kind == "warning":
            self.said.append(event.message)
        elif event.kind == "committed":
            self.committed[event.key] += 1
        elif event.kind == "progress" and event.key not in self.began:
            self.began.add(event.key)
            if len(self.began) == NODES * LANES:
                self._lose()


def test_of_four_busy_lanes_two_are_lost_and_no_stage_is(machines: Machines, tmp_path: Path) -> None:
    gate = tmp_path / "shut"
    gate.touch()

    def lose() -> None:
        machines.kill_machines(1)
        gate.unlink()

    machines.have(NODES, num_cpus=LANES)
    loss = Loss(lose)
    wanted = {"config": {"parts": 3, "gates": str(tmp_path)}, "seeds": [*range(NODES * LANES)]}
    sweep = {"version": 1, "name": "wide", "workload": "wide", "base": "naps", "metric": "parts", "mode": "max"}
    loaded = load_sweep({**sweep, **wanted}, find_workload=lambda name: wide_workload.workload)
    home = Home(tmp_path / "home")
    outcome = assay.run(loaded, home, address=machines.address(), listeners=[loss])
    assert not outcome.failed
    assert not gate.exists()
    assert outcome.computed == {*outcome.plan.stages} == {*Store(home.store_url).known()}
    assert {*loss.committed.values()} == {1}
    again = [said for said in loss.said if ": it failed; retry 1 of 3, from what is stored: its " in said]
    assert len(again) == LANES, "what ran on the machine that was lost"
