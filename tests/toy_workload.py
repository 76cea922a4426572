"""A workload that takes milliseconds: a "model" is one number, a "sample" the number plus its index.

    train ─► sample ─► evaluate ◄─ reference

A sweep reaches every way a stage can go: `train.fail` makes the training raise, `sample.fail` the sampling.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assay.errors import ConfigError, ConfigProblem, did_you_mean
from assay.workload import Batch, Budget, ReportHints, Stage, StageContext, TrainContext

DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "model": {"norm": "adagn"},
    "train": {"iterations": 20, "fail": False, "pause_s": 0.0},
    "sample": {"scale": 0.0, "fail": False},
    "evaluate": {"num_samples": 12},
}


class Toy:
    name = "toy"
    seed_path = "seed"
    report = ReportHints(metrics=("distance", "precision"), sample_grid="samples.png")

    def presets(self) -> Sequence[str]:
        return ["tiny"]

    def paths(self, base: str) -> Sequence[str]:
        return [f"{s}.{n}" for s, v in DEFAULTS.items() if isinstance(v, dict) for n in v] + ["seed"]

    def resolve(self, base: str, overrides: Mapping[str, Any]) -> Mapping[str, Any]:
        values = json.loads(json.dumps(DEFAULTS))
        for path, value in overrides.items():
            if path not in self.paths(base):
                raise ConfigError([ConfigProblem(path, f"unknown config path{did_you_mean(path, self.paths(base))}")])
            section, _, name = path.rpartition(".")
            (values[section] if section else values)[name] = value
        if values["model"]["norm"] not in ("adagn", "add"):
            raise ConfigError([ConfigProblem("model.norm", f"got {values['model']['norm']!r}, allowed: adagn, add")])
        return values

    def metrics(self, config: Mapping[str, Any]) -> Sequence[str]:
        return ["distance", "precision"]

    def stages(self, config: Mapping[str, Any]) -> Sequence[Stage]:
        train = Stage(
            name="train",
            version=1,
            kind="train",
            body=("toy_workload:train",),
            config={"seed": config["seed"], "norm": config["model"]["norm"], **_without(config["train"], "iterations")},
            budget=Budget("train.iterations", config["train"]["iterations"], "iterations"),
            checkpoint_every=5,
            resources="train",
            flops=1e15,
        )
        sample = Stage(
            name="sample",
            version=1,
            kind="map",
            body=("toy_workload:Sampler",),
            config=dict(config["sample"]),
            inputs={"model": train},
            budget=Budget("evaluate.num_samples", config["evaluate"]["num_samples"], "images"),
            resources="sample",
            batch_size=3,
            shard_size=6,
        )
        reference = Stage(name="reference", version=1, kind="reduce", body=("toy_workload:reference",), config={})
        inputs = {"samples": sample, "reference": reference}
        return [
            Stage(name="evaluate", version=1, kind="reduce", body=("toy_workload:evaluate",), config={}, inputs=inputs)
        ]


def _without(section: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != name}


def train(ctx: TrainContext) -> Mapping[str, float]:
    """The number is 1 for adagn and 2 for add; the loss goes down."""
    found = ctx.latest_checkpoint()
    for step in range(found[0] if found else 0, ctx.amount):
        loss = 1 / (step + 1)
        ctx.log(step + 1, {"loss": loss})
        ctx.progress(step + 1, {"loss": loss})
        time.sleep(ctx.config["pause_s"])
        if (step + 1) % 5 == 0:
            ctx.save_checkpoint(step + 1, lambda folder: (folder / "step").write_text("x") and None)
        if ctx.config["fail"] and step + 1 >= 10:
            raise RuntimeError("the loss is not a number")
    (ctx.output / "model.json").write_text(json.dumps({"adagn": 1.0, "add": 2.0}[ctx.config["norm"]]))
    return {"loss": 1 / ctx.amount}


class Sampler:
    def __init__(self, ctx: StageContext) -> None:
        if ctx.config["fail"]:
            raise ValueError("cannot draw:\nno ink")
        self.value = json.loads(Path(ctx.inputs["model"].file("model.json")).read_text()) + ctx.config["scale"]

    def __call__(self, batch: Batch) -> Batch:
        return {"id": batch["id"], "value": batch["id"] * 0.0 + self.value}


def reference(ctx: StageContext) -> Mapping[str, float]:
    return {"mean": 0.0}


def evaluate(ctx: StageContext) -> Mapping[str, float]:
    values = ctx.inputs["samples"].read(["value"]).column("value").to_numpy()
    pixels = np.full((40, 60, 3), 30 * values.mean(), dtype=np.uint8)
    Image.fromarray(pixels).save(ctx.output / "samples.png")
    distance = abs(float(values.mean()) - ctx.inputs["reference"].metrics["mean"])
    return {"distance": distance, "precision": 0.5, "num_samples": len(values)}


workload = Toy()
