"""Named deltas against a base: each alone, each on top of those before it, or every subset of them.

Arms with an empty delta are the base itself: they are trials of their own, and no part of a combination.
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
"""Keys of an arm that are not config paths: they name what it starts from, if that is not the sweep's own."""


@dataclass(frozen=True)
class Base:
    """A preset of a workload with the sweep's own config over it: what the overrides of a trial are applied to."""

    workload: Workload
    name: str
    """The preset's."""
    config: Mapping[str, JSON] = field(default_factory=dict)
    """Dotted overrides that all trials have in common."""

    @cached_property
    def preset(self) -> Mapping[str, JSON]:
        """Resolved; empty if the workload refuses the preset alone, which the trials may complete."""
        try:
            with passing_warnings(None):  # the trials repeat them
                return self.workload.resolve(self.name, {})
        except ConfigError:
            return {}

    @cached_property
    def paths(self) -> frozenset[str]:
        return frozenset(self.workload.paths(self.name))

    def has(self, path: str) -> bool:
        """Whether its config has such a path, of a value or of a section."""
        return path in self.paths or any(known.startswith(f"{path}.") for known in self.paths)

    def resolve(self, overrides: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """The whole config. Raises ConfigError as the workload does."""
        return self.workload.resolve(self.name, {**self.config, **overrides})

    def with_config(self, config: Mapping[str, JSON], bases: Iterable[Base]) -> Base:
        """This base with the sweep's config over it, except for paths that only other bases of the sweep have."""
        others = [base for base in bases if base is not self]
        own = {p: value for p, value in config.items() if self.has(p) or not any(base.has(p) for base in others)}
        return replace(self, config=own)


FindBase = Callable[[str | None, str | None], Base]
"""By workload and preset as an arm names them; None stands for the sweep's own."""


@dataclass(frozen=True)
class Arm:
    """What a trial starts from: none, one or several of the sweep's arms."""

    name: str | None
    """ "AdaGN + multi-resolution"; None in a sweep without arms."""
    members: tuple[str, ...]
    base: Base
    delta: Mapping[str, JSON]
    origins: Mapping[str, str]
    """Path → the member that set it: the last that does."""

    @property
    def label(self) -> str | None:
        """Its name as it is shown: on a line, without what a terminal obeys."""
        return None if self.name is None else printable(self.name, is_line=True)


def combine(arms: Arms, mode: str, config: Mapping[str, JSON], find_base: FindBase) -> tuple[Base, list[Arm]]:
    """The sweep's own base, and the arms of its trials, in order. The subset without any is named after the base.

    Members of a combination start from the base that the last of them names.
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
    """How many `combine` makes, without making them."""
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
    """The smaller ones first."""
    empty = [name for name, delta in arms.items() if not delta]
    yield from ((name,) for name in empty)
    if not empty:
        yield ()
    full = [name for name, delta in arms.items() if delta]
    for size in range(1, len(full) + 1):
        yield from itertools.combinations(full, size)
