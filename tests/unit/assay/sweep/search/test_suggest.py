"""Suggestions: the same for the same history, never one that was tried, of the space, and better than at first."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal

import optuna
import pytest

from assay.sweep.objectives import Objective
from assay.sweep.search import Floats, Integers, Observation, Partitions, Settings, Space, Values, suggest
from assay.sweep.search.searchers import Generations
from assay.sweep.search.suggest import suggest_by_nsga2
from assay.workload import canonical_json

SQUARE = Space({"x": Floats(0.0, 1.0), "y": Floats(0.0, 1.0)}, {})
BASE = {"sampler": "ddpm", "eta": 0.0}


@dataclass(frozen=True)
class Searcher:
    num_trials: int | None = 100
    seed: int = 0


@dataclass(frozen=True)
class Study:
    of: Space
    mode: Literal["min", "max"] = "min"
    searcher: Any = field(default_factory=Searcher)
    others: Sequence[Objective] = ()

    @property
    def objectives(self) -> Sequence[Objective]:
        return [Objective("score", self.mode), *self.others]

    def space(self) -> Space:
        return self.of

    def settings(self) -> Sequence[Settings]:
        return [Settings(BASE)]


ALL = Space(
    {
        "sampler": Values(("ddpm", "ddim")),
        "eta": Floats(0.0, 1.0),
        "rate": Floats(1e-5, 1e-3, log=True),
        "heads": Integers(1, 8, step=2),
        "width": Integers(1, 64, log=True),
        "steps": Partitions(total=250, parts=5, step=10, least=10, most=200),
        "which": Values(([1, 2], None, {"a": 1})),
    },
    {"eta": {"sampler": "ddim"}},
)


def search(study: Study, objective: Any, num: int, batch: int, suggest: Any = suggest) -> list[Observation]:
    told: list[Observation] = []
    while len(told) < num:
        found = suggest(study, told, min(batch, num - len(told)))
        told += [observed(values, objective(values)) for values in found]
    return told


def observed(values: Mapping[str, Any], objectives: Any) -> Observation:
    first, *others = objectives if isinstance(objectives, tuple) else (objectives,)
    return Observation(values, first, others)


def test_the_same_history_gives_the_same_suggestions_of_the_space() -> None:
    def objective(values: Mapping[str, Any]) -> float | None:
        return None if values["heads"] == 3 else values["rate"]

    first, second = (search(Study(ALL), objective, 24, batch=4) for _ in range(2))
    assert first == second
    spelled = [canonical_json(one.values) for one in first]
    assert len(set(spelled)) == 24
    for one in first:
        assert all(ALL.axes[path].has(value) for path, value in one.values.items())
        assert ("eta" in one.values) == (one.values["sampler"] == "ddim")
        assert set(one.values) >= set(ALL.axes) - {"eta"}
    assert {type(one.values["heads"]) for one in first} == {int}


def test_the_first_values_are_tried_before_anything_is_suggested() -> None:
    chosen: Sequence[Any] = ([90, 60, 60, 20, 20], [50, 50, 50, 50, 50])
    begun = Space(ALL.axes, ALL.conditions, {"steps": chosen})
    told = search(Study(begun), lambda values: values["rate"], 5, batch=3)
    assert [one.values["steps"] for one in told[:2]] == list(chosen)
    assert len({canonical_json(one.values) for one in told}) == 5
    (late,) = suggest(Study(Space(ALL.axes, ALL.conditions, {"steps": [[210, 10, 10, 10, 10]]})), told, 1)
    assert late["steps"] == [210, 10, 10, 10, 10], "one that is added later comes next"


def test_seeds_batches_and_results_matter() -> None:
    told = search(Study(ALL), lambda values: values["rate"], 16, batch=4)
    other_seed = search(Study(ALL, searcher=Searcher(seed=1)), lambda values: values["rate"], 4, batch=4)
    assert [one.values for one in told[:4]] != [one.values for one in other_seed]
    assert [one.values for one in told[:4]] != [one.values for one in told[4:8]]
    turned = [Observation(one.values, -(one.objective or 0)) for one in told]
    assert suggest(Study(ALL), told, 4) != suggest(Study(ALL), turned, 4)
    assert suggest(Study(ALL), told, 4) == suggest(Study(ALL, mode="max"), turned, 4)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_later_half_is_better_than_the_first_ten(mode: Literal["min", "max"]) -> None:
    sign = 1 if mode == "min" else -1

    def objective(values: Mapping[str, Any]) -> float:
        """Best where most of the steps come first."""
        return sign * sum(i * part for i, part in enumerate(values["steps"]))

    space = Space({"steps": Partitions(total=250, parts=5, step=10, least=10)}, {})
    told = search(Study(space, mode), objective, 40, batch=4)
    values = [sign * one.objective for one in told if one.objective is not None]
    assert fmean(values[20:]) < fmean(values[:10])


@pytest.mark.parametrize("name", ["optuna", "nsga2"])
def test_several_objectives_are_traded(name: str) -> None:
    """Both are best where y is 0, and x trades them. One that nobody knows is left out."""

    def objectives(values: Mapping[str, Any]) -> tuple[float, float, None]:
        x, y = values["x"], values["y"]
        return x + y, x - 5 * y, None

    ask = suggest if name == "optuna" else suggest_by_nsga2
    searcher = Searcher() if name == "optuna" else Generations(name="nsga2", num_trials=100, population=8)
    unknown = Objective("days", "min")
    study = Study(SQUARE, searcher=searcher, others=[Objective("gain", "max"), unknown])
    told = search(study, objectives, 48, 8, ask)
    assert told == search(study, objectives, 48, 8, ask)
    later = told[24:]
    assert fmean(one.values["y"] for one in later) < fmean(one.values["y"] for one in told[:8]) / 2
    assert max(one.values["x"] for one in later) - min(one.values["x"] for one in later) > 0.5, "not one end alone"
    alone = [Observation(one.values, one.objective, one.others[:1]) for one in told]
    without = Study(SQUARE, searcher=searcher, others=study.others[:1])
    assert ask(study, told, 4) == ask(without, alone, 4)


@pytest.mark.parametrize("ask", [suggest, suggest_by_nsga2])
def test_what_lacks_an_objective_that_others_have_does_no_harm(ask: Any) -> None:
    searcher = Generations(name="nsga2", num_trials=100, population=2)
    study = Study(SQUARE, searcher=searcher, others=[Objective("days", "min")])
    told = [
        Observation({"x": 0.5, "y": 0.5}, 1.0, [2.0]),
        Observation({"x": 0.4, "y": 0.5}, 1.0, [None]),
        Observation({"x": 0.3, "y": 0.5}, 1.0),
        Observation({"x": 0.2, "y": 0.5}, None, [1.0]),
        Observation({"x": 7.0, "y": 0.5}, 1.0, [1.0]),
    ]
    assert len(ask(study, told, 3)) == 3


def test_no_more_than_there_are_and_none_twice() -> None:
    space = Space({"a": Values((1, 2, 3)), "b": Values((True, False))}, {})
    told = search(Study(space), lambda values: float(values["a"]), 6, batch=2)
    assert len({canonical_json(one.values) for one in told}) == 6
    assert suggest(Study(space), told, 2) == []
    assert suggest(Study(space, searcher=Searcher(num_trials=5)), told[:4], 4) == suggest(Study(space), told[:4], 1)


def test_what_is_not_a_number_or_not_of_the_space_does_no_harm() -> None:
    space = Space({"x": Floats(0.0, 1.0)}, {})
    told = [
        Observation({"x": 0.5}, float("nan")),
        Observation({"x": 0.6}, float("inf")),
        Observation({"x": 7.0}, 1.0),
        Observation({"y": 1}, 1.0),
        Observation({"x": 0.25}, 2.0),
    ]
    (found,) = suggest(Study(space), told, 1)
    assert space.axes["x"].has(found["x"])


def test_optuna_keeps_quiet_and_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    assert suggest(Study(ALL), [], 2)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
    assert logging.getLogger("optuna").level == before
