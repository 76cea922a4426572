"""A workload to start from: a small network learns a curve, and is judged at points of its own.

    train ─► predict ─► evaluate

Put your config, stages and bodies in the place of these. A body's result depends on its stage's config, budget and
inputs, and on nothing else: that is what keys, sharing and resuming rest on. If you change what a body computes, raise
its stage's `version`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.workload import (
    Batch,
    Budget,
    Checkpointed,
    Checkpointing,
    ReportHints,
    Smoke,
    Stage,
    StageContext,
    Starter,
    TrainContext,
    TypedWorkload,
    log_step,
)
from assay.workload.fields import PositiveFloat, PositiveInt, Section, Seed

if TYPE_CHECKING:
    from torch import nn

# The config: whatever a sweep may set, by its path, such as model.width.


class Model(Section):
    width: PositiveInt = 32
    activation: Literal["tanh", "relu"] = "tanh"


class Train(Section):
    iterations: PositiveInt = 1000
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 1e-2


class Evaluate(Section):
    num_points: PositiveInt = 1000


class Config(Section):
    seed: Seed = 0
    model: Model = Model()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()


BASES = {"small": Config(), "wide": Config(model=Model(width=128))}


class MyWorkload(TypedWorkload[Config]):
    name = "my_workload"
    config_type = Config
    bases = BASES
    report = ReportHints(metrics=("error", "largest_error"), count="num_points", item_unit="points")
    smoke = Smoke("small", {"train.iterations": 4, "evaluate.num_points": 6})
    starter = Starter(
        description="Which activation learns the curve better, and at which learning rate?",
        base="small",
        metric="error",
        mode="min",
        arms={"tanh": {}, "relu": {"model.activation": "relu"}},
        parameters={"train.learning_rate": [0.003, 0.03]},
    )

    def stages_of(self, config: Config) -> Sequence[Stage]:
        train = Stage(
            name="train",
            version=1,
            kind="train",
            body=("my_workload:train",),
            config={
                "seed": config.seed,
                "model": config.model.model_dump(),
                "train": config.train.model_dump(exclude={"iterations"}),
            },
            budget=Budget("train.iterations", config.train.iterations, "iterations"),
            checkpointing=Checkpointing(every=200),
        )
        predict = Stage(
            name="predict",
            version=1,
            kind="map",
            body=("my_workload:Predict",),
            config={"model": config.model.model_dump()},
            inputs={"model": train},
            budget=Budget("evaluate.num_points", config.evaluate.num_points, "points"),
        )
        evaluate = Stage(
            name="evaluate",
            version=1,
            kind="reduce",
            body=("my_workload:evaluate",),
            config={},
            inputs={"predictions": predict},
            conditions={"num_points": config.evaluate.num_points},
        )
        return [evaluate]


# The bodies. They import torch themselves: a plan imports this module, and should not wait for torch.


def train(ctx: TrainContext) -> Mapping[str, float]:
    import torch

    torch.manual_seed(ctx.config["seed"])
    model = network(ctx.config["model"]).to(ctx.device)
    settings = ctx.config["train"]
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    for step in (training := Checkpointed(ctx, model=model, optimizer=optimizer)).steps():
        # The batch depends on the seed and the step alone, so a resumed training sees the same batches.
        draws = torch.Generator().manual_seed(1_000_000 * ctx.config["seed"] + step)
        x = torch.rand(settings["batch_size"], 1, generator=draws).to(ctx.device)
        loss = torch.nn.functional.mse_loss(model(x), torch.from_numpy(curve(x.cpu().numpy())).to(ctx.device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        training.score = loss.item()
        log_step(ctx, step, {"loss": training.score})
    torch.save(model.state_dict(), ctx.output / "model.pt")
    return {}


class Predict:
    """Point i is the same one whatever batch it is in, and however many there are."""

    def __init__(self, ctx: StageContext) -> None:
        import torch

        self.model = network(ctx.config["model"]).to(ctx.device)
        self.model.load_state_dict(torch.load(ctx.inputs["model"].file("model.pt"), weights_only=True))
        self.device = ctx.device

    def __call__(self, batch: Batch) -> Batch:
        import torch

        x = (0.618034 * batch["id"] % 1).astype(np.float32)
        with torch.inference_mode():
            y = self.model(torch.from_numpy(x[:, None]).to(self.device)).cpu().numpy()[:, 0]
        return {"id": batch["id"], "error": np.abs(y - curve(x))}


def evaluate(ctx: StageContext) -> Mapping[str, float]:
    errors = ctx.inputs["predictions"].read(["error"]).column("error").to_numpy()
    return {"error": float(errors.mean()), "largest_error": float(errors.max()), "num_points": len(errors)}


def network(config: Mapping[str, Any]) -> nn.Module:
    from torch import nn

    activation = {"tanh": nn.Tanh, "relu": nn.ReLU}[config["activation"]]
    return nn.Sequential(nn.Linear(1, config["width"]), activation(), nn.Linear(config["width"], 1))


def curve(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What is learned: one period of a sine, nearly."""
    return np.sin(6 * x).astype(np.float32)


workload = MyWorkload()
