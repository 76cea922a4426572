"""Which values of the parameters are tried: the searchers by name, and the section of a sweep that chooses one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from assay.errors import UserError
from assay.registry import Registry
from assay.sweep.fields import ChoosingSection, Count, Positive, one_of
from assay.sweep.search.settings import Settings
from assay.sweep.search.space import Point, Space


@dataclass(frozen=True)
class SearcherFacts:
    """A searcher draws points beforehand (`draws`), or suggests them as results come in (`suggest`). One that does
    neither goes through the whole grid."""

    draws: Callable[[Space, Searcher, Sequence[Settings]], Iterator[Point]] | None = None
    """Points of the space, none twice, the same for the same settings of the searcher. A parameter is set in a point
    where one of the arms' settings has what its condition asks for: `Space.choose` sees to that."""
    suggest: str | None = None
    """Import path of a function of (sweep, observations so far, how many): the next points, as
    `assay.sweep.search.suggest` returns them."""
    options: type[Searcher] | None = None
    """The section that reads its options, where it takes others than `Searcher` has."""

    @property
    def learns(self) -> bool:
        """Whether what it tries depends on results so far."""
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
    """Searchers that do not go through a grid; without those whose package does not import."""
    names = []
    for name in SEARCHERS:
        try:
            facts = SEARCHERS[name]
        except UserError:  # told to whoever names it
            continue
        if not facts.is_exhaustive:
            names.append(name)
    return names


class Searcher(ChoosingSection):
    """Where the parameters' values come from: all of them, random draws, or what Optuna suggests by results so far."""

    registry = SEARCHERS

    name: Annotated[str, one_of(SEARCHERS)] = "grid"
    num_trials: Annotated[Positive | None, Field(validate_default=True)] = None
    """Draws of the parameters' values; each is a trial of every arm and seed."""
    seed: Count = 0
    batch: Positive = 4
    """Suggestions that are asked for at a time."""

    @property
    def facts(self) -> SearcherFacts:
        return SEARCHERS[self.name]

    @field_validator("num_trials")
    @classmethod
    def _how_many(cls, count: int | None, info: ValidationInfo) -> int | None:
        name = info.data.get("name")
        if count is None and name is not None and not SEARCHERS[name].is_exhaustive:
            raise ValueError(f"required with searcher {name}, but missing; allowed: an integer ≥ 1")
        return count
