"""Suggest the next points based on observations: Optuna's samplers as pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Protocol

from assay.sweep.objectives import Objective
from assay.sweep.search.observation import Observation
from assay.sweep.search.searchers import Generations
from assay.sweep.search.settings import Settings
from assay.sweep.search.space import Point, Space
from assay.workload import JSON, canonical_json


class _Searcher(Protocol):
    @property
    def num_trials(self) -> int | None: ...
    @property
    def seed(self) -> int: ...


class Search(Protocol):
    """The part of a sweep that a search needs."""

    @property
    def objectives(self) -> Sequence[Objective]: ...
    @property
    def searcher(self) -> _Searcher: ...
    def space(self) -> Space: ...
    def settings(self) -> Sequence[Settings]:
        """One per arm: a parameter is suggested if its condition holds in any of them."""


def suggest(sweep: Search, observations: Sequence[Observation], count: int) -> list[Mapping[str, JSON]]:
    """`count` new points, or fewer if searcher.num_trials or the space is exhausted.

    `observations` are all suggestions so far, in order. The same history gives the same suggestions. Observations
    outside the space are ignored. The parameters' first values come before the estimator's suggestions.
    """
    from assay.sweep.search.tpe import tpe  # lazy: importing Optuna takes longer than planning a sweep

    return _suggest(sweep, observations, count, tpe)


def suggest_by_nsga2(sweep: Search, observations: Sequence[Observation], count: int) -> list[Mapping[str, JSON]]:
    """As `suggest`, by a genetic algorithm with searcher.population trials in a generation."""
    from assay.sweep.search.tpe import nsga2

    assert isinstance(sweep.searcher, Generations)
    return _suggest(sweep, observations, count, partial(nsga2, population=sweep.searcher.population))


def _suggest(
    sweep: Search, observations: Sequence[Observation], count: int, sampler: Callable[[int], Any]
) -> list[Mapping[str, JSON]]:
    from assay.sweep.search.tpe import Estimator

    num_trials, seed = sweep.searcher.num_trials, sweep.searcher.seed
    if num_trials is not None:
        count = min(count, num_trials - len(observations))
    space, around = sweep.space(), sweep.settings()
    used = _used(sweep.objectives, observations)
    told = [(observation.values, _values(observation, used)) for observation in observations]
    estimator = Estimator(space, around, told, [sweep.objectives[i].mode for i in used], seed, sampler)
    known = {canonical_json(observation.values) for observation in observations}
    first = islice(space.draws(seed, around), space.num_first)
    num_first = sum(canonical_json(point) not in known for point in first)
    draws = (point for point in space.draws(seed, around) if canonical_json(point) not in known)
    suggestions: list[Point] = []
    while len(suggestions) < count:
        point = estimator.ask(known) if len(suggestions) >= num_first else None
        if point is None:  # a first value is left, or the estimator only repeats known points: take the next draw
            point = next(draws, None)
            if point is None:
                break
            estimator.add(point, None)
        known.add(canonical_json(point))
        suggestions.append(point)
    return list(suggestions)


def _used(objectives: Sequence[Objective], observations: Sequence[Observation]) -> list[int]:
    """The positions of the first objective, and of the others that are known of any observation: device-days may be
    unknown of all."""
    others = range(1, len(objectives))
    return [0, *(i for i in others if any(_value(observation, i) is not None for observation in observations))]


def _values(observation: Observation, used: Sequence[int]) -> list[float] | None:
    """None unless all of them are known."""
    known = [value for i in used if (value := _value(observation, i)) is not None]
    return known if len(known) == len(used) else None


def _value(observation: Observation, position: int) -> float | None:
    every = (observation.objective, *observation.others)
    value = every[position] if position < len(every) else None
    return value if value is not None and math.isfinite(value) else None
