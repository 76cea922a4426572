"""What it costs a training to be watched: curves in MLflow, system metrics, the board in the store, provenance.

    python tests/bench/watching.py [--steps 900]

A training of 50 ms steps that wait instead of computing runs in the process that also drives the run, which is the
worst case: on Ray, a training's worker only sends events. The process's CPU seconds per step, after the first 300, are
what watching costs it; until then, MLflow is imported and opened once. Without tracking and system metrics, only the
board is left. Provenance is written once per run: its
CPU seconds are given as they are.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import assay
from assay.home import Home
from assay.planning import make_plan
from assay.provenance import origin
from assay.sweep import load_sweep
from assay.workload import Budget, ReportHints, Smoke, Stage, TrainContext, TypedWorkload
from assay.workload.fields import Section

STEP_S = 0.05
FIRST = 300
"""Steps before MLflow is imported, its database open and its runs created: what that takes is given apart."""
SETTINGS: Mapping[str, tuple[bool, Mapping[str, str]]] = {
    "the board alone": (False, {"ASSAY_SYSTEM_SECONDS": "0"}),
    "system metrics too": (False, {"ASSAY_SYSTEM_SECONDS": "10"}),
    "curves in MLflow too": (True, {"ASSAY_SYSTEM_SECONDS": "0"}),
    "all of them": (True, {"ASSAY_SYSTEM_SECONDS": "10"}),
}
SWEEP = {"version": 1, "name": "watched", "workload": "waiting", "base": "long", "metric": "loss", "mode": "min"}
cpu_s: list[float] = []
"""CPU seconds of this process at every step of the last training."""


class Config(Section):
    seed: int = 0
    steps: int = 900


class Waiting(TypedWorkload[Config]):
    name = "waiting"
    config_type = Config
    bases: ClassVar = {"long": Config()}
    report = ReportHints(metrics=("loss",))
    smoke = Smoke("long", {})

    def stages_of(self, config: Config) -> Sequence[Stage]:
        body, budget = ("watching:wait",), Budget("steps", config.steps, "steps")
        return [Stage("train", 1, "train", body, {"seed": config.seed}, budget=budget)]


def wait(ctx: TrainContext) -> Mapping[str, float]:
    cpu_s.clear()
    for step in range(1, ctx.amount + 1):
        time.sleep(STEP_S)
        metrics = {"loss": 1 / step, "grad_norm": 1.0, "mse": 0.5, "vb": 0.5, "accuracy": 0.5}
        ctx.log(step, metrics)
        ctx.progress(step, {**metrics, "learning_rate": 1e-4})
        cpu_s.append(time.process_time())
    return {"loss": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=900)
    options = parser.parse_args()
    sys.modules["watching"] = sys.modules[__name__]
    workload = Waiting()
    with tempfile.TemporaryDirectory() as scratch:
        sweep = load_sweep({**SWEEP, "config": {"steps": options.steps}}, find_workload=lambda name: workload)
        print(f"{'watched by':<28}{'CPU s at first':>16}{'CPU ms per step':>16}{'share of 50 ms':>16}")
        for words, (is_tracked, environment) in SETTINGS.items():
            os.environ.update(environment)
            home, began = Home(Path(scratch) / words), time.process_time()
            assay.run(sweep, home, executor="inline", listeners=listeners(home) if is_tracked else ())
            each = (cpu_s[-1] - cpu_s[FIRST]) / (len(cpu_s) - 1 - FIRST)
            first = cpu_s[FIRST] - began - FIRST * each
            print(f"{words:<28}{first:>16.2f}{each * 1e3:>16.3f}{each / STEP_S:>16.2%}", flush=True)
    provenance()


def listeners(home: Home) -> list[Any]:
    from assay.tracking import Tracker

    return [Tracker(home, print)]


def provenance() -> None:
    """The origin of the quickstart, whose workload is the largest there is."""
    file = Path(__file__).parents[2] / "sweeps" / "quickstart.yaml"
    stages = [*make_plan(load_sweep(file)).stages.values()]
    for words in ("for the first time", "again in the same process"):
        began_cpu, began = time.process_time(), time.monotonic()
        modules = origin(stages)["modules"]
        spent = f"{time.process_time() - began_cpu:.2f} CPU s, {time.monotonic() - began:.2f} s"
        print(f"provenance of a run of the quickstart, {words}: {spent}; {len(modules)} modules")


if __name__ == "__main__":
    main()
