"""A workload of tasks that take no time: what a run of it takes is Ray's own.

    draw ─► count

The draws are left out unless `draw.num` asks for some. `gates` is a folder: the count to N waits while a file "shut-N"
is in it; a draw leaves its process id there, and waits while there is a "shut".
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.errors import ConfigError, ConfigProblem, did_you_mean
from assay.workload import Batch, Budget, ReportHints, Stage, StageContext

DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "count": {"to": 3, "by": 1, "gates": "", "fail": False},
    "draw": {"num": 0, "gates": ""},
}


class Light:
    name = "light"
    seed_path = "seed"
    report = ReportHints(metrics=("total",))

    def presets(self) -> Sequence[str]:
        return ["one"]

    def paths(self, base: str) -> Sequence[str]:
        return [f"{s}.{n}" for s, v in DEFAULTS.items() if isinstance(v, dict) for n in v] + ["seed"]

    def resolve(self, base: str, overrides: Mapping[str, Any]) -> Mapping[str, Any]:
        values = json.loads(json.dumps(DEFAULTS))
        for path, value in overrides.items():
            if path not in self.paths(base):
                raise ConfigError([ConfigProblem(path, f"unknown config path{did_you_mean(path, self.paths(base))}")])
            section, _, name = path.rpartition(".")
            (values[section] if section else values)[name] = value
        return values

    def metrics(self, config: Mapping[str, Any]) -> Sequence[str]:
        return ["total"]

    def stages(self, config: Mapping[str, Any]) -> Sequence[Stage]:
        draws, counts = config["draw"], config["count"]
        draw = Stage(
            name="draw",
            version=1,
            kind="map",
            body=("light_workload:Draw",),
            config={},
            execution={"gates": draws["gates"]},
            budget=Budget("draw.num", draws["num"], "samples"),
            resources="sample",
            batch_size=1,
            shard_size=2,
        )
        count = Stage(
            name="count",
            version=1,
            kind="reduce",
            body=("light_workload:count",),
            config={"seed": config["seed"], "by": counts["by"], "fail": counts["fail"]},
            execution={"gates": counts["gates"]},
            inputs={"draws": draw} if draws["num"] else {},
            budget=Budget("count.to", counts["to"], "numbers"),
        )
        return [count]


class Draw:
    def __init__(self, ctx: StageContext) -> None:
        self._gates = ctx.execution["gates"]

    def __call__(self, batch: Batch) -> Batch:
        if self._gates:
            (Path(self._gates) / str(os.getpid())).touch()
            _wait_at(Path(self._gates) / "shut")
        return {"id": batch["id"], "value": batch["id"] ** 2}


def count(ctx: StageContext) -> Mapping[str, float]:
    if ctx.config["fail"]:
        raise RuntimeError("cannot count")
    _wait_at(Path(ctx.execution["gates"]) / f"shut-{ctx.amount}")
    total = sum(range(0, ctx.amount + 1, ctx.config["by"])) + ctx.config["seed"]
    if "draws" in ctx.inputs:
        total += int(ctx.inputs["draws"].read(["value"]).column("value").to_numpy().sum())
    return {"total": total}


def _wait_at(gate: Path) -> None:
    while gate.exists():
        time.sleep(0.02)


workload = Light()
