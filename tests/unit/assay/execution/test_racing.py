"""The rules by which trials race: decision by decision those of Ray Tune, and without importing it."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from assay.execution.racing import FEWEST_OTHERS, make_rule, score
from assay.sweep import Scheduler
from repository import FIXTURES

RACING = ["asha", "hyperband", "median"]


TIME, SCORE = "rung_time", "score"
"""What Tune's schedulers take for time, divisor^rung, so that their milestones are the rungs; and what they compare."""


@dataclass(frozen=True, eq=False)
class Racer:
    """What Tune's schedulers know of a trial."""

    trial_id: str
    config: dict[str, int]


def rays_own(section: Scheduler) -> Any:
    """Ray Tune's scheduler of that name."""
    from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule

    if section.name == "median":
        tune = MedianStoppingRule(time_attr=TIME, grace_period=0, min_time_slice=math.inf)
    else:
        tune = AsyncHyperBandScheduler(
            time_attr=TIME,
            max_t=section.divisor ** len(section.rungs),
            grace_period=1,
            reduction_factor=section.divisor,
            brackets={"asha": 1, "hyperband": len(section.rungs)}[section.name],
        )
    tune.set_search_properties(SCORE, "max")
    return tune


def arrivals(random: Random, num_trials: int, num_rungs: int) -> list[tuple[int, int]]:
    """Trial and rung, in an order that a cluster might bring about: each trial climbs its own rungs in order."""
    at = dict.fromkeys(range(num_trials), 0)
    order = []
    while at:
        trial = random.choice(list(at))
        order.append((trial, at[trial]))
        at[trial] += 1
        if at[trial] == num_rungs:
            del at[trial]
    return order


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("divisor", [2, 3, 5])
@pytest.mark.parametrize("name", RACING)
def test_every_decision_is_that_of_ray_tune(name: str, divisor: int, mode: str) -> None:
    said = set()
    for seed in range(12):
        random = Random(f"{seed} {name} {divisor} {mode}")
        rungs = list(range(1, random.randint(3, 7)))
        section = Scheduler(name=name, budget="b", rungs=rungs, divisor=divisor)
        tune, rule = rays_own(section), make_rule(section)
        assert rule is not None
        trials = [Racer(str(number), {"trial": number}) for number in range(15)]
        for number, trial in enumerate(trials):
            np.random.seed(number)  # HyperBand draws a trial's bracket
            tune.on_trial_add(None, trial)
        ended: set[int] = set()
        for number, rung in arrivals(random, len(trials), len(rungs)):
            if number in ended:
                continue
            value = random.choice(
                [random.gauss(0, 1), random.randint(-2, 2), float("nan"), float("inf"), float("-inf")]
            )
            height = score(value, mode)  # type: ignore[arg-type]
            said_by_tune = tune.on_trial_result(None, trials[number], {SCORE: height, TIME: divisor**rung})
            ends = rule.ends(number, rung, height)
            assert ends == (said_by_tune == "STOP"), (seed, number, rung)
            said.add(ends)
            if ends:
                ended.add(number)
    assert said == {True, False}


def test_a_median_is_of_several_others() -> None:
    rule = make_rule(Scheduler(name="median", budget="b", rungs=(1, 2)))
    assert rule is not None
    others = [rule.ends(trial, 0, 1.0) for trial in range(FEWEST_OTHERS)]
    assert not any(others)
    assert rule.ends(9, 0, 0.5)
    assert not rule.ends(8, 0, 1.0), "as good as the others"


def test_those_that_do_not_race_have_no_rule() -> None:
    assert make_rule(Scheduler()) is None
    assert make_rule(Scheduler(name="halving", budget="b", rungs=(1, 2))) is None


RACE = """\
import sys
from pathlib import Path

import assay
import toy_workload
from assay.home import Home

TEXT = '''\
version: 1
name: race
workload: toy
base: tiny
parameters:
  sample.scale: {values: [0.0, 3.0, 1.0, 2.0, 5.0]}
scheduler: {name: NAME, budget: evaluate.num_samples, rungs: [6, 12], divisor: 2}
metric: distance
mode: min
'''
for name in ("asha", "hyperband", "median", "halving"):
    file = Path(f"{name}.yaml")
    file.write_text(TEXT.replace("NAME", name))
    sweep = assay.sweep.load_sweep(file, find_workload=lambda name: toy_workload.Quick())
    outcome = assay.run(sweep, Home(Path(name)), executor="inline")
    assert 0 < sum(trial.metrics["num_samples"] == 12 for trial in outcome.trials) < 5, name
print(sorted(module for module in sys.modules if module.partition(".")[0] == "ray"))
"""


@pytest.mark.slow
def test_a_race_in_this_process_does_not_import_ray(tmp_path: Path) -> None:
    code = RACE.replace("import assay\n", "import assay.sweep\n")
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(FIXTURES)}, capture_output=True, text=True
    )
    assert (told.stdout.strip(), told.returncode) == ("[]", 0), told.stderr
