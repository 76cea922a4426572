"""Suggest the next points based on observations: Optuna's tree-structured Parzen estimator as a pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Protocol

from assay.sweep.objectives import Objective
from assay.sweep.search.observation import Observation
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
    from assay.sweep.search.tpe import Estimator  # lazy: importing Optuna takes longer than planning a sweep

    num_trials, seed = sweep.searcher.num_trials, sweep.searcher.seed
    if num_trials is not None:
        count = min(count, num_trials - len(observations))
    space, around = sweep.space(), sweep.settings()
    estimator = Estimator(space, around, observations, seed, sweep.objectives[0].mode)
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
            estimator.add(Observation(point, None))
        known.add(canonical_json(point))
        suggestions.append(point)
    return list(suggestions)
