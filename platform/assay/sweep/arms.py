"""Arms: named deltas against a base, applied one at a time, cumulatively, or in every subset.

An arm with an empty delta is the base itself: it is run on its own and never combined. `checks.py` refuses arms whose
workload or base does not exist.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from assay.errors import ConfigError, passing_warnings
from assay.redaction import printable
from assay.workload import JSON, Workload

Arms = Mapping[str, Mapping[str, JSON]]
AND = " + "
BASE_KEYS = ("workload", "base")
"""Keys of an arm that are not config paths: they name its workload and preset, if these are not the sweep's."""


@dataclass(frozen=True)
class Base:
    """A preset of a workload with the sweep's own config applied: the base of a trial's overrides."""

    workload: Workload
    name: str
    """The name of the preset."""
    config: Mapping[str, JSON] = field(default_factory=dict)
    """Dotted overrides that all trials share."""

    @cached_property
    def preset(self) -> Mapping[str, JSON]:
        """The resolved preset; empty if it is invalid until trials complete it."""
        try:
            with passing_warnings(None):  # the trials repeat them
                return self.workload.resolve(self.name, {})
        except ConfigError:
            return {}

    @cached_property
    def paths(self) -> frozenset[str]:
        return frozenset(self.workload.paths(self.name))

    def has(self, path: str) -> bool:
        """Whether its config has a value or a section at this path."""
        return path in self.paths or any(known.startswith(f"{path}.") for known in self.paths)

    def resolve(self, overrides: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """The full config. Raises ConfigError if the workload refuses it."""
        return self.workload.resolve(self.name, {**self.config, **overrides})

    def with_config(self, config: Mapping[str, JSON], bases: Iterable[Base]) -> Base:
        """This base with the sweep's config, except for paths that only other bases of the sweep have."""
        others = [base for base in bases if base is not self]
        own = {p: value for p, value in config.items() if self.has(p) or not any(base.has(p) for base in others)}
        return replace(self, config=own)


FindBase = Callable[[str | None, str | None], Base]
"""The base of a workload and preset; None stands for the sweep's own."""


@dataclass(frozen=True)
class Arm:
    """An arm, or a combination of several or none."""

    name: str | None
    """ "AdaGN + multi-resolution"; None in a sweep without arms."""
    members: tuple[str, ...]
    base: Base
    delta: Mapping[str, JSON]
    origins: Mapping[str, str]
    """Path → the last member that sets it."""

    @property
    def label(self) -> str | None:
        """Its name in one line, with control characters escaped."""
        return None if self.name is None else printable(self.name, is_line=True)


def combine(arms: Arms, mode: str, config: Mapping[str, JSON], find_base: FindBase) -> tuple[Base, list[Arm]]:
    """The sweep's own base, and its arms in order. The empty combination is named after the base.

    The base of a combination is the one that its last members name.
    """
    combinations = list(_combinations(arms, mode))
    names = {(None, None): find_base(None, None)}
    for members in combinations:
        named = _named_base(arms, members)
        if named not in names:
            names[named] = find_base(*named)
    bases = {named: base.with_config(config, names.values()) for named, base in names.items()}
    own = bases[None, None]
    return own, [_arm(arms, members, bases[_named_base(arms, members)]) for members in combinations]


def _arm(arms: Arms, members: tuple[str, ...], base: Base) -> Arm:
    origins = {path: member for member in members for path in arms[member] if path not in BASE_KEYS}
    delta = {path: arms[member][path] for path, member in origins.items()}
    name = AND.join(members) if members else base.name if arms else None
    return Arm(name, members, base, delta, origins)


def _named_base(arms: Arms, members: Sequence[str]) -> tuple[JSON, JSON]:
    merged = {key: arms[member][key] for member in members for key in BASE_KEYS if key in arms[member]}
    return merged.get("workload"), merged.get("base")


def count(arms: Arms, mode: str) -> int:
    """The number of arms that `combine` returns."""
    deltas = sum(bool(delta) for delta in arms.values())
    if not arms or mode != "grid":
        return max(len(arms), 1)
    return 2**deltas - 1 + max(len(arms) - deltas, 1)


def _combinations(arms: Arms, mode: str) -> Iterator[tuple[str, ...]]:
    """The members of each arm."""
    if not arms:
        yield ()
    elif mode == "cumulative":
        yield from _cumulative(arms)
    elif mode == "grid":
        yield from _subsets(arms)
    else:
        yield from ((name,) for name in arms)


def _cumulative(arms: Arms) -> Iterator[tuple[str, ...]]:
    so_far: tuple[str, ...] = ()
    for name, delta in arms.items():
        so_far += (name,) if delta else ()
        yield so_far if delta else (name,)


def _subsets(arms: Arms) -> Iterator[tuple[str, ...]]:
    """Smaller subsets first."""
    empty = [name for name, delta in arms.items() if not delta]
    yield from ((name,) for name in empty)
    if not empty:
        yield ()
    full = [name for name, delta in arms.items() if delta]
    for size in range(1, len(full) + 1):
        yield from itertools.combinations(full, size)
