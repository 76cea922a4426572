"""What makes a sweep's trials: arms, a space, seeds, and how they are gone through. No config is resolved here."""

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


@dataclass(frozen=True)
class Choice:
    """One trial before a workload has seen it."""

    arm: Arm
    values: Mapping[str, JSON]
    """Path → value of the parameters that are set in it."""
    seed: int
    draw: int | None
    """The number of the random draw or suggestion; None in a grid."""

    @property
    def overrides(self) -> dict[str, JSON]:
        return {**self.arm.delta, **self.values, self.arm.base.workload.seed_path: self.seed}


@dataclass(frozen=True)
class Design:
    base: Base
    """The sweep's own, which its arms start from unless they name another."""
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
        """What each arm gives, without the parameters."""
        return [Settings(arm.base.preset, arm.base.config, arm.delta, arms=arm.members) for arm in self.arms]

    @cached_property
    def bases(self) -> list[Base]:
        """What its trials start from, each once."""
        return list({id(arm.base): arm.base for arm in self.arms}.values())

    def count(self) -> int:
        """Trials at most: draws may turn out to be the same where conditions do not hold."""
        if self.searcher.num_trials is not None:
            return self.searcher.num_trials * len(self.arms) * len(self.seeds)
        return sum(self.space.count(settings) for settings in self.settings) * len(self.seeds)

    def choices(self, suggested: Sequence[Mapping[str, JSON]] = ()) -> Iterator[Choice]:
        """Grid: arms, then points, then seeds. Else draws come first, so that more of them are added at the end."""
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
        """What is most likely to be refused, and a few draws: a check where not every trial is known or can be."""
        for arm, settings in zip(self.arms, self.settings, strict=True):
            draws = itertools.islice(self.space.draws(self.searcher.seed, [settings]), CHECK_DRAWS)
            for point in itertools.chain(self.space.corners(settings), draws):
                yield Choice(arm, point, self.seeds[0], None)
