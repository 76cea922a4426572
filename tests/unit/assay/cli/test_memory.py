"""What `plan` says of memory, for a sweep of the paper at full scale."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from repository import ROOT

SWEEP = str(ROOT / "sweeps" / "table9_early_stopping.yaml")


@pytest.mark.usefixtures("project")
def test_a_plan_says_what_a_worker_needs_beside_what_its_device_has(assay: Callable[..., Any]) -> None:
    said = assay("plan", SWEEP)
    assert said.code == 0, said.err
    (train,) = [line for line in said.out.splitlines() if line.startswith("memory: train ")]
    assert " GiB per worker at train.micro_batch 8; fits a V100 of 32 GB, not of 16: set train.micro_batch " in train
    assert train.endswith(" or model.activation_checkpointing true.")
    stages = json.loads(assay("plan", SWEEP, "--json").out)["stages"]
    memory = {stage["stage"]: stage["memory"] for stage in stages}
    assert memory["train"]["at_a_time"] == 8
    assert memory["train"]["most_by_gib"]["16"] < 8 <= memory["train"]["most_by_gib"]["32"]
    assert memory["features"]["setting"] == "sample.batch_size", "images are drawn in the same process"
    assert memory["evaluate"] is None


@pytest.mark.usefixtures("project")
def test_a_plan_says_how_long_a_stage_takes_on_the_gpus_of_its_resources(assay: Callable[..., Any]) -> None:
    stages = json.loads(assay("plan", SWEEP, "--json").out)["stages"]
    train = next(stage for stage in stages if stage["stage"] == "train")
    assert train["seconds_on_gpus"] == pytest.approx(train["v100_days"] * 86_400 / 8)
    (line,) = [
        line for line in assay("plan", SWEEP).out.splitlines() if line.startswith("train ") and "250,000" in line
    ]
    assert line.rstrip().endswith("h on 8")
    another = json.loads(assay("plan", SWEEP, "--json", "--set", "resources.train.gpu=A100-40GB").out)["stages"]
    assert {stage["seconds_on_gpus"] for stage in another if stage["stage"] == "train"} == {None}


@pytest.mark.usefixtures("project")
def test_of_stages_that_are_alike_the_one_that_needs_most_is_told(assay: Callable[..., Any]) -> None:
    sweep = str(ROOT / "sweeps" / "main_table4_guidance.yaml")
    (drawing,) = [line for line in assay("plan", sweep).out.splitlines() if line.startswith("memory: features ")]
    stages = json.loads(assay("plan", sweep, "--json").out)["stages"]
    needs = {stage["memory"]["bytes_per_worker"] for stage in stages if stage["stage"] == "features"}
    assert len(needs) > 1, "guided and unguided"
    assert f" {max(needs) / 2**30:.1f} GiB " in drawing


@pytest.mark.usefixtures("project")
def test_auto_and_a_named_gpu_need_no_arithmetic(assay: Callable[..., Any]) -> None:
    out = assay("plan", SWEEP, "--set", "train.micro_batch=auto", "--set", "sample.batch_size=auto").out
    (train,) = [line for line in out.splitlines() if line.startswith("memory: train ")]
    assert " auto: " in train
    assert " on a V100 of 16 GB or " in train
