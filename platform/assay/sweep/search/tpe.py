"""A space in Optuna's terms, and back.

Values are told by their place in the list. A partition of p parts is p weights from 0 to 1, which are apportioned: many
weights stand for one partition, so a partition that was tried is told by those of which the largest is 1.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from assay.sweep.search.axes import Axis, Floats, Integers, Partitions, Values
from assay.sweep.search.observation import Observation
from assay.sweep.search.settings import Settings, same
from assay.sweep.search.space import Point, Space
from assay.workload import JSON, canonical_json

ASKS = 10
"""Times the estimator may come back to points that were tried."""


class Estimator:
    """A study in memory that knows every trial so far, asked for one more at a time."""

    def __init__(
        self,
        space: Space,
        around: Sequence[Settings],
        observations: Sequence[Observation],
        seed: int,
        mode: Literal["min", "max"],
    ) -> None:
        self._space, self._around = space, around
        # The sampler is made anew for every batch; with one seed for all, each would begin with the same random draws.
        seed = Random(f"{seed} {len(observations)}").getrandbits(32)
        with _quiet():
            sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
            direction = "minimize" if mode == "min" else "maximize"
            self._study = optuna.create_study(sampler=sampler, direction=direction)
        for one in observations:
            self.add(one)

    def add(self, observation: Observation) -> None:
        """A trial that ended, or one that runs; not at all where the space has no such point."""
        params: dict[str, tuple[Any, BaseDistribution]] = {}
        for path, value in observation.values.items():
            axis = self._space.axes.get(path)
            if axis is None or not axis.has(value):
                return
            params |= _as_parameters(path, axis, value)
        is_known = observation.objective is not None and math.isfinite(observation.objective)
        state = TrialState.COMPLETE if is_known else TrialState.RUNNING
        trial = create_trial(
            state=state,
            value=observation.objective if is_known else None,
            params={name: value for name, (value, _) in params.items()},
            distributions={name: distribution for name, (_, distribution) in params.items()},
        )
        with _quiet():
            self._study.add_trial(trial)

    def ask(self, seen: AbstractSet[str]) -> Point | None:
        """A point that is not among those, in canonical JSON; None when it comes back to them."""
        with _quiet():
            for _ in range(ASKS):
                trial = self._study.ask()
                point = self._space.choose(partial(self._suggested, trial), self._around)
                if canonical_json(point) not in seen:
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
    """Name → value and distribution, as if it had been suggested."""
    match axis:
        case Values():
            place = next(i for i, mine in enumerate(axis.values) if same(value, mine))
            return {path: (place, CategoricalDistribution(range(len(axis.values))))}
        case Floats():
            return {path: (float(value), FloatDistribution(axis.low, axis.high, log=axis.log))}
        case Integers():
            return {path: (int(value), IntDistribution(axis.low, axis.last, log=axis.log, step=axis.step))}
        case Partitions():
            one = FloatDistribution(0.0, 1.0)
            return {n: (w, one) for n, w in zip(_weights(path, axis), axis.to_weights(value), strict=True)}
        case _:
            raise TypeError(f"Optuna has no distribution for {type(axis).__name__}")


def _weights(path: str, axis: Partitions) -> list[str]:
    return [f"{path}[{i}]" for i in range(axis.parts)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's log, and without word of options that it calls experimental."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
