"""A search that learns from its trials, in this process: what it remembers, of which study, and what it is told."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import assay
import toy_workload
from assay.errors import ConfigError, ConfigProblem
from assay.execution import Outcome
from assay.execution.suggestions import _observation
from assay.home import Home
from assay.planning import make_plan
from assay.planning.plan import suggestions_of
from assay.store import Store
from assay.sweep import Sweep, load_sweep
from assay.workload import canonical_json

SWEEP = """\
version: 1
name: search
workload: toy
base: tiny
parameters:
  sample.scale: {min: 0.0, max: 9.0}
searcher: {name: optuna, num_trials: 6, batch: 3}
metric: distance
mode: min
"""
WHEN = """\
version: 1
name: search
workload: toy
base: tiny
arms: {off: {}, on: {model.norm: add}}
parameters:
  sample.scale: {min: 1.0, max: 9.0, when: {model.norm: add}}
searcher: {name: optuna, num_trials: 3}
metric: distance
mode: min
"""


class Paired(toy_workload.Quick):
    """A batch of its own holds with one of the norms alone."""

    def resolve(self, base: str, overrides: Mapping[str, Any]) -> Mapping[str, Any]:
        config = super().resolve(base, overrides)
        if config["train"]["batch"] != "auto" and config["model"]["norm"] != "add":
            raise ConfigError([ConfigProblem("", "train.batch needs model.norm add")])
        return config


class Study:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self.store = Store(self.home.store_url)

    def sweep(self, *sets: str, text: str = SWEEP) -> Sweep:
        file = self.folder / "search.yaml"
        file.write_text(text)
        return load_sweep(file, sets=sets, find_workload=lambda name: Paired())

    def run(self, *sets: str, text: str = SWEEP) -> Outcome:
        return assay.run(self.sweep(*sets, text=text), self.home, executor="inline")

    def suggested(self, *sets: str, text: str = SWEEP) -> list[Any]:
        """What is known of the study before it runs."""
        return suggestions_of(self.sweep(*sets, text=text), self.store).all()


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def test_fewer_trials_are_the_first_of_those_that_were_suggested(study: Study) -> None:
    whole = study.run()
    fewer = study.run("searcher.num_trials=2")
    assert [trial.planned.name for trial in fewer.trials] == [trial.planned.name for trial in whole.trials[:2]]
    assert len(make_plan(study.sweep("searcher.num_trials=2"), study.store).trials) == 2
    again = study.run()
    assert [trial.planned.name for trial in again.trials] == [trial.planned.name for trial in whole.trials]
    assert again.computed == frozenset(), "the others were not forgotten"


def test_another_config_is_searched_anew(study: Study) -> None:
    study.run("sample.fail=true")
    assert study.suggested("sample.fail=true")
    assert study.suggested() == []
    assert make_plan(study.sweep("model.norm=add"), study.store).trials == ()


RUNGS = "scheduler: {{name: fifo, budget: evaluate.num_samples, rungs: {}}}\n"


@pytest.mark.parametrize(
    ("before", "after", "sets"),
    [
        ("", "", ["evaluate.num_samples=18"]),
        ("", "", ["searcher.num_trials=8", "searcher.batch=2", "limits.retries=0", "resources.train.workers=2"]),
        ("", "", ["model.norm=adagn"]),
        ("", "arms: {a: {}, b: {model.norm: add}}\nseeds: [0, 1]\n", []),
        (RUNGS.format([10, 20]), RUNGS.format([10, 20, 40]), []),
        (RUNGS.format([10, 20]), RUNGS.format([5, 20]), []),
    ],
)
def test_a_search_goes_on_with_larger_budgets_other_rungs_arms_and_resources(
    study: Study, before: str, after: str, sets: list[str]
) -> None:
    suggested = suggestions_of(study.sweep(text=SWEEP + before), study.store)
    suggested.add({"sample.scale": 4.0})
    assert study.suggested(*sets, text=SWEEP + after) == [{"sample.scale": 4.0}]


def test_a_config_that_only_its_arms_complete_has_a_search_of_its_own(study: Study) -> None:
    arms = "arms: {a: {model.norm: add}, b: {model.norm: add, train.fail: true}}\nconfig: {train.batch: 4}\n"
    suggestions_of(study.sweep(text=SWEEP + arms), study.store).add({"sample.scale": 4.0})
    assert study.suggested(text=SWEEP + arms) == [{"sample.scale": 4.0}]
    assert study.suggested("train.batch=2", text=SWEEP + arms) == []


def test_several_objectives_are_told_in_their_order_and_begin_anew(study: Study) -> None:
    """An objective more is another search; the same ones go on as if nothing had stopped them."""
    several = "metric={distance: min, precision: max, guess.v100_days: min, seconds: min}"
    one = study.run().plan
    outcome = study.run(several)
    assert study.suggested() == list(one.suggested), "a search by one metric is what it was"
    plan = make_plan(outcome.plan.sweep, study.store)
    results = {key: result for key in plan.stages if (result := study.store.get(key)) is not None}
    told = [_observation(plan, draw, results) for draw in range(6)]
    for trial, observation in zip(outcome.trials, told, strict=True):
        leaf = trial.planned.leaf.key
        assert observation.objective == results[leaf].metrics["distance"]
        assert observation.others == (0.5, None, trial.seconds), "V100-days are unknown on a CPU"
    assert study.suggested(several) == list(outcome.plan.suggested)
    assert study.suggested("metric={distance: min, precision: max}") == []


def test_nsga2_is_a_searcher_with_generations(study: Study) -> None:
    sets = ("searcher={name: nsga2, num_trials: 6, batch: 2, population: 2}", "metric={distance: min, seconds: min}")
    outcome = study.run(*sets)
    assert len({trial.planned.trial.varied["sample.scale"] for trial in outcome.trials}) == 6
    again = study.run(*sets)
    assert not again.computed
    assert again.plan.suggested == outcome.plan.suggested


def test_arms_in_which_a_parameter_is_not_set_count_too(study: Study) -> None:
    """The distance is 1 and the scale, which is 0 in the arm without it."""
    outcome = study.run(text=WHEN)
    assert [trial.planned.trial.arm for trial in outcome.trials] == ["off", "on", "on", "on"]
    plan = make_plan(outcome.plan.sweep, study.store)
    results = {key: result for key in plan.stages if (result := study.store.get(key)) is not None}
    told = [_observation(plan, draw, results).objective for draw in range(3)]
    assert told == [pytest.approx((1 + 1 + values["sample.scale"]) / 2) for values in plan.suggested]


def test_a_rung_that_only_another_sweep_climbed_is_not_told(study: Study) -> None:
    """The trial reaches the target at the first, and climbs no further."""
    outcome = study.run("searcher.num_trials=1", text=SWEEP + RUNGS.format([10, 20]).replace("}", ", target: 99}"))
    (trial,) = outcome.trials
    low, high = (rung.leaf.key for rung in trial.planned.rungs)
    assert list(trial.results) == [low]
    study.run("searcher.num_trials=1", text=SWEEP + RUNGS.format([10, 20]))
    stored = {key: study.store.get(key) for key in (low, high)}
    results = {key: result for key, result in stored.items() if result is not None}
    assert len(results) == 2
    results[high].metrics = {"distance": -1.0}
    assert _observation(outcome.plan, 0, results).objective == results[low].metrics["distance"] > 0


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A local folder, and a filesystem without links, as object stores are."""
    return Store(str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path}")


def test_what_two_runs_suggest_is_a_trial_once(store: Store) -> None:
    mine, theirs = store.suggestions("study"), store.suggestions("study")
    mine.add({"x": 1})
    theirs.add({"x": 1})
    theirs.add({"x": 2})
    mine.add({"x": 3})
    assert store.suggestions("study").all() == mine.all() == [{"x": 1}, {"x": 2}, {"x": 3}]
    assert store.files.names(mine._folder) == ["000000.json", "000001.json", "000002.json"]


def test_what_is_there_twice_counts_once(store: Store) -> None:
    """As two runs on a filesystem that does not order them may leave it."""
    suggestions = store.suggestions("study")
    for place, x in enumerate([1, 2, 1, 3]):
        store.files.write_record(f"{suggestions._folder}/{place:06d}.json", {"values": {"x": x}})
    assert suggestions.all() == [{"x": 1}, {"x": 2}, {"x": 3}]
    suggestions.add({"x": 4})
    assert store.suggestions("study").all()[-1] == {"x": 4}


def test_runs_that_suggest_at_once_lose_nothing(tmp_path: Path) -> None:
    """Eight of them, that share half of what they suggest."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda run: _add(tmp_path, run), range(8)))
    finally:
        sys.setswitchinterval(before)
    found = Store(tmp_path).suggestions("study").all()
    spelled = [canonical_json(values) for values in found]
    assert sorted(spelled) == sorted(canonical_json(values) for values in _everything())


def _add(folder: Path, run: int) -> None:
    suggestions = Store(folder).suggestions("study")
    for i in range(5):
        suggestions.add({"shared": i})
        suggestions.add({"run": run, "i": i})


def _everything() -> list[dict[str, int]]:
    return [{"shared": i} for i in range(5)] + [{"run": run, "i": i} for run in range(8) for i in range(5)]
