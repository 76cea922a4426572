"""Searchers, which choose the parameters' values, by name; and the section of a sweep that chooses one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from assay.errors import UserError
from assay.registry import Registry
from assay.sweep.fields import AtLeastTwo, ChoosingSection, Count, Positive, one_of
from assay.sweep.search.settings import Settings
from assay.sweep.search.space import Point, Space


@dataclass(frozen=True)
class SearcherFacts:
    """A searcher draws points in advance (`draws`), or suggests them based on results (`suggest`). One without either
    runs the whole grid."""

    draws: Callable[[Space, Searcher, Sequence[Settings]], Iterator[Point]] | None = None
    """Distinct points of the space, reproducible for the same options. A point has a parameter if its condition holds
    in the settings of some arm: `Space.choose` ensures that."""
    suggest: str | None = None
    """Import path of a function like `assay.sweep.search.suggest`: (sweep, observations so far, count) → the next
    points."""
    options: type[Searcher] | None = None
    """The section that reads its options, if it has other options than `Searcher`."""

    @property
    def learns(self) -> bool:
        """Whether its points depend on results so far."""
        return self.suggest is not None

    @property
    def is_exhaustive(self) -> bool:
        return self.draws is None and not self.learns


def random_draws(space: Space, searcher: Searcher, around: Sequence[Settings]) -> Iterator[Point]:
    return space.draws(searcher.seed, around)


SEARCHERS = Registry[SearcherFacts]("searcher", "assay.searchers")
SEARCHERS.register("grid", SearcherFacts())
SEARCHERS.register("random", SearcherFacts(draws=random_draws))
SEARCHERS.register("optuna", SearcherFacts(suggest="assay.sweep.search.suggest:suggest"))


def names_that_draw() -> list[str]:
    """Searchers that do not run a grid; without those that cannot be imported."""
    names = []
    for name in SEARCHERS:
        try:
            facts = SEARCHERS[name]
        except UserError:  # reported to those who use it
            continue
        if not facts.is_exhaustive:
            names.append(name)
    return names


class Searcher(ChoosingSection):
    """The source of the parameters' values: the whole grid, random draws, or Optuna's suggestions based on results: by
    the tree-structured Parzen estimator (optuna) or NSGA-II (nsga2), both for one or several objectives."""

    registry = SEARCHERS

    name: Annotated[str, one_of(SEARCHERS)] = "grid"
    """How it chooses."""
    num_trials: Annotated[Positive | None, Field(validate_default=True)] = None
    """Draws of the parameters' values; each is a trial of every arm and seed."""
    seed: Count = 0
    """The seed of the random draws."""
    batch: Positive = 4
    """Suggestions per batch."""

    @property
    def facts(self) -> SearcherFacts:
        return SEARCHERS[self.name]

    @field_validator("num_trials")
    @classmethod
    def _is_required(cls, count: int | None, info: ValidationInfo) -> int | None:
        name = info.data.get("name")
        if count is None and name is not None and not SEARCHERS[name].is_exhaustive:
            raise ValueError(f"required with searcher {name}, but missing; allowed: an integer ≥ 1")
        return count


class Generations(Searcher):
    """A searcher by a genetic algorithm."""

    population: AtLeastTwo = 16
    """Trials in a generation: the next one descends from the best of it."""


SEARCHERS.register("nsga2", SearcherFacts(suggest="assay.sweep.search.suggest:suggest_by_nsga2", options=Generations))
