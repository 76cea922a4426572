"""A sweep's trials: every choice of arm, values and seed, named and resolved."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.errors import passing_warnings
from assay.redaction import printable
from assay.sweep.arms import Base
from assay.sweep.design import Choice, Design
from assay.sweep.search import Floats
from assay.sweep.search import at_path as at_path
from assay.workload import JSON, canonical_json

SHORT_DIGITS = 4


@dataclass(frozen=True)
class Trial:
    """One config to run. `base.resolve(overrides)` gives `config` again."""

    index: int
    name: str
    """The arm in words: what tables and MLflow runs are called."""
    arm: str | None
    """The arm's name; several arms together have their names joined by " + "."""
    overrides: Mapping[str, JSON]
    """Dotted: the arm's delta, the parameters' values and the seed, on top of the sweep's own config."""
    config: Mapping[str, JSON]
    """The full config, as the workload resolved it."""
    seed: int
    varied: Mapping[str, JSON]
    """Dotted: this trial's value at every path where the trials differ, whether or not this trial's arm sets it; and
    its "workload" and "base" where these differ."""
    base: Base
    """What the overrides go over."""
    draw: int | None = None
    """Index of the random draw or suggestion that its values are of; None in a grid."""
    draws: tuple[int, ...] = ()
    """All that come to this config in its arm: the first is `draw`."""
    warned: tuple[str, ...] = ()
    """What the workload warned of while it resolved the config."""


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Each path's last segment, or as many of its last segments as tell it from the others."""
    short = {}
    for path in paths:
        parts = path.split(".")
        tails = [".".join(parts[-n:]) for n in range(1, len(parts) + 1)]
        others = [f".{other}" for other in paths if other != path]
        short[path] = next((tail for tail in tails if not any(o.endswith(f".{tail}") for o in others)), path)
    return short


def in_words(value: JSON) -> str:
    """A value as a trial's name shows it: text bare, unless it would read as a number, a list or a truth value."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, ensure_ascii=False)


def in_trials(message: str, names: Sequence[str]) -> str:
    """The message, and in which trials that is; as it is where no trial is named."""
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"{message} (in trial {names[0]!r}{more})" if names else message


class Names:
    """Names for the trials of one design, in order: "wide, learning_rate 0.1, seed 1"."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._short = short_names(list(design.parameters))
        self._given: set[str] = set()

    def name(self, choice: Choice) -> str:
        """Numbers of a range are shortened, unless a trial before has that name."""
        name = self._of(choice, SHORT_DIGITS)
        if name in self._given:
            name = self._of(choice, None)
        self._given.add(name)
        return name

    def _of(self, choice: Choice, digits: int | None) -> str:
        parts = [choice.arm.name] if choice.arm.name is not None else []
        parts += [f"{self._short[path]} {self._value(path, value, digits)}" for path, value in choice.values.items()]
        parts = parts or [choice.arm.base.name]
        if len(self._design.seeds) > 1:
            parts.append(f"seed {choice.seed}")
        return printable(", ".join(parts), is_line=True)

    def _value(self, path: str, value: JSON, digits: int | None) -> str:
        is_float = isinstance(self._design.space.axes[path], Floats)
        return f"{value:.{digits}g}" if is_float and digits is not None else in_words(value)


def expand(design: Design, suggested: Sequence[Mapping[str, JSON]] = (), most: int | None = None) -> list[Trial]:
    """Resolve every choice, or the first `most`. Raises ConfigError at the first that its workload refuses."""
    draws: dict[tuple[str | None, int, str], list[int]] = {}
    """(arm, seed, config) → the draws that came to it."""
    found: list[tuple[Choice, Mapping[str, JSON], Mapping[str, JSON]]] = []
    warned: list[list[str]] = []
    for choice in itertools.islice(design.choices(suggested), most):
        overrides = choice.overrides
        heard: list[str] = []
        with passing_warnings(heard.append):
            resolved = choice.arm.base.resolve(overrides)
        if choice.draw is not None:
            drawn = draws.setdefault(_identity(choice, resolved), [])
            drawn.append(choice.draw)
            if len(drawn) > 1:
                continue
        found.append((choice, overrides, resolved))
        warned.append(heard)
    # What is drawn later will differ, if it does not yet.
    drawn_paths = [] if design.searcher.facts.is_exhaustive else list(design.parameters)
    paths = dict.fromkeys([*drawn_paths, *(path for _, overrides, _ in found for path in overrides)])
    columns = {
        "workload": [choice.arm.base.workload.name for choice, _, _ in found],
        "base": [choice.arm.base.name for choice, _, _ in found],
        **{path: [at_path(resolved, path) for _, _, resolved in found] for path in paths},
    }
    varying = [
        path
        for path, column in columns.items()
        if path in drawn_paths or len({canonical_json(value) for value in column}) > 1
    ]
    # Another workload's seed path is none of this trial's.
    seed_paths = {choice.arm.base.workload.seed_path for choice, _, _ in found}
    seeded = seed_paths if len(design.seeds) > 1 else ()
    names = Names(design)
    return [
        Trial(
            index=index,
            name=names.name(choice),
            arm=choice.arm.label,
            overrides=overrides,
            config=resolved,
            seed=choice.seed,
            varied={
                path: columns[path][index]
                for path in varying
                if path not in seed_paths or (path in seeded and path in overrides)
            },
            base=choice.arm.base,
            draw=choice.draw,
            draws=tuple(draws.get(_identity(choice, resolved), ())),
            warned=tuple(warned[index]),
        )
        for index, (choice, overrides, resolved) in enumerate(found)
    ]


def _identity(choice: Choice, resolved: Mapping[str, JSON]) -> tuple[str | None, int, str]:
    return choice.arm.name, choice.seed, canonical_json(resolved)
