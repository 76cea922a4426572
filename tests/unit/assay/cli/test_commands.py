"""Every command but `run`: its answer, and what it says to a mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Assay = Callable[..., Any]


def test_assay_alone_shows_its_commands(assay: Assay) -> None:
    result = assay()
    assert result.code == 0
    for command in ("run", "validate", "plan", "ls", "show", "compare", "ui", "doctor"):
        assert f" {command} " in result.out


def test_version(assay: Assay) -> None:
    assert assay("--version").out.startswith("assay 0")


@pytest.mark.parametrize("name", ["norms", "norms.yaml", "sweeps/norms.yaml"])
def test_a_sweep_is_found_by_file_and_by_name(assay: Assay, name: str) -> None:
    result = assay("validate", name)
    assert result.code == 0
    assert result.out == "sweeps/norms.yaml: OK: norms, 4 trials of toy tiny\n"


@pytest.mark.parametrize(
    ("wrong", "meant"), [("norm", "norms"), ("norm.yaml", "norms.yaml"), ("sweeps/nrms.yaml", "sweeps/norms.yaml")]
)
def test_an_unknown_sweep_names_the_nearest(assay: Assay, wrong: str, meant: str) -> None:
    result = assay("plan", wrong)
    assert result.code == 2
    assert wrong in result.err
    assert f"did you mean '{meant}'?" in result.err
    assert result.out == ""


def test_every_mistake_is_one_line_with_its_place(assay: Assay, project: Path) -> None:
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("sample.scale: {", "sample.scael: {").replace("mode: min", "mode: least"))
    for command in ("validate", "plan", "run", "compare", "show"):
        result = assay(command, "norms")
        assert result.code == 2
        lines = result.err.splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("sweeps/norms.yaml:10: parameters.sample.scael: unknown config path")
        assert lines[1].startswith("sweeps/norms.yaml:12: mode: ")
        assert "Traceback" not in result.err


def test_a_wrong_option_is_a_user_error(assay: Assay) -> None:
    assert assay("run", "norms", "--no-such").code == 2
    assert assay("validate", "norms", "--set", "train.iterations=none").code in (0, 2)
    assert assay("validate", "norms", "--profile", "smoek").code == 2


@pytest.mark.slow
def test_plan_tells_trials_stages_states_and_what_sharing_saves(assay: Assay) -> None:
    before = assay("plan", "norms").out
    assert "4 trials" in before
    assert "11 stages do the work of 16; 5 are saved" in before
    assert "to do: 11 stages of 11; 0.00054 V100-days, by FLOPs, besides 9 stages of unknown cost." in before
    assay("run", "norms")
    after = assay("plan", "norms").out
    assert "to do: nothing, every stage is stored." in after
    assert "4 of 4" in after


def test_plan_knows_how_far_a_training_is(assay: Assay) -> None:
    assay("run", "norms", "--set", "train.fail=true")  # cut off after 10 of 20, when 10 were saved
    out = assay("plan", "norms", "--set", "train.fail=true").out
    assert "partial 10 of 20" in out
    stages = json.loads(assay("plan", "norms", "--set", "train.fail=true", "--json").out)["stages"]
    train = next(stage for stage in stages if stage["stage"] == "train")
    assert train["state"] == "partial"
    assert train["done"] == 10
    assert train["trials"] == ["AdaGN, scale 0.0", "AdaGN, scale 1.0"]


@pytest.mark.slow
def test_plan_estimates_seconds_from_earlier_results(assay: Assay) -> None:
    assay("run", "norms")
    stages = json.loads(assay("plan", "norms", "--set", "train.iterations=40", "--json").out)["stages"]
    train = next(stage for stage in stages if stage["stage"] == "train")
    assert train["state"] == "partial", "the first 20 iterations are there"
    assert train["seconds"] > 0


@pytest.mark.slow
def test_ls_lists_sweeps_and_stages(assay: Assay) -> None:
    assert "Nothing yet in .assay" in assay("ls").out
    assay("run", "norms")
    out = assay("ls").out
    assert "AdaGN, scale 0.0" in out
    assert "11 stages" in out
    listed = json.loads(assay("ls", "--json").out)
    assert [(s["sweep"], s["best"], s["best_value"]) for s in listed["sweeps"]] == [("norms", "AdaGN, scale 0.0", 1.0)]
    assert len(listed["stages"]) == 11
    assert all(stage["seconds"] >= 0 for stage in listed["stages"])


@pytest.mark.slow
def test_show_a_stage_by_the_beginning_of_its_key(assay: Assay) -> None:
    assay("run", "norms")
    stages = json.loads(assay("ls", "--json").out)["stages"]
    sample = next(stage for stage in stages if stage["stage"] == "sample")
    out = assay("show", sample["key"][:10]).out
    assert sample["key"] in out
    assert "budget 12 images (evaluate.num_samples)" in out
    assert "model" in out
    assert "2 shards" in out
    record = json.loads(assay("show", sample["key"], "--json").out)
    assert record["config"]["fail"] is False
    missing = assay("show", "0" * 12)
    assert missing.code == 2
    assert "no stored stage has a key that starts with 000000000000" in missing.err


def test_show_a_sweep_and_its_trials(assay: Assay) -> None:
    out = assay("show", "norms").out
    assert "addition, scale 1.0" in out
    assert "missing" in out
    for name in ("norms:AdaGN, scale 1.0", "norms:1", "sweeps/norms.yaml:adagn, scale 1"):
        shown = assay("show", name).out
        assert shown.startswith("AdaGN, scale 1.0")
        assert "sample: {scale: 1.0, fail: false, " in shown
    wrong = assay("show", "norms:addittion, scale 1.0")
    assert wrong.code == 2
    assert "did you mean 'addition, scale 1.0'?" in wrong.err
    assert "is ambiguous, 2 trials" in assay("show", "norms:AdaGN").err


def test_show_a_job_needs_a_cluster(assay: Assay) -> None:
    without = assay("show", "norms-0123456789-1")
    assert (without.code, without.err.count("\n")) == (2, 1)
    assert "norms-0123456789-1 is the id of a job: give its cluster by --address" in without.err
    away = assay("show", "norm", "--address", "http://127.0.0.1:9")
    assert away.code == 3
    assert "no such sweep file, here or in sweeps/; did you mean 'norms'?\nIt is not a job either:" in away.err
    assert "either: no cluster at http://127.0.0.1:9" in away.err


def test_show_presets(assay: Assay) -> None:
    assert "tiny  (toy)" in assay("show", "preset").out
    assert "model: {norm: adagn}" in assay("show", "preset", "tiny").out
    assert json.loads(assay("show", "preset", "tiny", "--json").out)["seed"] == 0
    wrong = assay("show", "preset", "tinny")
    assert wrong.code == 2
    assert "did you mean 'tiny'?" in wrong.err


@pytest.mark.slow
def test_compare_shows_unfinished_trials_as_such_and_computes_nothing(assay: Assay, project: Path) -> None:
    empty = assay("compare", "norms")
    assert empty.code == 0
    assert empty.out.count("not finished: 0 of 4 stages") == 4
    assay("run", "norms")
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("[0.0, 1.0]", "[0.0, 3.0]"))
    trials = json.loads(assay("compare", "norms", "--json").out)["sweeps"][0]["trials"]
    assert [t["status"] for t in trials] == ["cached", "cached", *["not finished: 2 of 4 stages"] * 2]
    assert [t["rank"] for t in trials] == [1, 2, None, None]


@pytest.mark.slow
def test_compare_leaves_a_damaged_result_out(assay: Assay, project: Path) -> None:
    assay("run", "norms")
    next((project / ".assay/store/results").glob("*/*/samples.png")).write_bytes(b"")
    trials = json.loads(assay("compare", "norms", "--json").out)["sweeps"][0]["trials"]
    assert sum(t["rank"] is None for t in trials) == 1


def test_an_unreadable_store_is_told_without_a_traceback(
    assay: Assay, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.setenv("ASSAY_STORE", "nosuchscheme://bucket")
    result = assay("plan", "norms")
    assert result.code == 3
    assert "cannot open the store 'nosuchscheme://bucket'" in result.err
    assert "Traceback" not in result.err


def test_a_bug_is_told_in_short_and_in_full(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    from toy_workload import Toy

    monkeypatch.setattr(Toy, "stages", lambda self, config: 1 / 0)
    result = assay("plan", "norms")
    assert result.code == 3
    assert "ZeroDivisionError: division by zero" in result.err
    assert "Traceback" in result.err
    assert "This is a bug" in result.err


def test_doctor_says_what_it_found_and_writes_nothing(
    assay: Assay, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.cli.commands import doctor

    # Importing torch, ray and mlflow is what takes the seconds; the process tests are slow enough.
    light = tuple(c for c in doctor.CHECKS if c not in (doctor._torch, doctor._importable))
    monkeypatch.setattr(doctor, "CHECKS", light)
    result = assay("doctor")
    assert result.code == 0
    assert "ok   Python" in result.out
    assert "will be created by the first run" in result.out
    assert not (project / ".assay").exists()
    assert {finding["what"] for finding in json.loads(assay("doctor", "--json").out)} >= {"packages", "disk", "store"}


def test_doctor_fails_on_a_package_that_is_too_old(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    from assay.cli.commands import doctor

    monkeypatch.setattr(doctor, "CHECKS", (doctor._packages,))
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["numpy>=99", "no-such-package"])
    result = assay("doctor")
    assert result.code == 1
    assert "fail packages: numpy" in result.out
    assert "no-such-package is missing" in result.out
    assert "pip install" in result.out
