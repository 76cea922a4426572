"""A sweep's design: its arms, search space and seeds, and the order of its trials. No config is resolved here."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from assay.sweep.arms import Arm, Base
from assay.sweep.search import Settings, Space
from assay.sweep.search.parameter import Parameter
from assay.sweep.search.searchers import Searcher
from assay.workload import JSON

CHECK_DRAWS = 8
"""Random draws per arm that a check adds to the corners of the space."""


@dataclass(frozen=True)
class Choice:
    """One trial before its config is resolved."""

    arm: Arm
    values: Mapping[str, JSON]
    """Path → value of its parameters."""
    seed: int
    draw: int | None
    """The index of the random draw or suggestion; None in a grid."""

    @property
    def overrides(self) -> dict[str, JSON]:
        return {**self.arm.delta, **self.values, self.arm.base.workload.seed_path: self.seed}


@dataclass(frozen=True)
class Design:
    base: Base
    """The sweep's own, for arms that name no other."""
    arms: Sequence[Arm]
    """At least one."""
    parameters: Mapping[str, Parameter]
    seeds: Sequence[int]
    searcher: Searcher

    @cached_property
    def space(self) -> Space:
        axes = {path: parameter.axis for path, parameter in self.parameters.items()}
        conditions = {path: parameter.when for path, parameter in self.parameters.items()}
        return Space(axes, conditions, {path: parameter.first for path, parameter in self.parameters.items()})

    @cached_property
    def settings(self) -> list[Settings]:
        """The settings of each arm, without parameters."""
        return [Settings(arm.base.preset, arm.base.config, arm.delta, arms=arm.members) for arm in self.arms]

    @cached_property
    def bases(self) -> list[Base]:
        """The bases of its arms, each once."""
        return list({id(arm.base): arm.base for arm in self.arms}.values())

    def count(self) -> int:
        """The number of trials; an upper bound for draws, which may coincide if conditions do not hold."""
        if self.searcher.num_trials is not None:
            return self.searcher.num_trials * len(self.arms) * len(self.seeds)
        return sum(self.space.count(settings) for settings in self.settings) * len(self.seeds)

    def choices(self, suggested: Sequence[Mapping[str, JSON]] = ()) -> Iterator[Choice]:
        """In a grid: arms, then points, then seeds. Else draws come first, so that further ones are added at the
        end."""
        facts = self.searcher.facts
        if facts.is_exhaustive:
            for arm, settings in zip(self.arms, self.settings, strict=True):
                for point in self.space.grid(settings):
                    yield from (Choice(arm, point, seed, None) for seed in self.seeds)
        elif facts.draws is not None:
            draws = facts.draws(self.space, self.searcher, self.settings)
            yield from self._of_draws(itertools.islice(draws, self.searcher.num_trials))
        else:
            yield from self._of_draws(suggested)

    def _of_draws(self, draws: Iterable[Mapping[str, JSON]]) -> Iterator[Choice]:
        for number, drawn in enumerate(draws):
            for arm, settings in zip(self.arms, self.settings, strict=True):
                point = self.space.within(drawn, settings)
                yield from (Choice(arm, point, seed, number) for seed in self.seeds)

    def corners(self) -> Iterator[Choice]:
        """The trials most likely to be refused, and a few draws: a check of spaces that are large or not yet known."""
        for arm, settings in zip(self.arms, self.settings, strict=True):
            draws = itertools.islice(self.space.draws(self.searcher.seed, [settings]), CHECK_DRAWS)
            for point in itertools.chain(self.space.corners(settings), draws):
                yield Choice(arm, point, self.seeds[0], None)
