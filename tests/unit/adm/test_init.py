"""A training that starts from another's weights: by key or by sweep and arm, computed once, and part of the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import assay
from adm import checkpoints
from adm.training.stages import WEIGHTS
from assay.cli import main
from assay.home import Home
from assay.store import Store, StoredResult
from assay.workload import Stage

CONFIG = {
    "model.channel_mult": [1],
    "model.attention_resolutions": [],
    "train.batch_size": 4,
    "train.precision": "fp32",
    "train.engine": "torch",
    "sample.sampler": "ddim",
    "sample.steps": 2,
    "sample.guidance_scale": 0.0,
    "evaluate.extractors": ["pixels"],
    "evaluate.num_samples": 8,
    "evaluate.num_reference": 20,
}
STANDS_STILL = {"train.learning_rate": 1e-30}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / ".assay"))
    (tmp_path / "sweeps").mkdir()
    write("first", {"plain": {}, "dropped": {"model.dropout": 0.1}}, iterations=4)
    return tmp_path


def write(name: str, arms: dict[str, Any], iterations: int, **config: Any) -> None:
    head = {"version": 1, "name": name, "workload": "adm", "base": "digits", "metric": "fd_pixels", "mode": "min"}
    options = {**CONFIG, "train.iterations": iterations, **config}
    Path(f"sweeps/{name}.yaml").write_text(yaml.safe_dump({**head, "config": options, "arms": arms}))


def run(name: str) -> dict[str, StoredResult]:
    """Arm → the result of its own training."""
    outcome = assay.run(f"sweeps/{name}.yaml", executor="inline")
    assert not outcome.failed, [trial.error for trial in outcome.failed]
    store = Store(Home.default().store_url)
    trained = {trial.planned.trial.arm: of_trial(trial.planned.stages)[-1] for trial in outcome.trials}
    return {str(arm): result for arm, stage in trained.items() if (result := store.get(stage.key)) is not None}


def of_trial(stages: tuple[Stage, ...]) -> list[Stage]:
    """Its trainings, the one it starts from first."""
    return [stage for stage in stages if stage.name == "train"]


def weights(result: StoredResult) -> torch.Tensor:
    state = checkpoints.load(result.file(WEIGHTS))
    return torch.cat([tensor.flatten() for tensor in state.values()])


@pytest.mark.slow
def test_it_starts_from_the_weights_of_an_arm_which_is_trained_first_and_once() -> None:
    arms = {"scratch": {}, "forked": {"train.init": "first/plain"}, "again": {"train.init": "first/plain", "seed": 0}}
    write("second", {name: {**arm, **STANDS_STILL} for name, arm in arms.items() if name != "again"}, iterations=2)
    second = run("second")
    first = run("first")
    assert second["forked"].inputs == {"init": first["plain"].key}
    assert torch.equal(weights(second["forked"]), weights(first["plain"])), "a step of 1e-30 changes nothing"
    assert not torch.equal(weights(second["scratch"]), weights(first["plain"]))
    assert second["forked"].key != second["scratch"].key
    plan = assay.plan("sweeps/first.yaml")
    assert {stage.key for stage in plan.stages.values()} <= {*Store(Home.default().store_url).known()} | {
        stage.key for stage in plan.stages.values() if stage.streamed
    }

    write("by_key", {"forked": {"train.init": first["plain"].key[:10], **STANDS_STILL}}, iterations=2)
    assert run("by_key")["forked"].key == second["forked"].key, "however it is referred to"

    write("earlier", {"forked": {"train.init": "first/plain@2", **STANDS_STILL}}, iterations=2)
    earlier = run("earlier")["forked"]
    assert not torch.equal(weights(earlier), weights(first["plain"])), "after two of its four iterations"


@pytest.mark.parametrize(
    ("init", "words"),
    [
        ("first/plan", "first has no arm 'plan' with a stage train; did you mean 'plain'?"),
        ("frist/plain", "frist: no such sweep file, here or in sweeps/; did you mean 'first'?"),
        ("abcdef0123", "of which no finished stage is stored; allowed: the first characters of a key (assay ls)"),
        ("plain", "allowed: the first characters of a key (assay ls), or SWEEP/ARM or SWEEP/ARM@AMOUNT"),
        ("second/forked", "which refers to the sweep that it is in"),
    ],
)
def test_what_is_not_there_is_refused_at_its_line(init: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    write("second", {"forked": {"train.init": init}}, iterations=2)
    assert main(["validate", "second"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("sweeps/second.yaml:")
    assert "arms.forked.train.init" in error
    assert words in error


def test_another_network_is_refused_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    write("second", {"forked": {"train.init": "first/dropped", "model.num_res_blocks": 2}}, iterations=2)
    assert main(["validate", "second"]) == 2
    assert "first/dropped has another network: model.num_res_blocks 1 (here 2)" in capsys.readouterr().err
    write("second", {"forked": {"train.init": "first/dropped", "model.dropout": 0.3}}, iterations=2)
    assert main(["validate", "second"]) == 0


def test_sweeps_that_refer_to_each_other_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    write("second", {"forked": {"train.init": "third/forked"}}, iterations=2)
    write("third", {"forked": {"train.init": "second/forked"}}, iterations=2)
    assert main(["validate", "second"]) == 2
    error = capsys.readouterr().err
    assert "got 'second/forked', which refers to the sweep that it is in" in error


def test_an_earlier_step_is_a_part_of_the_work() -> None:
    write("second", {"forked": {"train.init": "first/plain@1"}}, iterations=2)
    write("short", {"plain": {}}, iterations=1)
    (forked,), (short,) = assay.plan("sweeps/second.yaml").trials, assay.plan("sweeps/short.yaml").trials
    (source, _), (planned,) = of_trial(forked.stages), of_trial(short.stages)
    assert source.key == planned.key
    assert (source.flops, source.items) == (planned.flops, planned.items)


def test_a_job_may_name_keys_of_another_store_but_no_sweeps_from_here() -> None:
    from assay.planning import references_of

    write("second", {"forked": {"train.init": "abcdef0123"}, "other": {"train.init": "first/plain"}}, iterations=2)
    references = references_of(assay.load_sweep("sweeps/second.yaml"))
    (trial,) = (trial for trial in assay.plan("sweeps/first.yaml").trials if trial.name == "plain")
    assert references == {"first/plain": of_trial(trial.stages)[-1].key}


def test_it_cannot_be_had_together_with_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    write("second", {"forked": {"train.init": "first/plain", "train.checkpoint": "model.pt"}}, iterations=2)
    assert main(["validate", "second"]) == 2
    assert "init has no effect with checkpoint, which replaces the training" in capsys.readouterr().err
