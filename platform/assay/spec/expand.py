"""A sweep's trials: arms × the grid of parameters × seeds, in the order of the file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from assay.workload import JSON, Workload, canonical_json

Arms = Mapping[str, Mapping[str, JSON]]
Grid = Mapping[str, Sequence[JSON]]


@dataclass(frozen=True)
class Trial:
    """One config to run. `resolve(base, sweep.config | overrides)` gives `config` again."""

    index: int
    name: str
    """The arm in words: what tables and MLflow runs are called."""
    arm: str | None
    overrides: Mapping[str, JSON]
    """Dotted: the arm's delta, the parameters' values and the seed, on top of the sweep's own config."""
    config: Mapping[str, JSON]
    """The full config, as the workload resolved it."""
    seed: int
    varied: Mapping[str, JSON]
    """Dotted: this trial's value at every path where the trials differ, whether or not this trial's arm sets it."""


@dataclass(frozen=True)
class Choice:
    """One cell of the product, before a workload has seen it: an arm, an index into each parameter's values, a seed."""

    arm: str | None
    delta: Mapping[str, JSON]
    picks: Mapping[str, int]
    values: Mapping[str, JSON]
    seed: int

    def overrides(self, seed_path: str) -> dict[str, JSON]:
        return {**self.delta, **self.values, seed_path: self.seed}


def choices(arms: Arms, grid: Grid, seeds: Sequence[int]) -> Iterator[Choice]:
    named: list[tuple[str | None, Mapping[str, JSON]]] = [*arms.items()] or [(None, {})]
    for arm, delta in named:
        for picks in itertools.product(*(range(len(values)) for values in grid.values())):
            chosen = dict(zip(grid, picks, strict=True))
            for seed in seeds:
                yield Choice(arm, delta, chosen, {path: grid[path][i] for path, i in chosen.items()}, seed)


def count(arms: Arms, grid: Grid, seeds: Sequence[int]) -> int:
    total = max(len(arms), 1) * len(seeds)
    for values in grid.values():
        total *= len(values)
    return total


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


def name_of(choice: Choice, base: str, short: Mapping[str, str], several_seeds: bool) -> str:
    """ "AdaGN, guidance_scale 1.0, seed 1" """
    parts = [choice.arm] if choice.arm is not None else []
    parts += [f"{short[path]} {in_words(value)}" for path, value in choice.values.items()]
    parts = parts or [base]
    if several_seeds:
        parts.append(f"seed {choice.seed}")
    return ", ".join(parts)


def at_path(config: JSON, path: str) -> JSON:
    """The value at a dotted path of a resolved config; None below a section that is null."""
    for part in path.split("."):
        if not isinstance(config, Mapping) or part not in config:
            return None
        config = config[part]
    return config


def expand(
    workload: Workload, base: str, config: Mapping[str, JSON], arms: Arms, grid: Grid, seeds: Sequence[int]
) -> list[Trial]:
    """Resolve every choice. Raises ConfigError at the first that the workload refuses."""
    picked = list(choices(arms, grid, seeds))
    overrides = [choice.overrides(workload.seed_path) for choice in picked]
    configs = [workload.resolve(base, {**config, **override}) for override in overrides]
    paths = dict.fromkeys(path for override in overrides for path in override)
    columns = {path: [at_path(resolved, path) for resolved in configs] for path in paths}
    varying = [path for path, column in columns.items() if len({canonical_json(value) for value in column}) > 1]
    short = short_names(list(grid))
    return [
        Trial(
            index=index,
            name=name_of(choice, base, short, len(seeds) > 1),
            arm=choice.arm,
            overrides=overrides[index],
            config=configs[index],
            seed=choice.seed,
            varied={path: columns[path][index] for path in varying},
        )
        for index, choice in enumerate(picked)
    ]
