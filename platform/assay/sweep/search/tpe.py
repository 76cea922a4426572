"""Optuna's samplers, and the translation between a space and Optuna's distributions.

Listed values are encoded by their index. A partition of p parts is encoded by p weights from 0 to 1, which are
apportioned. Many weights give the same partition: observations use those of which the largest is 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from assay.sweep.objectives import Mode
from assay.sweep.search.axes import Axis, Floats, Integers, Partitions, Values
from assay.sweep.search.settings import Settings, same
from assay.sweep.search.space import Point, Space
from assay.workload import JSON, canonical_json

ASKS = 10
"""How often to ask the estimator again if it repeats known points."""


def tpe(seed: int) -> optuna.samplers.BaseSampler:
    """The tree-structured Parzen estimator, of one or several objectives."""
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


class Nsga2(optuna.samplers.NSGAIISampler):  # type: ignore[misc]  # imported lazily, without its type
    """NSGA-II (https://doi.org/10.1109/4235.996017). A generation is the next `population_size` observations with
    values: Optuna counts only trials that one sampler asked for."""

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        assert self.population_size is not None
        return len(_with_values(study)) // self.population_size

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        assert self.population_size is not None
        return _with_values(study)[generation * self.population_size :][: self.population_size]


def _with_values(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def nsga2(seed: int, population: int) -> optuna.samplers.BaseSampler:
    return Nsga2(seed=seed, population_size=population)


class Estimator:
    """An in-memory Optuna study of all observations: points, and their values of the objectives with these modes."""

    def __init__(
        self,
        space: Space,
        around: Sequence[Settings],
        observations: Sequence[tuple[Mapping[str, JSON], Sequence[float] | None]],
        modes: Sequence[Mode],
        seed: int,
        sampler: Callable[[int], optuna.samplers.BaseSampler],
    ) -> None:
        self._space, self._around = space, around
        # Every batch has a new sampler; with the same seed, each would begin with the same random draws.
        seed = Random(f"{seed} {len(observations)}").getrandbits(32)
        with quiet():
            directions = ["minimize" if mode == "min" else "maximize" for mode in modes]
            self._study = optuna.create_study(sampler=sampler(seed), directions=directions)
        for point, values in observations:
            self.add(point, values)

    def add(self, point: Mapping[str, JSON], objectives: Sequence[float] | None) -> None:
        """Add an observation, if its point is in the space. No values: it runs or failed, so its neighbourhood is
        avoided."""
        params: dict[str, tuple[Any, BaseDistribution]] = {}
        for path, value in point.items():
            axis = self._space.axes.get(path)
            if axis is None or not axis.has(value):
                return
            params |= _as_parameters(path, axis, value)
        trial = create_trial(
            state=TrialState.RUNNING if objectives is None else TrialState.COMPLETE,
            values=objectives,
            params={name: value for name, (value, _) in params.items()},
            distributions={name: distribution for name, (_, distribution) in params.items()},
        )
        with quiet():
            self._study.add_trial(trial)

    def ask(self, known: AbstractSet[str]) -> Point | None:
        """A point that is not among the known ones (as canonical JSON); None if the estimator only repeats them."""
        with quiet():
            for _ in range(ASKS):
                trial = self._study.ask()
                point = self._space.choose(partial(self._suggested, trial), self._around)
                if canonical_json(point) not in known:
                    return point
        return None

    def _suggested(self, trial: optuna.Trial, path: str) -> JSON:
        axis = self._space.axes[path]
        match axis:
            case Values():
                return axis.values[trial.suggest_categorical(path, range(len(axis.values)))]
            case Floats():
                return trial.suggest_float(path, axis.low, axis.high, log=axis.log)
            case Integers():
                return trial.suggest_int(path, axis.low, axis.last, log=axis.log, step=axis.step)
            case Partitions():
                return axis.of_weights([trial.suggest_float(name, 0.0, 1.0) for name in _weights(path, axis)])
            case _:
                raise TypeError(f"Optuna has no distribution for {type(axis).__name__}")


def _as_parameters(path: str, axis: Axis, value: JSON) -> dict[str, tuple[Any, BaseDistribution]]:
    """Name → value and distribution, as if Optuna had suggested it."""
    match axis:
        case Values():
            place = next(i for i, mine in enumerate(axis.values) if same(value, mine))
            return {path: (place, CategoricalDistribution(range(len(axis.values))))}
        case Floats():
            return {path: (float(value), FloatDistribution(axis.low, axis.high, log=axis.log))}
        case Integers():
            return {path: (int(value), IntDistribution(axis.low, axis.last, log=axis.log, step=axis.step))}
        case Partitions():
            unit = FloatDistribution(0.0, 1.0)
            return {n: (w, unit) for n, w in zip(_weights(path, axis), axis.to_weights(value), strict=True)}
        case _:
            raise TypeError(f"Optuna has no distribution for {type(axis).__name__}")


def _weights(path: str, axis: Partitions) -> list[str]:
    return [f"{path}[{i}]" for i in range(axis.parts)]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's log and its warnings of experimental options."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
