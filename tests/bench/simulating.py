"""How long it takes to simulate a study of so many stages: the broker, the scheduler and the clock, without planning.

    python tests/bench/simulating.py 24000 100000

CPU seconds of this process. Per trial: draw, score; one training per 400 trials, and one reference.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fixtures"))

import toy_workload  # noqa: E402
from assay.costs.machines import parse_fleet  # noqa: E402
from assay.execution.simulation import simulate  # noqa: E402
from assay.planning import Plan, make_plan  # noqa: E402
from assay.sweep import load_sweep  # noqa: E402

SECONDS = {"train": 4000.0, "sample": 800.0, "reference": 80.0, "evaluate": 5.0}
FLEET = "16x(8xV100,64CPU)"


def planned(trials: int) -> Plan:
    sweep: dict[str, Any] = {
        "version": 1,
        "name": "many",
        "workload": "toy",
        "base": "tiny",
        "metric": "distance",
        "mode": "min",
        "resources": {
            "train": {"workers": 4, "gpus_per_worker": 1},
            "sample": {"actors": [1, 8], "gpus_per_actor": 1},
        },
        "parameters": {"sample.scale": {"values": [number / 1000 for number in range(trials)]}},
    }
    return make_plan(load_sweep(sweep, find_workload=lambda name: toy_workload.workload))


def main(counts: list[int]) -> None:
    print("| stages | trials | CPU s | ms per stage |")
    print("|---|---|---|---|")
    for count in counts:
        plan = planned(count // 2)
        work = {key: SECONDS[stage.name] for key, stage in plan.stages.items()}
        began = time.process_time()
        simulation = simulate(plan, work, parse_fleet(FLEET))
        took = time.process_time() - began
        assert sum(len(span.keys) for span in simulation.spans) == len(work)
        print(f"| {len(work):,} | {count // 2:,} | {took:.1f} | {1000 * took / len(work):.3f} |")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [6_000, 24_000])
