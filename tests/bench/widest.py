"""What a stage costs beside its own work when many machines compute many short ones, and four machines are killed.

    python tests/bench/widest.py [--nodes 16] [--lanes 8] [--stages 5000] [--nap 2.0] [--kill 4] [--inline]

A real cluster of Ray on this machine: a head that computes nothing, and nodes that claim so many CPUs and GPUs. A trial
a lane, and each trial's stages are naps, which take no CPU time. A lane here asks for a CPU: one that asks for a GPU
imports torch to find it. Once half of the stages are stored, the machines are killed, without notice.

`--inline` measures the same stages without naps in this process instead, and what of it is taken by leases.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fixtures"))

import wide_workload  # noqa: E402
from assay.events import Event  # noqa: E402
from assay.execution import Outcome, run  # noqa: E402
from assay.home import Home  # noqa: E402
from assay.planning import make_plan  # noqa: E402
from assay.store import Store  # noqa: E402
from assay.sweep import Sweep, load_sweep  # noqa: E402

LOOK_EVERY = 100
"""Stages."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--lanes", type=int, default=8, help="of each node")
    parser.add_argument("--stages", type=int, default=5000)
    parser.add_argument("--nap", type=float, default=2.0, help="seconds")
    parser.add_argument("--kill", type=int, default=4, help="so many nodes")
    parser.add_argument("--inline", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        if options.inline:
            inline(sweep_of(1, options.stages, 0.0), home)
        else:
            on_ray(options, sweep_of(options.nodes * options.lanes, options.stages, options.nap), home)


def sweep_of(trials: int, stages: int, nap_s: float) -> Sweep:
    sweep: dict[str, Any] = {
        "version": 1,
        "name": "widest",
        "workload": "wide",
        "base": "naps",
        "metric": "parts",
        "mode": "max",
        "config": {"parts": round(stages / trials) - 1, "nap_s": nap_s},
        "seeds": [*range(trials)],
        "limits": {"concurrent_trials": trials},
    }
    return load_sweep(sweep, find_workload=lambda name: wide_workload.workload)


def inline(sweep: Sweep, home: Home) -> None:
    from assay.execution import inline
    from assay.store.leases import Leases

    took = [0.0]

    def timed(function: Any) -> Any:
        def call(*args: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args)
            finally:
                took[0] += time.perf_counter() - began

        return call

    Leases.take, Leases.give_back = timed(Leases.take), timed(Leases.give_back)  # type: ignore[method-assign]
    inline.stored_by_another = timed(inline.stored_by_another)
    outcome, seconds = timed_run(sweep, home, executor="inline")
    count = len(outcome.computed)
    print(f"{count:,} stages in {seconds:.1f} s: {1000 * seconds / count:.2f} ms each, {took[0]:.2f} s for leases")


def on_ray(options: argparse.Namespace, sweep: Sweep, home: Home) -> None:
    from machines import machines_apart

    os.environ["PYTHONPATH"] = str(ROOT / "tests" / "fixtures")  # workers import the workload
    lanes = options.nodes * options.lanes
    with machines_apart(memory=lanes << 30) as machines:
        machines.have(options.nodes, num_cpus=options.lanes, num_gpus=options.lanes)
        watch = Watch(options.stages, lambda: machines.kill_machines(options.kill))
        began = time.time()
        outcome, seconds = timed_run(sweep, home, address=machines.address(), listeners=[watch])
    store = Store(home.store_url)
    parts = [store.find(key) for key, stage in outcome.plan.stages.items() if stage.name == "part"]
    naps = sorted((part.metrics["began"], part.metrics["ended"]) for part in parts if part is not None)
    count, (first, middle, last) = len(outcome.plan.stages), watch.marks
    print(f"{options.nodes} nodes of {options.lanes} lanes, {count:,} stages, naps of {options.nap} s")
    print(f"computed: {len(outcome.computed):,}; failed trials: {len(outcome.failed)}; warnings: {len(watch.said)}")
    print(f"the run: {seconds:.1f} s; its first nap after {naps[0][0] - began:.1f} s")
    for words, since, until, there in (
        ("before the kill", first, middle, lanes),
        ("after it", middle, last, lanes - options.kill * options.lanes),
    ):
        took, stages = until.at - since.at, until.stages - since.stages
        busy = sum(max(0.0, min(end, until.at) - max(start, since.at)) for start, end in naps) / took
        each_ms = {kind: 1000 * (s - since.cpu_s.get(kind, 0.0)) / stages for kind, s in until.cpu_s.items()}
        print(f"{words}: {stages:,} stages in {took:.1f} s; lanes busy: {busy:.1f} of {there}")
        print(f"  memory: {until.memory_gib:.1f} GiB; CPU per stage: {sum(each_ms.values()):.0f} ms")
        print("  of it", ", ".join(f"{kind} {ms:.0f}" for kind, ms in sorted(each_ms.items())))
    for said in sorted({said.partition(": ")[2] for said in watch.said})[:5]:
        print("  ", said)


@dataclass(frozen=True)
class Mark:
    """How far a run was at a time, and what its processes had taken by then."""

    stages: int
    at: float
    cpu_s: Mapping[str, float]
    """By the kind of process."""
    memory_gib: float
    """Pages that several share count once."""


class Watch:
    """A listener that notes where a run was at two, five and nine tenths of its stages, and kills at five."""

    def __init__(self, stages: int, kill: Callable[[], None]) -> None:
        self.marks: list[Mark] = []
        self.said: list[str] = []
        self._at, self._kill, self._done = [stages * tenths // 10 for tenths in (2, 5, 9)], kill, 0
        self._cpu_s: dict[int, tuple[str, float]] = {}
        """Process → its kind, and its seconds when it was last looked at: one that was killed took a little more."""

    def begin(self, *_: object) -> None: ...

    def end(self, outcome: Outcome) -> None: ...

    def event(self, event: Event) -> None:
        if event.kind == "warning":
            self.said.append(event.message)
        elif event.kind == "committed":
            self._done += 1
            if self._done in self._at or self._done % LOOK_EVERY == 0:
                self._cpu_s |= (family := seconds_of_family())
            if self._done in self._at:
                cpu_s: dict[str, float] = defaultdict(float)
                for kind, seconds in self._cpu_s.values():
                    cpu_s[kind] += seconds
                memory_gib = sum(map(memory_of, family)) / 2**20
                self.marks.append(Mark(self._done, time.time(), cpu_s, memory_gib))
                if len(self.marks) == 2:
                    self._kill()


def timed_run(sweep: Sweep, home: Home, **how: Any) -> tuple[Outcome, float]:
    plan = make_plan(sweep, Store(home.store_url))
    began = time.perf_counter()
    return run(plan, home, **how), time.perf_counter() - began


def seconds_of_family() -> dict[int, tuple[str, float]]:
    """The kind and the CPU seconds of this process and of each that it started, itself or through others."""
    parents, seconds = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended since it was listed
        parents[int(folder.name)] = int(fields[1])
        seconds[int(folder.name)] = sum(map(int, fields[11:13])) / TICKS_PER_S
    family, added = {os.getpid()}, {os.getpid()}
    while added:
        added = {pid for pid, parent in parents.items() if parent in added}
        family |= added
    return {pid: (kind_of(pid), seconds[pid]) for pid in family}


KINDS = {
    b"ImplicitFunc": "trials",
    b"BrokerActor": "broker",
    b"ray::_reduce": "workers",
    b"ray::IDLE": "workers",
    b"Agent": "Ray's agents",
    b"gcs_server": "Ray's head",
    b"raylet": "raylets",
}
"""What stands in a command line → the kind of the process."""


def kind_of(pid: int) -> str:
    if pid == os.getpid():
        return "driver"
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "others"
    return next((kind for title, kind in KINDS.items() if title in line), "others")


def memory_of(pid: int) -> int:
    """KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
