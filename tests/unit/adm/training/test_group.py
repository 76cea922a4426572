"""Two workers: whatever the engine and precision, a training resumes to the same weights, by any group or engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

import training_group
from adm.training.engines.deepspeed_engine import unavailable_reason
from assay.store import Store

pytestmark = pytest.mark.slow

ENGINES = {
    "PyTorch in fp32": {"train.engine": "torch", "train.precision": "fp32"},
    "PyTorch in bf16, gradients, too": {
        "train.engine": "torch",
        "train.precision": "bf16",
        "train.compress_gradients": True,
    },
    "DeepSpeed in fp32": {"train.engine": "deepspeed", "train.precision": "fp32"},
    "DeepSpeed in fp32, ZeRO 1": {"train.engine": "deepspeed", "train.precision": "fp32", "train.zero_stage": 1},
    "DeepSpeed in bf16, ZeRO 2": {"train.engine": "deepspeed", "train.precision": "bf16", "train.zero_stage": 2},
}
TINY = {
    "model.dropout": 0.1,
    "train.batch_size": 9,  # shares of 4 and 5
    "train.micro_batch": 3,
    "train.gradient_clip": 1.0,
    "train.anneal_iterations": 20,
    "train.ema_rates": [0.5, 0.9],
    "train.checkpoint_every": 2,
}
WHOLE, HALF = 4, 2


def job(store: Path, iterations: int = WHOLE, **overrides: Any) -> training_group.Job:
    return {"stage": "train", "store": str(store), "overrides": {**TINY, **overrides, "train.iterations": iterations}}


def of(name: str) -> dict[str, Any]:
    return ENGINES[name]


def missing(*names: str) -> str | None:
    """Why one of these engines cannot be had here, if so."""
    return unavailable_reason("cpu") if any(of(name)["train.engine"] == "deepspeed" for name in names) else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each engine's whole training, and one in halves; halves of one engine that another, or one worker, ends."""
    root = tmp_path_factory.mktemp("group")
    jobs = []
    for name, engine in ENGINES.items():
        if missing(name):
            continue
        jobs += [
            job(root / name / "whole", **engine),
            job(root / name / "halves", HALF, **engine),
            job(root / name / "halves", **engine),
        ]
        if "train.zero_stage" not in engine:
            jobs.append(job(root / name / "roomy", HALF, **engine, **SAME_NUMBERS))
            jobs.append({**job(root / name / "short", HALF, **engine, **SAME_NUMBERS), "room": {"1": 2}})
    for first, then in ENDED_BY_ANOTHER:
        if missing(first, then):
            continue
        jobs += [job(root / first / then, HALF, **of(first)), job(root / first / then, **of(then))]
    jobs.append(job(root / "one worker", HALF, **of("PyTorch in fp32")))
    jobs.append({**job(root / "unlike", HALF, **AUTO), "bf16_on": [0]})
    training_group.train(jobs, 2, root / "two")
    training_group.train([job(root / "one worker", **of("PyTorch in fp32"))], 1, root / "one")
    return root


SAME_NUMBERS = {"model.dropout": 0.0}
"""Dropout leaves out other units in micro-batches of other sizes."""
AUTO = {"train.engine": "torch", "train.precision": "auto"}
ENDED_BY_ANOTHER = [
    ("PyTorch in fp32", "DeepSpeed in fp32, ZeRO 1"),
    ("DeepSpeed in fp32, ZeRO 1", "DeepSpeed in fp32"),
    ("DeepSpeed in fp32", "PyTorch in fp32"),
]


def result(store: Path, name: str, iterations: int = WHOLE) -> Any:
    skip_without(name)
    found = Store(store).get(training_group.stage_of(job(store, iterations, **of(name))).key)
    assert found is not None
    return found


def skip_without(*names: str) -> None:
    if (reason := missing(*names)) is not None:
        pytest.skip(f"needs DeepSpeed's operators, which cannot be built here: {reason}")


def weights(store: Path, name: str) -> dict[str, Mapping[str, np.ndarray[Any, Any]]]:
    """Both averages, by file."""
    files = ("model.safetensors", "model_ema_0.9.safetensors")
    return {file: {k: v.numpy() for k, v in load_file(result(store, name).file(file)).items()} for file in files}


@pytest.mark.parametrize("name", ENGINES)
def test_a_training_in_two_halves_is_the_undisturbed_one_bit_for_bit(folder: Path, name: str) -> None:
    whole, halves = folder / name / "whole", folder / name / "halves"
    for file, found in weights(whole, name).items():
        again = weights(halves, name)[file]
        assert all(np.array_equal(value, again[key]) for key, value in found.items())
    before, after = (result(store, name).history for store in (whole, halves))
    assert before == after
    assert [point["step"] for point in before] == list(range(1, WHOLE + 1))


def losses(store: Path, name: str) -> list[float]:
    return [point["loss"] for point in result(store, name).history]


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_follows_the_same_losses(folder: Path, name: str) -> None:
    reference = losses(folder / "PyTorch in fp32" / "whole", "PyTorch in fp32")
    assert losses(folder / name / "whole", name) == pytest.approx(reference, rel=0.02 if "bf16" in name else 1e-3)


@pytest.mark.parametrize(("first", "then"), ENDED_BY_ANOTHER)
def test_an_engine_goes_on_from_anothers_checkpoint(folder: Path, first: str, then: str) -> None:
    skip_without(first, then)
    assert losses(folder / first / then, then) == pytest.approx(losses(folder / then / "whole", then), rel=1e-3)
    assert result(folder / first / then, then).notes["train.engine"] == of(then)["train.engine"]


@pytest.mark.parametrize("name", [name for name, engine in ENGINES.items() if "train.zero_stage" not in engine])
def test_where_one_worker_runs_out_of_memory_all_take_smaller_parts_of_the_same_steps(folder: Path, name: str) -> None:
    skip_without(name)
    stage = training_group.stage_of(job(folder, HALF, **of(name), **SAME_NUMBERS))
    roomy, short = (Store(folder / name / store).get(stage.key) for store in ("roomy", "short"))
    assert roomy is not None
    assert short is not None
    assert short.notes["train.micro_batch"] == 2, "of 3, which worker 1 cannot hold"
    expected = [point["loss"] for point in roomy.history]
    assert [point["loss"] for point in short.history] == pytest.approx(expected, rel=0.02 if "bf16" in name else 1e-4)


def test_workers_on_unlike_machines_compute_in_what_all_are_good_at(folder: Path) -> None:
    store = folder / "unlike"
    found = Store(store).get(training_group.stage_of(job(store, HALF, **AUTO)).key)
    assert found is not None
    assert found.notes["train.precision"] == "fp32"


def test_another_number_of_workers_sees_the_same_batches(folder: Path) -> None:
    # Dropout differs, being drawn where it is used; images, timesteps and noise do not, and make up most of a loss.
    one, two = folder / "one worker", folder / "PyTorch in fp32" / "whole"
    assert losses(one, "PyTorch in fp32") == pytest.approx(losses(two, "PyTorch in fp32"), rel=0.05)
    assert result(one, "PyTorch in fp32").cost.count == 1


def test_the_averages_are_of_their_rates(folder: Path) -> None:
    found = weights(folder / "DeepSpeed in bf16, ZeRO 2" / "whole", "DeepSpeed in bf16, ZeRO 2")
    quick, slow = found["model.safetensors"], found["model_ema_0.9.safetensors"]
    assert any(np.abs(quick[key] - slow[key]).max() > 1e-5 for key in quick)


def test_what_was_chosen_is_in_the_result(folder: Path) -> None:
    name = "DeepSpeed in bf16, ZeRO 2"
    found = result(folder / name / "whole", name)
    assert found.notes["train.precision"] == "bf16"
    assert found.notes["train.engine"] == "deepspeed"
    assert found.notes["images_per_second"] > 0
    assert found.asked == {}, "nothing was left to choose"
