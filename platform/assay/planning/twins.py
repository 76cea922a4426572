"""Find trials that differ in settings without effect, and so are one computation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from assay.sweep import Trial
from assay.text import shorten
from assay.workload import Stage, canonical_json

Keys = frozenset[str]
"""The keys of all stages of a trial."""


class Planned(Protocol):
    @property
    def trial(self) -> Trial: ...

    @property
    def stages(self) -> Sequence[Stage]: ...


def remarks_on_twins(trials: Sequence[Planned]) -> Iterator[str]:
    """Warnings of settings that make no difference in any trial, once per set of paths.

    Settings that make a difference in some trials are not reported: how a temperature is applied makes none at 1.0.
    """
    first_with: dict[Keys, Trial] = {}
    by_paths: dict[tuple[str, ...], Sequence[Mapping[str, Keys]]] = {}
    reported: set[tuple[str, ...]] = set()
    for planned in trials:
        twin = first_with.setdefault(_keys(planned), planned.trial)
        paths = _differing(twin, planned.trial)
        if not paths or paths in reported:
            continue
        if paths not in by_paths:
            by_paths[paths] = _computed(trials, paths)
        first, second = _at(twin, paths), _at(planned.trial, paths)
        if all(keys[first] == keys[second] for keys in by_paths[paths] if first in keys and second in keys):
            reported.add(paths)
            yield _message(twin, planned.trial, paths)


def _keys(planned: Planned) -> Keys:
    return frozenset(stage.key for stage in planned.stages)


def _differing(first: Trial, second: Trial) -> tuple[str, ...]:
    """The paths at which two trials differ."""
    paths = {**first.varied, **second.varied}
    return tuple(path for path in paths if _at(first, (path,)) != _at(second, (path,)))


def _computed(trials: Sequence[Planned], paths: tuple[str, ...]) -> Sequence[Mapping[str, Keys]]:
    """Setting at `paths` → the keys that it gives, for every set of trials that agree in everything else."""
    by_rest: dict[str, dict[str, Keys]] = {}
    for planned in trials:
        rest = [path for path in planned.trial.varied if path not in paths]
        by_rest.setdefault(_at(planned.trial, rest), {})[_at(planned.trial, paths)] = _keys(planned)
    return list(by_rest.values())


def _at(trial: Trial, paths: Sequence[str]) -> str:
    return canonical_json([trial.varied.get(path) for path in paths])


def _message(first: Trial, second: Trial, paths: Sequence[str]) -> str:
    settings = " and ".join(f"{path} is {_shown(first, path)} or {_shown(second, path)}" for path in paths)
    return (
        f"trials {first.name!r} and {second.name!r} compute exactly the same and will share one result: "
        f"whether {settings} makes no difference here"
    )


def _shown(trial: Trial, path: str) -> str:
    return shorten(canonical_json(trial.varied.get(path)))
