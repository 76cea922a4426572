"""What the commands say of sweeps whose trials are many, or are not known yet, or race."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.results import log_rows

Assay = Callable[..., Any]


def with_scale(project: Path, space: str, more: str = "") -> None:
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("{values: [0.0, 1.0]}", space) + more)


def test_suggestions_come_as_it_goes(assay: Assay, project: Path) -> None:
    with_scale(project, "{min: 0, max: 1}", "searcher: {name: optuna, num_trials: 10, batch: 5}\nseeds: [0, 1]\n")
    says = "values are suggested as it goes: 10 in batches of 5, each 4 trials."
    assert assay("validate", "norms").out.splitlines() == [
        "sweeps/norms.yaml: OK: norms, 40 trials of toy tiny",
        says,
    ]
    planned = assay("plan", "norms")
    assert planned.code == 0
    assert says in planned.out
    assert "to do: nothing" not in planned.out


def test_what_is_yet_to_be_suggested_is_priced_by_random_values(assay: Assay, project: Path) -> None:
    with_scale(project, "{min: 0, max: 1}", "searcher: {name: optuna, num_trials: 4, batch: 2}\n")
    planned = assay("plan", "norms").out
    with_scale(project, "{min: 0, max: 1}", "searcher: {name: random, num_trials: 4}\n")
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("searcher: {name: optuna, num_trials: 4, batch: 2}\n", ""))
    at_random = assay("plan", "norms").out
    (to_do,) = (line for line in at_random.splitlines() if line.startswith("to do: "))
    assert to_do in planned
    assert planned.splitlines()[-1] == "random values stand for those to be suggested, in 8 trials."
    assert "random values" not in at_random


def test_a_search_is_priced_by_what_it_suggested_as_far_as_it_came(assay: Assay, project: Path) -> None:
    with_scale(project, "{min: 0, max: 1}", "searcher: {name: optuna, num_trials: 2, batch: 1}\n")
    assert assay("run", "norms").code == 0
    finished = json.loads(assay("plan", "norms", "--json").out)
    assert (finished["random_trials"], {stage["state"] for stage in finished["stages"]}) == (0, {"stored"})
    more = json.loads(assay("plan", "norms", "--json", "--set", "searcher.num_trials=3").out)
    assert more["random_trials"] == 2
    assert [t["trial"] for t in more["trials"][:4]] == [t["trial"] for t in finished["trials"]]


def test_random_draws_are_planned_like_any_trials(assay: Assay, project: Path) -> None:
    with_scale(project, "{min: 0, max: 1}", "searcher: {name: random, num_trials: 3}\n")
    assert "norms, 6 trials of toy tiny" in assay("validate", "norms").out
    assert "AdaGN, scale 0." in assay("plan", "norms").out


def test_of_very_many_trials_a_sample_is_checked(assay: Assay, project: Path) -> None:
    with_scale(project, "{min: 0, max: 1, num: 4000}")
    assert assay("validate", "norms").out.splitlines() == [
        "sweeps/norms.yaml: OK: norms, 8,000 trials of toy tiny",
        "checked: about 1,000 of the trials, evenly spread, and the corners of the space; the stages of the first 100.",
    ]


def test_a_race_is_planned_by_the_trials_that_will_climb(assay: Assay, project: Path) -> None:
    scheduler = "scheduler: {name: halving, budget: train.iterations, rungs: [10, 20], divisor: 2}\n"
    with_scale(project, "{values: [0.0]}", scheduler)
    halving = assay("plan", "norms").out
    assert "halving promotes, of 2 trials, 1 to 20: no others are counted." in halving
    assert "missing, if promoted" in halving
    with_scale(project, "{values: [0.0]}")
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("name: halving", "name: asha"))
    asha = assay("plan", "norms").out
    assert "this is an upper bound: asha ends trials at their rungs." in asha
    days = [float(out.split(" V100-days, by FLOPs")[0].split()[-1]) for out in (halving, asha)]
    assert days[0] < days[1]


@pytest.fixture
def raced(assay: Assay, project: Path) -> str:
    """A race of two trials, of which another sweep has stored all rungs; what `run --rows` printed."""
    file = project / "sweeps/norms.yaml"
    with_scale(project, "{values: [0.0]}", "scheduler: {name: fifo, budget: train.iterations, rungs: [10, 20]}\n")
    every = file.read_text()
    (project / "sweeps/every.yaml").write_text(every.replace("name: norms", "name: every"))
    file.write_text(every.replace("fifo,", "halving, divisor: 2,"))
    assert assay("run", "every").code == 0
    ran = assay("run", "norms", "--rows")
    assert ran.code == 0, ran.err
    return str(ran.out)


@pytest.mark.slow
def test_rows_are_of_rungs_that_the_study_climbed(raced: str) -> None:
    rows = list(log_rows.read(raced.splitlines()))
    assert sorted((row["serves"], row["amount"]) for row in rows if row.get("stage") == "train") == [
        *(("AdaGN, scale 0.0", 10), ("AdaGN, scale 0.0", 20), ("addition, scale 0.0", 10)),
    ]
    assert sorted((row["trial"], row["amount"]) for row in rows if row["row"] == "result") == [
        ("AdaGN, scale 0.0", 10),
        ("AdaGN, scale 0.0", 20),
        ("addition, scale 0.0", 10),
    ]


@pytest.mark.slow
def test_a_trial_that_was_stopped_is_shown_as_it_was_there(assay: Assay, raced: str) -> None:
    """Its metrics at the rung it reached, and the stages of every rung: several of one name."""
    won, stopped = json.loads(assay("show", "norms", "--json").out)["trials"]
    assert (won["reached"], stopped["reached"]) == (20, 10)
    assert stopped["metrics"] == {"distance": 2.0, "precision": 0.5, "num_samples": 12}
    assert [(stage["stage"], stage["amount"]) for stage in stopped["stages"] if stage["stage"] != "reference"] == [
        *(("train", 10), ("sample", 12), ("evaluate", None)),
        *(("train", 20), ("sample", 12), ("evaluate", None)),
    ]
    assert len({stage["key"] for stage in stopped["stages"]}) == 7
    assert json.loads(assay("show", "norms:addition", "--json").out) == stopped
    assert "metrics at 10 of train.iterations\n  distance           2\n" in assay("show", "norms:addition").out


@pytest.mark.slow
def test_a_trial_without_rungs_is_shown_with_its_stages(assay: Assay) -> None:
    before = json.loads(assay("show", "norms:0", "--json").out)
    assert (before["reached"], before["metrics"], len(before["stages"])) == (None, None, 4)
    assay("run", "norms")
    after = json.loads(assay("show", "norms:0", "--json").out)
    assert (after["reached"], after["metrics"]["distance"], after["stages"]) == (None, 1.0, before["stages"])
