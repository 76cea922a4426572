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
from assay.workload import JSON, at_path, canonical_json

SHORT_DIGITS = 4


@dataclass(frozen=True)
class Trial:
    """One config to run. `base.resolve(overrides)` gives `config` again."""

    index: int
    name: str
    """The name in tables and of its MLflow run."""
    arm: str | None
    """The arm's name; names of combined arms are joined by " + "."""
    overrides: Mapping[str, JSON]
    """Dotted: the arm's delta, the parameters' values and the seed, on top of the sweep's own config."""
    config: Mapping[str, JSON]
    """The full, resolved config."""
    seed: int
    varied: Mapping[str, JSON]
    """Dotted: this trial's value at every path at which the trials differ, even if its arm does not set it, and its
    "workload" and "base" if these differ."""
    base: Base
    """The base of the overrides."""
    draw: int | None = None
    """Index of the random draw or suggestion; None in a grid."""
    draws: tuple[int, ...] = ()
    """All draws that give this config in its arm: the first is `draw`."""
    warned: tuple[str, ...] = ()
    """The workload's warnings while it resolved the config."""


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Path → its shortest tail, in segments, that no other path ends with."""
    short = {}
    for path in paths:
        parts = path.split(".")
        tails = [".".join(parts[-n:]) for n in range(1, len(parts) + 1)]
        others = [f".{other}" for other in paths if other != path]
        short[path] = next((tail for tail in tails if not any(o.endswith(f".{tail}") for o in others)), path)
    return short


def in_words(value: JSON) -> str:
    """A value in a trial's name: text is quoted only if it looks like a number, a list or a boolean."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, ensure_ascii=False)


def in_trials(message: str, names: Sequence[str]) -> str:
    """The message with the trials that it is about, if any are given."""
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"{message} (in trial {names[0]!r}{more})" if names else message


class Names:
    """Names for the trials of one design, in order: "wide, learning_rate 0.1, seed 1"."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._short = short_names(list(design.parameters))
        self._used: set[str] = set()

    def name(self, choice: Choice) -> str:
        """The next trial's name. Numbers of a range are rounded unless an earlier trial has the same name."""
        name = self._of(choice, SHORT_DIGITS)
        if name in self._used:
            name = self._of(choice, None)
        self._used.add(name)
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
    """(arm, seed, config) → the draws that give it."""
    distinct: list[tuple[Choice, Mapping[str, JSON], Mapping[str, JSON]]] = []
    warned: list[list[str]] = []
    for choice in itertools.islice(design.choices(suggested), most):
        overrides = choice.overrides
        warnings: list[str] = []
        with passing_warnings(warnings.append):
            resolved = choice.arm.base.resolve(overrides)
        if choice.draw is not None:
            same = draws.setdefault(_identity(choice, resolved), [])
            same.append(choice.draw)
            if len(same) > 1:
                continue
        distinct.append((choice, overrides, resolved))
        warned.append(warnings)
    # Drawn parameters count as varying, since later draws will differ.
    drawn_paths = [] if design.searcher.facts.is_exhaustive else list(design.parameters)
    paths = dict.fromkeys([*drawn_paths, *(path for _, overrides, _ in distinct for path in overrides)])
    columns = {
        "workload": [choice.arm.base.workload.name for choice, _, _ in distinct],
        "base": [choice.arm.base.name for choice, _, _ in distinct],
        **{path: [at_path(resolved, path) for _, _, resolved in distinct] for path in paths},
    }
    varying = [
        path
        for path, column in columns.items()
        if path in drawn_paths or len({canonical_json(value) for value in column}) > 1
    ]
    # Workloads may have different seed paths; a trial has only its own.
    seed_paths = {choice.arm.base.workload.seed_path for choice, _, _ in distinct}
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
        for index, (choice, overrides, resolved) in enumerate(distinct)
    ]


def _identity(choice: Choice, resolved: Mapping[str, JSON]) -> tuple[str | None, int, str]:
    return choice.arm.name, choice.seed, canonical_json(resolved)
