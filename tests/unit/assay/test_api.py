"""The verbs from Python: sweeps from files and dicts, results as data frames, a table and a page from the store."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import assay
from assay.errors import SpecError, UserError
from assay.execution import Outcome
from assay.home import Home
from repository import FIXTURES

SWEEP: Mapping[str, Any] = {
    "version": 1,
    "name": "norms",
    "workload": "toy",
    "base": "tiny",
    "config": {"train.iterations": 10},
    "arms": {"AdaGN": {}, "addition": {"model.norm": "add"}},
    "parameters": {"sample.scale": {"values": (0.0, 1.0)}},
    "metric": "distance",
    "mode": "min",
    "profiles": {"smoke": {"config": {"train.iterations": 5}}},
}
FAILING = {**SWEEP, "name": "failing", "config": {"train.fail": True}}


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The toy as an installed workload."""
    site = tmp_path_factory.mktemp("site")
    (site / "toy-1.dist-info").mkdir()
    (site / "toy-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (site / "toy-1.dist-info" / "entry_points.txt").write_text("[assay.workloads]\ntoy = toy_workload:workload\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.syspath_prepend(FIXTURES)
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def outcome(home: Home) -> Outcome:
    return assay.run(SWEEP, home, profile="smoke", executor="inline")


def test_a_dict_is_a_sweep_as_its_file_is(tmp_path: Path) -> None:
    file = tmp_path / "norms.yaml"
    file.write_text(
        "{version: 1, name: norms, workload: toy, base: tiny, metric: distance, mode: min,"
        " config: {train.iterations: 10}, arms: {AdaGN: {}, addition: {model.norm: add}},"
        " parameters: {sample.scale: {values: [0.0, 1.0]}}}"
    )
    of_dict, of_file = assay.plan(SWEEP), assay.plan(str(file))
    assert list(of_dict.stages) == list(of_file.stages)
    assert [trial.name for trial in of_dict.trials] == [trial.name for trial in of_file.trials]
    with pytest.raises(SpecError, match="has no effect: parameters vary this path"):
        assay.load_sweep(SWEEP, sets=["sample.scale=2.0"])
    loaded = assay.load_sweep(SWEEP, profile="smoke", sets=["evaluate.num_samples=6"])
    assert (loaded.file, loaded.profile, loaded.num_trials()) == ("", "smoke", 4)


def test_everything_wrong_with_a_dict_is_told_at_once(tmp_path: Path) -> None:
    wrong = {**SWEEP, "mode": "best", "config": {"train.iteratoins": 5, "seed": object}, "seeds": [float("nan")]}
    with pytest.raises(SpecError) as caught:
        assay.load_sweep(wrong)
    told = str(caught.value).splitlines()
    assert "sweep: config.train.iteratoins: unknown config path; did you mean 'train.iterations'?" in told
    assert "sweep: mode: got 'best' (str), allowed: min, max" in told
    assert "sweep: seeds[0]: got nan (float), allowed: a finite number" in told
    assert any(line.startswith("sweep: config.seed: got <class 'object'> (type), allowed: numbers") for line in told)
    assert len(told) == 4
    holds_itself: dict[str, Any] = {**SWEEP}
    holds_itself["config"] = holds_itself
    with pytest.raises(SpecError, match="sweep: nested too deeply"):
        assay.load_sweep(holds_itself)


def test_an_outcome_is_a_data_frame(outcome: Outcome, home: Home) -> None:
    frame = outcome.to_pandas().set_index("trial")
    assert list(frame.index) == [trial.planned.name for trial in outcome.trials]
    assert list(frame.columns[:2]) == ["arm", "seed"]
    assert frame["sample.scale"].tolist() == [0.0, 1.0, 0.0, 1.0]
    assert frame["distance"].tolist() == [trial.metrics["distance"] for trial in outcome.trials]
    assert all(failure is None for failure in frame["failure"])
    failed = assay.run(FAILING, home, executor="inline").to_pandas()
    assert len(failed) == 4
    assert all(failure.startswith("train: ") for failure in failed["failure"])


def test_what_is_stored_is_compared_without_a_run(outcome: Outcome, home: Home) -> None:
    table = assay.compare(SWEEP, home=home, profile="smoke")
    best = min(outcome.trials, key=lambda trial: trial.metrics["distance"])
    assert table.best == best.planned.name
    frame = table.to_pandas()
    assert frame["rank"].tolist() == [1, 2, 3, 4]
    assert frame.loc[0, "distance"] == best.metrics["distance"]
    assert set(frame["state"]) == {"cached"}
    both = assay.compare(SWEEP, {**SWEEP, "name": "others"}, home=home, profile="smoke").to_pandas()
    assert len(both) == 8, "the same stages, under two names"
    assert set(both["rank"]) == set(range(1, 9))
    empty = assay.compare(SWEEP, home=home).to_pandas()
    assert empty["rank"].isna().all(), "at full scale nothing was computed"


@pytest.mark.slow
def test_a_report_is_written_from_the_store(outcome: Outcome, home: Home, tmp_path: Path) -> None:
    importlib.import_module("assay.report.folder")  # puts the package where the function was

    file = assay.report(SWEEP, tmp_path / "page.html", home=home, profile="smoke")
    assert file == tmp_path / "page.html"
    assert "AdaGN" in file.read_text()
    assert assay.report(SWEEP, home=home, profile="smoke") == home.report("norms", "smoke") / "report.html"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: assay.run(SWEEP, executor="local"), "executor: got 'local', allowed: 'ray', 'inline'"),  # type: ignore[arg-type]
        (lambda: assay.run(SWEEP, profile="smok"), "--profile smok: no such profile in sweep; did you mean 'smoke'?"),
        (lambda: assay.run(SWEEP, address=8265), "address: got 8265 (int), allowed: the address of a Ray cluster"),  # type: ignore[arg-type]
        (lambda: assay.run(SWEEP, pause=True), "pause: got True (bool), allowed: an assay.execution.Pause, or None"),  # type: ignore[arg-type]
        (
            lambda: assay.run(SWEEP, listeners=[print]),
            "listeners: got <built-in function print>, allowed: objects with",
        ),  # type: ignore[list-item]
        (
            lambda: assay.run(assay.load_sweep(SWEEP), profile="smoke"),
            "profile and sets apply to a sweep file or dict: pass them to assay.",
        ),
        (
            lambda: assay.run(assay.plan(SWEEP), sets=["seed=1"]),
            "profile and sets apply to a sweep file or dict: pass them to assay.",
        ),
        (lambda: assay.report(SWEEP, 3), "output: got 3 (int), allowed: the path of the file to write, or None"),  # type: ignore[arg-type]
        (lambda: assay.compare(), "compare: got no sweep, allowed: one or more of the path of a sweep file"),
        (
            lambda: assay.compare(SWEEP, {**SWEEP, "mode": "max"}),
            "compare: got sweeps ranked by different metrics (norms (1): distance (min); norms (2): distance (max)",
        ),
    ],
)
def test_every_choice_is_refused_with_those_there_are(
    call: Callable[[], object], says: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(home.root))
    with pytest.raises(UserError) as caught:
        call()
    assert str(caught.value).startswith(says)
