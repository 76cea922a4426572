"""Schedulers and searchers of an installed package: named in a sweep, checked with their options, asked in a run."""

from __future__ import annotations

from pathlib import Path

import pytest

import assay
import toy_workload
from assay.errors import SpecError, UserError
from assay.execution import Outcome
from assay.execution.ray.scheduler import StudyScheduler
from assay.execution.rung_decisions import RungDecisions
from assay.home import Home
from assay.planning import make_plan
from assay.store import Store
from assay.sweep import Sweep, load_sweep
from installed import install

CODE = '''\
from assay.sweep import Scheduler, SchedulerFacts, Searcher, SearcherFacts
from assay.sweep.fields import PositiveNumber


class Tolerant(Scheduler):
    """Ends a trial whose metric is below a bound."""

    bound: PositiveNumber = 1.0


class Bounded:
    def __init__(self, scheduler):
        self.bound = scheduler.bound

    def ends(self, trial, rung, score):
        return score < -self.bound


class Halves(Searcher):
    least: PositiveNumber = 0.5


def draws(space, searcher, around):
    value = 8.0
    while value >= searcher.least:
        yield space.choose(lambda path: value, around)
        value /= 2


def suggest(sweep, observations, count):
    """Half of the best so far."""
    best = min((one for one in observations if one.objective is not None), key=lambda one: one.objective, default=None)
    if len(observations) >= sweep.searcher.num_trials:
        return []
    return [{"sample.scale": 8.0 if best is None else best.values["sample.scale"] / 2}]


tolerant = SchedulerFacts(rule="narrowing:Bounded", options=Tolerant)
best_one = SchedulerFacts(keeps=lambda scheduler, num_trials: 1)
halves = SearcherFacts(draws=draws, options=Halves)
learner = SearcherFacts(suggest="narrowing:suggest")
'''
SWEEP = """\
version: 1
name: narrowing
workload: toy
base: tiny
metric: distance
mode: min
"""
RUNGS = "budget: evaluate.num_samples, rungs: [6, 12]"
VALUES = "parameters: {sample.scale: {values: [0.0, 1.0, 3.0, 5.0]}}\n"
RANGE = "parameters: {sample.scale: {min: 0.0, max: 9.0}}\n"


@pytest.fixture(autouse=True)
def narrowing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {
        "assay.schedulers": "tolerant = narrowing:tolerant\nbest_one = narrowing:best_one\ngone = narrowing:nothing",
        "assay.searchers": "halves = narrowing:halves\nlearner = narrowing:learner",
    }
    install(tmp_path, monkeypatch, "narrowing", CODE, entries)
    monkeypatch.chdir(tmp_path)


def load(body: str, *sets: str) -> Sweep:
    Path("x.yaml").write_text(SWEEP + body)
    return load_sweep("x.yaml", sets=sets, find_workload=lambda name: toy_workload.Quick())


def run(body: str, *sets: str) -> Outcome:
    return assay.run(load(body, *sets), Home(Path("home")), executor="inline")


def scales(outcome: Outcome) -> list[object]:
    return [trial.planned.trial.overrides["sample.scale"] for trial in outcome.trials]


def test_a_scheduler_with_a_rule_and_an_option() -> None:
    """The distance is 1 and the scale."""
    body = VALUES + f"scheduler: {{name: tolerant, {RUNGS}, bound: 4.5}}\n"
    outcome = run(body)
    assert [trial.metrics["num_samples"] for trial in outcome.trials] == [12, 12, 12, 6]
    assert list(outcome.plan.decided.values()).count("stop") == 1
    again = run(body)
    assert again.computed == frozenset()
    looser = run(body, "scheduler.bound=2.5")
    assert [trial.metrics["num_samples"] for trial in looser.trials] == [12, 12, 6, 6], "with another option it is anew"


def test_its_rule_decides_on_a_cluster() -> None:
    plan = make_plan(load(VALUES + f"scheduler: {{name: tolerant, {RUNGS}, bound: 4.5}}\n"))
    decisions = RungDecisions(plan, {}, lambda leaf, decision: None, lambda event: None)
    scheduler = StudyScheduler(decisions)

    class Racer:
        def __init__(self, trial: int) -> None:
            self.trial_id, self.config = str(trial), {"trial": trial}

    told = [scheduler.on_trial_result(None, Racer(n), {"rung": 0, "distance": d}) for n, d in enumerate([1.0, 9.0])]
    assert told == ["CONTINUE", "STOP"]


def test_a_scheduler_that_waits_for_all() -> None:
    body = VALUES + f"scheduler: {{name: best_one, {RUNGS}}}\n"
    assert [trial.metrics["num_samples"] for trial in run(body).trials] == [12, 6, 6, 6]


def test_searchers_that_draw_and_that_learn() -> None:
    drawn = run(RANGE + "searcher: {name: halves, num_trials: 3, least: 1.5}\n")
    assert scales(drawn) == [8.0, 4.0, 2.0]
    learned = run(RANGE + "searcher: {name: learner, num_trials: 4, batch: 1}\n")
    assert scales(learned) == [8.0, 4.0, 2.0, 1.0]
    assert make_plan(learned.plan.sweep, Store(Home(Path("home")).store_url)).suggested == learned.plan.suggested


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            f"scheduler: {{name: tolerant, {RUNGS}, bound: 0}}\n",
            "x.yaml:8: scheduler.bound: got 0 (int), allowed: a number > 0",
        ),
        (
            f"scheduler: {{name: tolerant, {RUNGS}, bund: 2}}\n",
            "x.yaml:8: scheduler.bund: unknown key; did you mean 'bound'?",
        ),
        (
            f"scheduler: {{name: asha, {RUNGS}, bound: 2}}\n",
            "x.yaml:8: scheduler.bound: unknown key; allowed: budget, divisor, name, rungs, target",
        ),
        (
            "scheduler: {name: tolerant}\n",
            "x.yaml:8: scheduler.budget: required with scheduler tolerant, but missing; allowed: the config path of a",
        ),
        (
            "scheduler: {name: tolerance}\n",
            "x.yaml:8: scheduler.name: got 'tolerance' (str), allowed: fifo, asha, halving, hyperband, median, race, "
            "best_one, gone, tolerant; did you mean 'tolerant'?",
        ),
        (
            "scheduler: {name: gone}\n",
            "x.yaml:8: scheduler.name: the scheduler 'gone' (narrowing:nothing) cannot be imported: AttributeError: ",
        ),
        (
            "searcher: {name: halves}\n",
            "x.yaml:8: searcher.num_trials: required with searcher halves, but missing; allowed: an integer ≥ 1",
        ),
        (
            "searcher: {name: halves, num_trials: 6}\n",
            "x.yaml:8: searcher.num_trials: got 6, allowed: at most 5: halves draws find no others",
        ),
        (
            "searcher: {num_trials: 3}\n",
            "x.yaml:8: searcher.num_trials: has no effect with searcher grid; allowed with: random, optuna, nsga2, ha",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_line(body: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(VALUES + body)
    assert str(caught.value).startswith(says)


def test_in_python_its_own_section_has_its_options() -> None:
    with pytest.raises(ValueError, match=r"scheduler tolerant has options of its own: make it by Tolerant\(…\)"):
        Sweep.model_validate(
            {"version": 1, "name": "x", "workload": "toy", "base": "tiny", "metric": "distance", "mode": "min"}
            | {"scheduler": {"name": "tolerant", "budget": "evaluate.num_samples", "rungs": [6, 12]}}
        )
    sweep = load(VALUES + f"scheduler: {{name: tolerant, {RUNGS}, bound: 4.5}}\n")
    assert sweep.model_dump(mode="json")["scheduler"]["bound"] == 4.5
    with pytest.raises(UserError):
        load(VALUES, "scheduler.name=none")
