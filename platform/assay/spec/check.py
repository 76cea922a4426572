"""What only the workload can tell of a sweep: do the presets, paths and metrics exist, does every trial's config hold?

Works on the raw document, so that a mistake in one section does not hide those in another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from assay.errors import ConfigError, ConfigProblem, SpecProblem, UserError, did_you_mean
from assay.spec.expand import Choice, choices, count, name_of, short_names
from assay.spec.yaml_lines import Document, Path
from assay.workload import JSON, Workload, canonical_json

FindWorkload = Callable[[str], Workload]
MOST_TRIALS = 10_000


@dataclass
class Draft:
    """What of a document is well-formed enough to be checked further."""

    config: dict[str, JSON]
    arms: dict[str, dict[str, JSON]]
    grid: dict[str, list[JSON]]
    seeds: list[int]

    @classmethod
    def of(cls, data: Mapping[str, JSON]) -> Draft:
        spaces = {path: space.get("values") for path, space in _mapping(data, "parameters").items() if _is_dict(space)}
        seeds = data.get("seeds", [0])
        good = [seed for seed in seeds if type(seed) is int and seed >= 0] if isinstance(seeds, list) else []
        return cls(
            config=_mapping(data, "config"),
            arms={name: delta for name, delta in _mapping(data, "arms").items() if _is_dict(delta)},
            grid={path: values for path, values in spaces.items() if isinstance(values, list) and values},
            seeds=list(dict.fromkeys(good)) or [0],
        )


def _is_dict(value: JSON) -> bool:
    return isinstance(value, dict)


def _mapping(data: Mapping[str, JSON], key: str) -> dict[str, JSON]:
    value = data.get(key)
    return dict(value) if isinstance(value, dict) else {}


def find(document: Document, find_workload: FindWorkload) -> tuple[Workload | None, list[SpecProblem]]:
    """The sweep's workload, or what is wrong with its name or its base."""
    name, base = document.data.get("workload"), document.data.get("base")
    if not isinstance(name, str) or not name.strip():
        return None, []
    try:
        workload = find_workload(name)
    except UserError as error:
        return None, [document.problem(("workload",), str(error))]
    presets = list(workload.presets())
    if not isinstance(base, str) or not base.strip() or base in presets:
        return workload, []
    return workload, [document.problem(("base",), f"unknown preset {base!r}{did_you_mean(base, presets)}")]


def check(document: Document, workload: Workload) -> Iterator[SpecProblem]:
    """Every problem that needs the workload. The base must be one of its presets."""
    base = document.data["base"]
    draft = Draft.of(document.data)
    known = set(workload.paths(base))
    unknown = dict(_unknown_paths(document, draft, known, workload.seed_path))
    yield from (document.problem(path, message) for path, message in unknown.items())
    doubtful = set(unknown)
    for path, message in _conflicts(document, draft):
        doubtful.add(path)
        yield document.problem(path, message)
    total = count(draft.arms, draft.grid, draft.seeds)
    if total > MOST_TRIALS:
        longest = max(draft.grid, key=lambda path: len(draft.grid[path]), default=None)
        place: Path = ("parameters", longest) if longest else ("seeds",)
        yield document.problem(place, f"got {total:,} trials in all, allowed: {MOST_TRIALS:,}")
        return
    yield from _Trials(document, draft, workload, base, doubtful).problems()


def _unknown_paths(document: Document, draft: Draft, known: set[str], seed_path: str) -> Iterator[tuple[Path, str]]:
    """Every place where the user wrote a config path that the config does not have, or may not set here."""
    places: list[tuple[Path, str, JSON]] = [(("config", path), path, value) for path, value in draft.config.items()]
    places += [(("parameters", path), path, None) for path in _mapping(document.data, "parameters")]
    for arm, delta in draft.arms.items():
        places += [(("arms", arm, path), path, value) for path, value in delta.items()]
    rows = _mapping(document.data, "reference").get("rows")
    for i, row in enumerate(rows if isinstance(rows, list) else []):
        when = row.get("when") if isinstance(row, dict) else None
        where: Path = ("reference", "rows", i, "when")
        places += [((*where, path), path, None) for path in (when if isinstance(when, dict) else {})]
    for place, path, value in places:
        if path == seed_path and place[0] != "reference":
            yield place, "replicate seeds set this path; write seeds: [...] instead"
        elif path not in known:
            inside = sorted(name for name in known if name.startswith(f"{path}."))
            if inside and isinstance(value, dict):
                yield place, f"a section of the config; write its keys as dotted paths, as in {inside[0]}: …"
            elif inside:
                yield place, f"a section of the config, not a value; it has {', '.join(inside[:6])}"
            else:
                yield place, f"unknown config path{did_you_mean(path, known)}"


def _conflicts(document: Document, draft: Draft) -> Iterator[tuple[Path, str]]:
    """Values that would be overridden in every trial, or that two places both vary."""
    for path, values in draft.grid.items():
        seen: dict[str, int] = {}
        for i, value in enumerate(values):
            first = seen.setdefault(canonical_json(value), i)
            if first != i:
                yield ("parameters", path, "values", i), f"the same value as values[{first}]; every value is a trial"
    for arm, delta in draft.arms.items():
        for path in delta:
            if path in draft.grid:
                yield ("arms", arm, path), "parameters vary this path too; vary it in one place"
    for path in draft.config:
        if document.origin(("config", path)).line:
            continue  # in a file a default that all arms replace is harmless; on the command line it misleads
        if path in draft.grid:
            yield ("config", path), "has no effect: parameters vary this path in every trial"
        elif draft.arms and all(path in delta for delta in draft.arms.values()):
            yield ("config", path), "has no effect: every arm sets this path"


class _Trials:
    """Resolves the config alone and every trial, and finds the line to blame."""

    def __init__(self, document: Document, draft: Draft, workload: Workload, base: str, doubtful: set[Path]) -> None:
        self.document, self.draft, self.workload, self.base = document, draft, workload, base
        self.doubtful = doubtful
        self.config = {path: value for path, value in draft.config.items() if ("config", path) not in doubtful}
        self.in_config: dict[str, Path] = {path: ("config", path) for path in self.config}

    def problems(self) -> Iterator[SpecProblem]:
        alone = self.resolve(self.config)[1]
        for problem in alone:
            # Alone, the config need not hold together: arms may complete it. But its values must be values.
            if _written(problem.path, self.in_config) is not None:
                yield self.blame(problem, self.in_config, ("base",))
        inherited = set(alone)
        first_with: dict[str, tuple[Choice, str]] = {}
        blamed_twins: set[Path] = set()
        lacking: list[tuple[str, list[str]]] = []
        trials = 0
        several = len(self.draft.seeds) > 1
        short = short_names(list(self.draft.grid))
        for choice in choices(self.draft.arms, self.draft.grid, self.draft.seeds):
            overrides, varied, clean = self.overrides(choice)
            config, refused = self.resolve({**self.config, **overrides})
            arm: Path = ("arms", choice.arm) if choice.arm is not None else ("base",)
            for problem in refused:
                if problem in inherited:
                    yield self.blame(problem, self.in_config, ("base",))
                else:
                    yield self.blame(problem, {**self.in_config, **varied}, arm)
            if config is None:
                continue
            trials += 1
            name = name_of(choice, self.base, short, several)
            metrics = list(self.workload.metrics(config))
            if self.document.data.get("metric") not in metrics:
                lacking.append((name, metrics))
            if clean:
                twin, twin_name = first_with.setdefault(canonical_json(config), (choice, name))
                place = _difference(twin, choice, self.draft)
                if twin is not choice and place not in blamed_twins:
                    blamed_twins.add(place)
                    line = self.document.origin(_difference(choice, twin, self.draft)).line
                    where = f" (line {line})" if line else ""
                    message = f"trial {name!r} resolves to the same config as {twin_name!r}{where}"
                    yield self.document.problem(place, f"{message}; every trial must differ")
        yield from self.metric(lacking, trials)

    def resolve(self, overrides: Mapping[str, JSON]) -> tuple[Mapping[str, JSON] | None, tuple[ConfigProblem, ...]]:
        try:
            return self.workload.resolve(self.base, overrides), ()
        except ConfigError as error:
            return None, error.problems

    def overrides(self, choice: Choice) -> tuple[dict[str, JSON], dict[str, Path], bool]:
        """What this trial sets, where each was written, and whether nothing of it had to be left out."""
        places: dict[str, Path] = {}
        if choice.arm is not None:
            places |= {path: ("arms", choice.arm, path) for path in choice.delta}
        places |= {path: ("parameters", path, "values", i) for path, i in choice.picks.items()}
        places[self.workload.seed_path] = ("seeds", self.draft.seeds.index(choice.seed))
        good = {path: place for path, place in places.items() if not self.is_doubtful(place)}
        values = choice.overrides(self.workload.seed_path)
        return {path: values[path] for path in good}, good, len(good) == len(places)

    def is_doubtful(self, place: Path) -> bool:
        return any(place[:length] in self.doubtful for length in range(1, len(place) + 1))

    def metric(self, lacking: list[tuple[str, list[str]]], trials: int) -> Iterator[SpecProblem]:
        metric = self.document.data.get("metric")
        if not lacking or not isinstance(metric, str) or not metric.strip():
            return
        name, there = lacking[0]
        if len(lacking) == trials:
            yield self.document.problem(("metric",), f"unknown metric {metric!r}{did_you_mean(metric, there)}")
        else:
            message = f"trial {name!r} does not report {metric!r}{did_you_mean(metric, there)}"
            yield self.document.problem(("metric",), message)

    def blame(self, problem: ConfigProblem, places: Mapping[str, Path], fallback: Path) -> SpecProblem:
        """The problem, at the line where the user wrote what it is about. Later places win: an arm over config."""
        written = _written(problem.path, places)
        if written is not None:
            rest = problem.path[len(written) :].split(".")[1:]
            inner = tuple(int(part) if part.isdigit() else part for part in rest)
            return self.document.problem(places[written] + inner, problem.message)
        ranked = list(places.items())[::-1]
        named = [place for path, place in ranked if _mentions(problem.message, path)]
        within = [place for path, place in ranked if not problem.path or path.startswith(f"{problem.path}.")]
        hinted = [
            place for path, place in ranked if place in within and _mentions(problem.message, path.split(".")[-1])
        ]
        for place in (*named, *hinted, *(within if problem.path else [])):
            if place[0] != "seeds":
                return self.document.problem(place, problem.message)
        return self.document.problem(fallback, problem.message)


def _written(path: str, places: Mapping[str, Path]) -> str | None:
    """The user's own path that covers a problem's path."""
    covering = [written for written in places if path == written or path.startswith(f"{written}.")]
    return max(covering, key=len, default=None)


def _mentions(message: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", message) is not None


def _difference(one: Choice, other: Choice, draft: Draft) -> Path:
    """Where `other` was written differently from `one`: its arm, else its last differing value, else its seed."""
    if one.arm != other.arm and other.arm is not None:
        return ("arms", other.arm)
    for path in list(other.picks)[::-1]:
        if one.picks.get(path) != other.picks[path]:
            return ("parameters", path, "values", other.picks[path])
    return ("seeds", draft.seeds.index(other.seed))
