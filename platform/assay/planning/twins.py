"""Trials of a sweep that are one computation: what they differ in changes nothing that is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from assay.sweep import Trial
from assay.text import shorten
from assay.workload import Stage, canonical_json

Keys = frozenset[str]
"""Those of all stages of a trial."""


class Planned(Protocol):
    """A trial and its stages."""

    @property
    def trial(self) -> Trial: ...

    @property
    def stages(self) -> Sequence[Stage]: ...


def remarks_on_twins(trials: Sequence[Planned]) -> Iterator[str]:
    """What to warn of: settings that make no difference in any trial, once for the paths that they are of.

    Not of settings that make one elsewhere: in a grid of temperatures, how 1.0 scales does not matter, and 0.9 does.
    """
    first_with: dict[Keys, Trial] = {}
    by_paths: dict[tuple[str, ...], Sequence[Mapping[str, Keys]]] = {}
    told: set[tuple[str, ...]] = set()
    for planned in trials:
        twin = first_with.setdefault(_keys(planned), planned.trial)
        paths = _differing(twin, planned.trial)
        if not paths or paths in told:
            continue
        if paths not in by_paths:
            by_paths[paths] = _computed(trials, paths)
        one, other = _at(twin, paths), _at(planned.trial, paths)
        if all(keys[one] == keys[other] for keys in by_paths[paths] if one in keys and other in keys):
            told.add(paths)
            yield _message(twin, planned.trial, paths)


def _keys(planned: Planned) -> Keys:
    return frozenset(stage.key for stage in planned.stages)


def _differing(one: Trial, other: Trial) -> tuple[str, ...]:
    """Paths at which two trials are set otherwise."""
    paths = {**one.varied, **other.varied}
    return tuple(path for path in paths if _at(one, (path,)) != _at(other, (path,)))


def _computed(trials: Sequence[Planned], paths: tuple[str, ...]) -> Sequence[Mapping[str, Keys]]:
    """Setting at `paths` → what is computed with it, for every set of trials that agree in all else."""
    by_rest: dict[str, dict[str, Keys]] = {}
    for planned in trials:
        rest = [path for path in planned.trial.varied if path not in paths]
        by_rest.setdefault(_at(planned.trial, rest), {})[_at(planned.trial, paths)] = _keys(planned)
    return list(by_rest.values())


def _at(trial: Trial, paths: Sequence[str]) -> str:
    return canonical_json([trial.varied.get(path) for path in paths])


def _message(one: Trial, other: Trial, paths: Sequence[str]) -> str:
    settings = " and ".join(f"{path} is {_shown(one, path)} or {_shown(other, path)}" for path in paths)
    return (
        f"trials {one.name!r} and {other.name!r} compute exactly the same and will share one result: "
        f"whether {settings} makes no difference here"
    )


def _shown(trial: Trial, path: str) -> str:
    return shorten(canonical_json(trial.varied.get(path)))
