"""Averages of the weights, and those that are reconstructed afterwards, against sums over a whole trajectory."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from adm import checkpoints
from adm.training.ema import PowerEMA
from adm.training.ema_profiles import coefficients, exponent, profile_error
from adm.training.stages import WEIGHTS, snapshot_file
from adm.workload import workload
from assay.execution import inline
from assay.store import Store
from assay.workload import Stage, topological

KEPT = (0.05, 0.1)
STEPS = 400

Array = npt.NDArray[np.float64]


def profile(length: float, steps: int) -> Array:
    """The weights of steps 1 … `steps` in the average at the last one: what its recursion gives, step by step."""
    weights, power = np.zeros(steps), exponent(length) + 1
    for step in range(1, steps + 1):
        beta = (1 - 1 / step) ** power
        weights[: step - 1] *= beta
        weights[step - 1] = 1 - beta
    return weights


@cache
def trajectory() -> tuple[list[torch.Tensor], dict[int, dict[float, torch.Tensor]]]:
    """A linear regression by SGD in float64: its weights after every step, and sixteen snapshots."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(4, 3, bias=False, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    truth = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    average, weights, snapshots = PowerEMA(model, KEPT), [], {}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    for step in range(1, STEPS + 1):
        x = torch.randn(8, 4, generator=generator, dtype=torch.float64)
        noise = torch.randn(8, 3, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        (model(x) - x @ truth.T - noise).square().mean().backward()
        optimizer.step()
        average.update(step)
        weights.append(model.weight.detach().clone())
        if step % (STEPS // 16) == 0:
            snapshots[step] = {length: each["weight"].clone() for length, each in average.weights.items()}
    return weights, snapshots


def weighted(weights: list[torch.Tensor], factors: Array) -> torch.Tensor:
    return torch.einsum("t,tij->ij", torch.from_numpy(factors), torch.stack(weights))


@pytest.mark.parametrize(("length", "gamma"), [(0.05, 16.97), (0.1, 6.94), (1 / math.sqrt(12), 0.0)])
def test_the_exponents_are_those_of_the_paper(length: float, gamma: float) -> None:
    assert exponent(length) == pytest.approx(gamma, abs=0.005)


@pytest.mark.parametrize("length", [0.03, 0.1, 0.25])
def test_a_length_is_the_relative_deviation_of_its_profile(length: float) -> None:
    weights, t = profile(length, 5000), (np.arange(5000) + 0.5) / 5000
    assert weights.sum() == pytest.approx(1)
    mean = weights @ t
    assert math.sqrt(weights @ (t - mean) ** 2) == pytest.approx(length, rel=1e-3)


def test_the_averages_of_a_training_are_weighted_sums_of_its_weights() -> None:
    weights, snapshots = trajectory()
    for step, kept in snapshots.items():
        for length, snapshot in kept.items():
            torch.testing.assert_close(snapshot, weighted(weights[:step], profile(length, step)))


@pytest.mark.parametrize("length", [0.03, 0.05, 0.07, 0.1, 0.15, 0.2])
def test_any_length_is_reconstructed_from_sixteen_snapshots(length: float) -> None:
    weights, snapshots = trajectory()
    factors = coefficients(list(snapshots), KEPT, length)
    assert factors.sum() == pytest.approx(1)
    kept = torch.stack([torch.stack(list(snapshot.values())) for snapshot in snapshots.values()])
    reconstructed = torch.einsum("sk,skij->ij", torch.from_numpy(factors), kept)
    exact = weighted(weights, profile(length, STEPS))
    error = (reconstructed - exact).norm() / (weights[-1] - exact).norm()
    assert error < 0.02 if length >= 0.05 else error < 0.1
    others = [weighted(weights, profile(other, STEPS)) for other in (length / 1.5, min(0.28, length * 1.4))]
    assert all((reconstructed - exact).norm() < 0.1 * (other - exact).norm() for other in others)


@pytest.mark.parametrize("length", [0.02, 0.07, 0.25])
def test_the_profile_error_is_that_of_the_profiles(length: float) -> None:
    steps = list(range(100, 1601, 100))
    factors = coefficients(steps, KEPT, length)
    profiles = [[np.pad(profile(kept, step), (0, 1600 - step)) for kept in KEPT] for step in steps]
    exact = profile(length, 1600)
    error = np.linalg.norm(np.einsum("ij,ijt->t", factors, np.array(profiles)) - exact) / np.linalg.norm(exact)
    assert profile_error(steps, KEPT, length) == pytest.approx(error, rel=0.01)
    assert profile_error(steps, KEPT, 0.1) < 1e-6


TINY = {
    "model.channels": 32,
    "model.channel_mult": [1],
    "model.attention_resolutions": [],
    "train.iterations": 6,
    "train.batch_size": 4,
    "train.precision": "fp32",
    "train.snapshot_every": 2,
    "train.ema_lengths": [0.1, 0.05],
    "train.ema_rates": [0.0],
    "train.anneal_iterations": "iterations",
    "evaluate.extractor": "pixels",
}


def stages(**sample: float) -> dict[str, Stage]:
    overrides = {**TINY, **{f"sample.{name}": value for name, value in sample.items()}}
    return {stage.key: stage for stage in topological(workload.stages(workload.resolve("digits", overrides)))}


def test_a_study_over_lengths_trains_once() -> None:
    """Every length reads the same snapshots: budgets of one training, each of which the next goes on from."""
    short, long = stages(ema_length=0.06), stages(ema_length=0.12)
    trainings = [stage for stage in (short | long).values() if stage.kind == "train"]
    assert [stage.amount for stage in trainings] == [2, 4, 6]
    assert len({stage.lineage for stage in trainings}) == 1
    assert sum(stage.name == "reconstruct_ema" for stage in (short | long).values()) == 2


@pytest.mark.slow
def test_the_stage_writes_the_average_of_the_training(tmp_path: Path) -> None:
    """A length that was kept is given back, as a training in one piece has it; another is another."""
    store = Store(tmp_path)

    def reconstructed(length: float) -> tuple[dict[str, torch.Tensor], Stage]:
        needed = [stage for stage in stages(ema_length=length).values() if stage.kind == "train"]
        (stage,) = (stage for stage in stages(ema_length=length).values() if stage.name == "reconstruct_ema")
        for each in (*needed, stage):
            if store.get(each.key) is None:
                inline.execute(each, store, 1, lambda event: None)
        result = store.get(stage.key)
        assert result is not None
        assert result.metrics["profile_error"] < 0.1
        return dict(checkpoints.load(result.file(WEIGHTS))), needed[-1]

    back, training = reconstructed(0.05)
    result = store.get(training.key)
    assert result is not None
    for name, weight in checkpoints.load(result.file(snapshot_file(0.05))).items():
        torch.testing.assert_close(back[name], weight, rtol=1e-5, atol=1e-6)
    straight = Store(tmp_path / "straight")
    inline.execute(training, straight, 1, lambda event: None)
    result = straight.get(training.key)
    assert result is not None
    for name, weight in checkpoints.load(result.file(snapshot_file(0.05))).items():
        torch.testing.assert_close(back[name], weight, rtol=1e-5, atol=1e-6)
    between, _ = reconstructed(0.07)
    assert any(not torch.equal(between[name], back[name]) for name in back)
