"""A workload that takes milliseconds: a "model" is one number, a "sample" the number plus its index.

    train ─► sample ─► evaluate ◄─ reference

A sweep reaches every way a stage can go: `train.fail` makes the training raise, `train.refuse` its check refuse,
`sample.fail` the sampling, and `sample.dies` ends its process. A step's work is shared by the workers there are, and
the sum is the same for any number.
`train.gates` is a folder: a training waits at step N while a file "shut-N" is in it. A `train.deaf` one never looks
whether it should leave. `sample.gates` likewise holds a sampler while a "shut" is in it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assay.errors import ConfigError, ConfigProblem, UserError, did_you_mean
from assay.workload import Batch, Budget, Checkpointing, ReportHints, Stage, StageContext, TrainContext

DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "model": {"norm": "adagn"},
    "train": {
        "iterations": 20,
        "batch": "auto",
        "fail": False,
        "refuse": "",
        "gates": "",
        "pause_s": 0.0,
        "deaf": False,
    },
    "sample": {"scale": 0.0, "fail": False, "dies": False, "gates": ""},
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
            checkpointing=Checkpointing(every=5),
            check="toy_workload:check_train",
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
        return [
            Stage(
                name="evaluate",
                version=1,
                kind="reduce",
                body=("toy_workload:evaluate",),
                config={},
                inputs={"samples": sample, "reference": reference},
                conditions={"num_samples": sample.amount},
            )
        ]


def _without(section: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != name}


def check_train(config: Mapping[str, Any]) -> None:
    if config["refuse"]:
        raise UserError(f"train.refuse: got {config['refuse']!r}, allowed: nothing")


BATCH = 4
"""What train.batch "auto" comes to."""


def train(ctx: TrainContext) -> Mapping[str, float]:
    """The number is 1 for adagn and 2 for add; the loss goes down; the sum is that of every step's batch."""
    if BATCH % ctx.world_size:
        raise UserError(f"a batch of {BATCH} does not divide by {ctx.world_size} workers")
    step = total = 0
    if found := ctx.latest_checkpoint():
        step, folder = found
        total = json.loads((folder / "rank-0.json").read_text())
    ctx.note("batch", BATCH)
    ctx.note("workers", ctx.world_size)
    while step < ctx.amount:
        step += 1
        batch = range(ctx.rank, BATCH, ctx.world_size)
        total += _sum_of_ranks(ctx, sum(step * step + i for i in batch))
        loss = 1 / step
        ctx.log(step, {"loss": loss})
        ctx.progress(step, {"loss": loss})
        time.sleep(ctx.config["pause_s"])
        is_deaf = ctx.config["deaf"]
        while (Path(ctx.config["gates"]) / f"shut-{step}").exists() and (is_deaf or not ctx.leaving):
            ctx.progress(step)
            time.sleep(0.01)
        is_leaving = not is_deaf and _sum_of_ranks(ctx, int(ctx.leaving)) > 0
        if step % ctx.checkpointing.every == 0 or is_leaving:
            text = json.dumps(total)
            ctx.save_checkpoint(step, lambda folder, t=text: _write(folder / f"rank-{ctx.rank}.json", t), score=loss)
        if is_leaving:
            ctx.leave(step)
        if ctx.config["fail"] and step >= 10:
            raise RuntimeError("the loss is not a number")
    (ctx.output / "model.json").write_text(json.dumps({"adagn": 1.0, "add": 2.0}[ctx.config["norm"]]))
    return {"loss": 1 / ctx.amount, "sum": total}


def _sum_of_ranks(ctx: TrainContext, value: int) -> int:
    if ctx.world_size == 1:
        return value
    import torch.distributed

    summed = torch.tensor(value)
    torch.distributed.all_reduce(summed)
    return int(summed)


def _write(path: Path, text: str) -> None:
    path.write_text(text)


class Sampler:
    def __init__(self, ctx: StageContext) -> None:
        if ctx.config["fail"]:
            raise ValueError("cannot draw:\nno ink")
        self.value = json.loads(Path(ctx.inputs["model"].file("model.json")).read_text()) + ctx.config["scale"]
        self.dies, self.gates = ctx.config["dies"], ctx.config["gates"]

    def __call__(self, batch: Batch) -> Batch:
        if self.dies:
            os._exit(1)
        while self.gates and (Path(self.gates) / "shut").exists():
            time.sleep(0.01)
        return {"id": batch["id"], "value": batch["id"] * 0.0 + self.value}


def reference(ctx: StageContext) -> Mapping[str, float]:
    return {"mean": 0.0}


def evaluate(ctx: StageContext) -> Mapping[str, float]:
    values = ctx.inputs["samples"].read(["value"]).column("value").to_numpy()
    pixels = np.full((40, 60, 3), 30 * values.mean(), dtype=np.uint8)
    Image.fromarray(pixels).save(ctx.output / "samples.png")
    distance = abs(float(values.mean()) - ctx.inputs["reference"].metrics["mean"])
    return {"distance": distance, "precision": 0.5, "num_samples": len(values)}


def guess(ctx: StageContext) -> Mapping[str, float]:
    return {"distance": 1.0 + ctx.config["scale"], "precision": 0.5, "num_samples": ctx.amount}


class Quick(Toy):
    """One reduction a trial and rung, for what only asks which trials go on."""

    def stages(self, config: Mapping[str, Any]) -> Sequence[Stage]:
        budget = Budget("evaluate.num_samples", config["evaluate"]["num_samples"], "images")
        return [Stage("guess", 1, "reduce", ("toy_workload:guess",), dict(config["sample"]), budget=budget)]


workload = Toy()
