"""Several runs on one store at the same time: each stage is computed by one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from assay.home import Home
from assay.store import Store
from patience import LONGEST_S

pytestmark = pytest.mark.slow

SWEEP = """\
version: 1
name: norms
workload: toy
base: tiny
config: {{train.gates: {gates}}}
arms: {{adagn: {{}}, add: {{model.norm: add}}}}
parameters: {{sample.scale: {{values: [0.0, 1.0]}}}}
metric: distance
mode: min
"""
DRIVER = """
import json, sys
from pathlib import Path
import toy_workload
from assay.execution import run
from assay.home import Home
from assay.planning import make_plan
from assay.store import Store
from assay.sweep import load_sweep

class Told:
    def begin(self, plan, before, stored): pass
    def event(self, event):
        if event.kind != "warning":
            print(json.dumps([event.kind, event.key, event.done, event.message]), flush=True)
    def end(self, outcome):
        table = [[t.planned.name, *sorted(t.results[t.planned.leaf.key].metrics.items())] for t in outcome.trials]
        print(json.dumps(["end", sorted(outcome.computed), table]), flush=True)

sweep = load_sweep(Path(sys.argv[1]), find_workload=lambda name: toy_workload.workload)
home = Home(Path(sys.argv[2]))
run(make_plan(sweep, Store(home.store_url)), home, executor="inline", listeners=[Told()])
"""


class Driver:
    """A run in a process of its own, whose events can be waited for."""

    def __init__(self, sweep: Path, home: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        line = [sys.executable, "-c", DRIVER, str(sweep), str(home)]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment)
        self.told: list[list[object]] = []

    def until(self, is_it: Callable[[list[object]], bool]) -> list[object]:
        """Read its events up to one; returns it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))
            if is_it(self.told[-1]):
                return self.told[-1]
        raise AssertionError("the run ended without it")

    def committed(self) -> list[object]:
        return [key for kind, key, *_ in self.told if kind == "committed"]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Callable[[], Driver]]:
    file = tmp_path / "norms.yaml"
    file.write_text(SWEEP.format(gates=tmp_path))
    with ExitStack() as stack:

        def start() -> Driver:
            started = Driver(file, tmp_path / "home")
            stack.enter_context(started.process)
            stack.callback(started.process.kill)
            return started

        yield start


def test_of_three_drivers_one_is_killed_and_each_stage_is_computed_once(
    driver: Callable[[], Driver], tmp_path: Path
) -> None:
    gate = tmp_path / "shut-7"
    gate.touch()
    first = driver()
    _, trained, *_ = first.until(lambda event: event[0] == "progress" and event[2] == 7)
    others = [driver(), driver()]
    waiting = [other.until(lambda event: event[:2] == ["waiting", trained]) for other in others]
    for _, _, _, message in waiting:
        assert str(message).startswith("waits for norms (")
        assert str(message).endswith(f", process {first.process.pid})")
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(LONGEST_S)
    gate.unlink()
    (computed, table), *same = [other.until(lambda event: event[0] == "end")[1:] for other in others]
    computed_too, table_too = same[0]
    assert table == table_too
    assert len(table) == 4
    assert not {*computed} & {*computed_too}, "a stage was computed twice"
    home = Home(tmp_path / "home")
    of_the_killed = {*first.committed()}
    assert {*computed, *computed_too, *of_the_killed} == {*Store(home.store_url).known()}
    assert trained in {*computed, *computed_too}
    assert all(len(other.committed()) == len({*other.committed()}) for other in others)
    assert Store(home.store_url).files.names("leases") == []
