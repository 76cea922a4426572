"""A workload whose bodies break the protocol, each in the way that `odd` names; "" is none.

    train ─► draw ─► judge

`BREACHES` says where each breaks it, and what its user should read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from assay.errors import ConfigError, ConfigProblem
from assay.workload import JACKKNIFE, Batch, Budget, Checkpointing, ReportHints, Stage, StageContext, TrainContext

NO_METRICS = "expected a mapping of metric names to numbers"
NO_COLUMNS = "expected a mapping of column names to NumPy arrays"
METRICS: dict[str, tuple[Callable[[], Any], str]] = {
    "None": (lambda: None, f"returned None; {NO_METRICS}"),
    "a number": (lambda: 0.5, f"returned 0.5 (float); {NO_METRICS}"),
    "a list": (lambda: [("total", 1.0)], NO_METRICS),
    "text": (lambda: {"total": "0.5"}, "returned '0.5' (str) for the metric 'total'; expected one number"),
    "an array": (lambda: {"total": np.zeros(3)}, "a numpy ndarray of shape (3,) for the metric 'total'"),
    "no name": (lambda: {3: 1.0}, "a metric called 3 (int)"),
    "exit": (lambda: sys.exit(0), "called sys.exit(0); expected it to return, or to raise"),
}
COLUMNS: dict[str, tuple[Callable[[Batch], Any], str]] = {
    "None": (lambda batch: None, f"returned None; {NO_COLUMNS}"),
    "a list": (lambda batch: [batch["id"]], NO_COLUMNS),
    "no id": (lambda batch: {"value": batch["id"] * 1.0}, "returned the columns value; expected"),
    "lists": (lambda batch: {**batch, "value": batch["id"].tolist()}, "(list) for the column 'value'"),
    "a tensor": (
        lambda batch: {**batch, "value": torch.zeros(len(batch["id"]))},
        "returned a torch Tensor of shape (2,) for the column 'value'",
    ),
    "too few": (lambda batch: {**batch, "value": np.zeros(1)}, "returned 1 rows of 'value' for 2 ids"),
    "other ids": (
        lambda batch: {"id": batch["id"][::-1], "value": batch["id"]},
        "returned other ids than it was given",
    ),
    "objects": (lambda batch: {**batch, "value": np.array([object()] * 2)}, "returned what cannot be stored"),
    "another dtype": (
        lambda batch: {**batch, "value": batch["id"].astype(np.int64 if batch["id"][0] < 2 else np.float32)},
        "returned value as float from id 2 on, after value as int64; expected the same columns for all ids",
    ),
    "another shape": (
        lambda batch: {**batch, "value": np.zeros((2, 3 if batch["id"][0] < 2 else 4))},
        "expected the same columns for all ids",
    ),
    "a column less": (
        lambda batch: {**batch, "value": batch["id"]} if batch["id"][0] < 2 else dict(batch),
        "returned no value from id 2 on, after value as int64",
    ),
    "exit": (lambda batch: sys.exit("enough"), "called sys.exit('enough')"),
}
JACKKNIVES: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "in which there is no JSON"),
    "a list": ("[1]", "in which there is [1] (list), and no object"),
    "words": ('{"total": {"replicates": ["a", "b"]}}', "replicates of 'total' are ['a', 'b'] (list)"),
    "sizes": ('{"total": {"value": 1, "replicates": [1, 2], "sizes": [1]}}', "2 replicates and the sizes [1]"),
}
BREACHES: dict[str, tuple[str, str]] = {
    **{f"train returns {name}": ("train", said) for name, (_, said) in METRICS.items()},
    **{f"judge returns {name}": ("judge", said) for name, (_, said) in METRICS.items()},
    **{f"draw returns {name}": ("draw", said) for name, (_, said) in COLUMNS.items()},
    **{f"{JACKKNIFE} with {name}": ("judge", said) for name, (_, said) in JACKKNIVES.items()},
    "draw makes no callable": ("draw", "expected a class whose objects are called with a batch"),
}
"""What is odd → the stage that breaks the protocol, and what is said of it."""
LEAVES = ("a map leaf", "no leaf", "a body that is text", "two bodies", "a budget of nothing", "config that is no JSON")


class Odd:
    name = "odd"
    seed_path = "seed"
    report = ReportHints(metrics=("total",))

    def presets(self) -> Sequence[str]:
        return ["one"]

    def paths(self, base: str) -> Sequence[str]:
        return ["seed", "odd"]

    def resolve(self, base: str, overrides: Mapping[str, Any]) -> Mapping[str, Any]:
        values = {"seed": 0, "odd": "", **overrides}
        if values["odd"] not in ("", *BREACHES, *LEAVES):
            raise ConfigError([ConfigProblem("odd", f"got {values['odd']!r}")])
        return values

    def metrics(self, config: Mapping[str, Any]) -> Sequence[str]:
        return ["total"]

    def stages(self, config: Mapping[str, Any]) -> Sequence[Stage]:
        odd = config["odd"]
        if odd == "no leaf":
            return []

        def slice_of(stage: str) -> dict[str, Any]:
            return {"odd": odd if BREACHES.get(odd, ("",))[0] == stage else ""}

        train = Stage(
            name="train",
            version=1,
            kind="train",
            body=("odd_workload:train",),
            config=slice_of("train") if odd != "config that is no JSON" else {"odd": {1, 2}},
            budget=Budget("steps", 0 if odd == "a budget of nothing" else 2, "steps"),
            checkpointing=Checkpointing(every=1),
        )
        draw = Stage(
            name="draw",
            version=1,
            kind="map",
            body=("odd_workload:Draw",),
            config=slice_of("draw"),
            inputs={"model": train},
            budget=Budget("samples", 4, "samples"),
            resources="sample",
            batch_size=2,
            shard_size=2,
        )
        if odd == "a map leaf":
            return [draw]
        judge = ("odd_workload:judge",) if odd != "two bodies" else ("odd_workload:judge",) * 2
        body: Any = "odd_workload:judge" if odd == "a body that is text" else judge
        return [Stage("judge", 1, "reduce", body, slice_of("judge"), inputs={"rows": draw})]


def _returned(odd: str, good: dict[str, float]) -> Any:
    return METRICS[odd.partition(" returns ")[2]][0]() if " returns " in odd else good


def train(ctx: TrainContext) -> Mapping[str, float]:
    return _returned(ctx.config["odd"], {"loss": 1.0})


class Draw:
    def __new__(cls, ctx: StageContext) -> Any:
        return None if ctx.config["odd"] == "draw makes no callable" else super().__new__(cls)

    def __init__(self, ctx: StageContext) -> None:
        self._odd = ctx.config["odd"].removeprefix("draw returns ")

    def __call__(self, batch: Batch) -> Batch:
        return COLUMNS[self._odd][0](batch) if self._odd else {**batch, "value": batch["id"]}


def judge(ctx: StageContext) -> Mapping[str, float]:
    name = ctx.config["odd"].removeprefix(f"{JACKKNIFE} with ")
    if name in JACKKNIVES:
        (ctx.output / JACKKNIFE).write_text(JACKKNIVES[name][0])
    total = float(ctx.inputs["rows"].read(["value"]).column("value").to_numpy().sum())
    return _returned(ctx.config["odd"], {"total": total})


workload = Odd()
