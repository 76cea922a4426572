"""What to try next, by what came of what was tried: Optuna's tree-structured Parzen estimator, as a pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Literal, Protocol

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
    """What of a sweep the search needs."""

    @property
    def mode(self) -> Literal["min", "max"]: ...
    @property
    def searcher(self) -> _Searcher: ...
    def space(self) -> Space: ...
    def settings(self) -> Sequence[Settings]:
        """One for each arm: a parameter is suggested when one of them has what its condition asks for."""


def suggest(sweep: Search, observations: Sequence[Observation], count: int) -> list[Mapping[str, JSON]]:
    """`count` points that were not tried yet, or fewer where searcher.num_trials or the space itself ends.

    `observations` are all suggestions so far, in order. The same history gives the same suggestions. Points of a space
    that was another are passed over. The first values come before anything is asked of the estimator.
    """
    from assay.sweep.search.tpe import Estimator  # here: Optuna takes longer to import than a sweep to plan

    num_trials, seed = sweep.searcher.num_trials, sweep.searcher.seed
    if num_trials is not None:
        count = min(count, num_trials - len(observations))
    space, around = sweep.space(), sweep.settings()
    estimator = Estimator(space, around, observations, seed, sweep.mode)
    seen = {canonical_json(one.values) for one in observations}
    first = islice(space.draws(seed, around), space.num_first)
    num_first = sum(canonical_json(point) not in seen for point in first)
    draws = (point for point in space.draws(seed, around) if canonical_json(point) not in seen)
    found: list[Point] = []
    while len(found) < count:
        point = estimator.ask(seen) if len(found) >= num_first else None
        if point is None:  # there is one to begin with, or the estimator comes back to what it knows: then any other
            point = next(draws, None)
            if point is None:
                break
            estimator.add(Observation(point, None))
        seen.add(canonical_json(point))
        found.append(point)
    return list(found)
