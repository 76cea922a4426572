"""What `validate` and `plan` say of sweeps whose trials are many, or are not known yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Assay = Callable[..., Any]


def with_scale(project: Path, space: str, more: str = "") -> None:
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("{values: [0.0, 1.0]}", space) + more)


def test_suggestions_come_as_it_goes(assay: Assay, project: Path) -> None:
    with_scale(project, "{min: 0, max: 1}", "searcher: {name: optuna, num_trials: 10, batch: 5}\nseeds: [0, 1]\n")
    says = "values are suggested as it goes: 10 in batches of 5, each 4 trials."
    assert assay("validate", "norms").out.splitlines() == [
        "sweeps/norms.yaml: good: norms, 40 trials of toy tiny",
        says,
    ]
    planned = assay("plan", "norms")
    assert planned.code == 0
    assert says in planned.out
    assert "to do: nothing" not in planned.out


def test_random_draws_are_planned_like_any_trials(assay: Assay, project: Path) -> None:
    with_scale(project, "{min: 0, max: 1}", "searcher: {name: random, num_trials: 3}\n")
    assert "norms, 6 trials of toy tiny" in assay("validate", "norms").out
    assert "AdaGN, scale 0." in assay("plan", "norms").out


def test_of_very_many_trials_a_sample_is_checked(assay: Assay, project: Path) -> None:
    with_scale(project, "{min: 0, max: 1, num: 4000}")
    assert assay("validate", "norms").out.splitlines() == [
        "sweeps/norms.yaml: good: norms, 8,000 trials of toy tiny",
        "checked: about 1,000 of the trials, evenly spread, and the corners of the space.",
    ]


def test_a_race_is_planned_by_the_trials_that_will_climb(assay: Assay, project: Path) -> None:
    scheduler = "scheduler: {name: halving, budget: train.iterations, rungs: [10, 20], divisor: 2}\n"
    with_scale(project, "{values: [0.0]}", scheduler)
    halving = assay("plan", "norms").out
    assert "halving lets climb, of 2 trials, 1 to 20: no more than that is counted." in halving
    assert "missing, if it climbs" in halving
    with_scale(project, "{values: [0.0]}")
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("name: halving", "name: asha"))
    asha = assay("plan", "norms").out
    assert "that is the most it may take: asha ends trials at their rungs." in asha
    days = [float(out.split(" V100-days, by FLOPs")[0].split()[-1]) for out in (halving, asha)]
    assert days[0] < days[1]
