"""Every trial resolved by the workload, and each refusal traced to the line where the user wrote what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set

from assay.errors import ConfigError, ConfigProblem, SpecProblem, did_you_mean
from assay.spec.draft import Draft
from assay.spec.expand import Choice, choices, name_of, short_names
from assay.spec.yaml_lines import Document, Path
from assay.workload import JSON, Workload, canonical_json

Config = Mapping[str, JSON]


class TrialChecks:
    """`doubtful` places are already known to be wrong: left out of the configs, so that the rest can be checked."""

    def __init__(self, document: Document, draft: Draft, workload: Workload, base: str, doubtful: Set[Path]) -> None:
        self.document, self.draft, self.workload, self.base, self.doubtful = document, draft, workload, base, doubtful
        self.config = {path: value for path, value in draft.config.items() if ("config", path) not in doubtful}
        self.in_config: dict[str, Path] = {path: ("config", path) for path in self.config}

    def problems(self) -> Iterator[SpecProblem]:
        yield from self.config_alone()
        inherited = set(self.resolve(self.config)[1])
        refusals: dict[SpecProblem, list[str]] = {}
        resolved: list[tuple[Choice, str, Config, bool]] = []
        short = short_names(list(self.draft.grid))
        for choice in choices(self.draft.arms, self.draft.grid, self.draft.seeds):
            name = name_of(choice, self.base, short, len(self.draft.seeds) > 1)
            overrides, places, whole = self.overrides(choice)
            config, refused = self.resolve({**self.config, **overrides})
            fallback: Path = ("arms", choice.arm) if choice.arm is not None else ("base",)
            for problem in refused:
                new = problem not in inherited
                blamed = self.blame(problem, {**self.in_config, **(places if new else {})}, fallback if new else None)
                refusals.setdefault(blamed, []).append(name)
            if config is not None:
                resolved.append((choice, name, config, whole))
        for blamed, names in refusals.items():
            yield _in_trials(blamed, names) if resolved and not _is_own(blamed) else blamed
        yield from self.twins(resolved)
        yield from self.metric([(name, list(self.workload.metrics(config))) for _, name, config, _ in resolved])

    def config_alone(self) -> Iterator[SpecProblem]:
        """Values of `config` that are wrong by themselves. They are left out from here on.

        The config need not hold together alone, since arms may complete it: that is for the trials to tell.
        """
        for problem in self.resolve(self.config)[1]:
            written = _written(problem.path, self.in_config)
            if written is not None:
                yield self.blame(problem, self.in_config, None)
                self.config.pop(written, None)

    def resolve(self, overrides: Config) -> tuple[Config | None, tuple[ConfigProblem, ...]]:
        try:
            return self.workload.resolve(self.base, overrides), ()
        except ConfigError as error:
            return None, error.problems

    def overrides(self, choice: Choice) -> tuple[dict[str, JSON], dict[str, Path], bool]:
        """What this trial sets, where each was written, and whether nothing of the trial had to be left out."""
        places: dict[str, Path] = {path: ("parameters", path, "values", i) for path, i in choice.picks.items()}
        if choice.arm is not None:
            places |= {path: ("arms", choice.arm, path) for path in choice.delta}
        places[self.workload.seed_path] = ("seeds", self.draft.seeds.index(choice.seed))
        good = {path: place for path, place in places.items() if not self.is_doubtful(place)}
        values = choice.overrides(self.workload.seed_path)
        whole = len(good) == len(places) and len(self.config) == len(self.draft.config)
        return {path: values[path] for path in good}, good, whole

    def is_doubtful(self, place: Path) -> bool:
        return any(place[:length] in self.doubtful for length in range(1, len(place) + 1))

    def twins(self, resolved: list[tuple[Choice, str, Config, bool]]) -> Iterator[SpecProblem]:
        """Trials that resolve to one config, once a line: the second would only repeat the first."""
        first_with: dict[str, tuple[Choice, str]] = {}
        blamed: set[Path] = set()
        for choice, name, config, whole in resolved:
            if not whole:  # what was left out may have been the difference
                continue
            twin, twin_name = first_with.setdefault(canonical_json(config), (choice, name))
            place = _difference(twin, choice, self.draft)
            if twin is choice or place in blamed:
                continue
            blamed.add(place)
            line = self.document.origin(_difference(choice, twin, self.draft)).line
            where = f" (line {line})" if line else ""
            message = f"trial {name!r} resolves to the same config as {twin_name!r}{where}; every trial must differ"
            yield self.document.problem(place, message)

    def metric(self, reported: list[tuple[str, list[str]]]) -> Iterator[SpecProblem]:
        metric = self.document.data.get("metric")
        lacking = [(name, metrics) for name, metrics in reported if metric not in metrics]
        if lacking and isinstance(metric, str) and metric.strip():
            name, metrics = lacking[0]
            wrong = (
                f"unknown metric {metric!r}" if lacking == reported else f"trial {name!r} does not report {metric!r}"
            )
            yield self.document.problem(("metric",), wrong + did_you_mean(metric, metrics))

    def blame(self, problem: ConfigProblem, places: Mapping[str, Path], fallback: Path | None) -> SpecProblem:
        """The problem, at the line where the user wrote what it is about. Later places win: an arm over config."""
        written = _written(problem.path, places)
        if written is not None:
            rest = problem.path[len(written) :].split(".")[1:]
            inner = tuple(int(part) if part.isdecimal() else part for part in rest)
            return self.document.problem(places[written] + inner, problem.message)
        ranked = [(path, place) for path, place in list(places.items())[::-1] if place[0] != "seeds"]
        named = [place for path, place in ranked if _mentions(problem.message, path)]
        within = [(path, place) for path, place in ranked if not problem.path or path.startswith(f"{problem.path}.")]
        hinted = [place for path, place in within if _mentions(problem.message, path.rpartition(".")[2])]
        around = [place for _, place in within] if problem.path else []
        best = next(iter([*named, *hinted, *around]), fallback or ("base",))
        return self.document.problem(best, problem.message)


def _written(path: str, places: Mapping[str, Path]) -> str | None:
    """The user's own path that covers a problem's path."""
    covering = [written for written in places if path == written or path.startswith(f"{written}.")]
    return max(covering, key=len, default=None)


def _mentions(message: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", message) is not None


def _is_own(problem: SpecProblem) -> bool:
    """Whether the place itself belongs to some trials only, so that naming them says nothing new."""
    return problem.path.startswith(("arms.", "parameters.", "seeds"))


def _in_trials(problem: SpecProblem, names: list[str]) -> SpecProblem:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    message = f"{problem.message} (in trial {names[0]!r}{more})"
    return SpecProblem(problem.file, problem.line, problem.path, message)


def _difference(one: Choice, other: Choice, draft: Draft) -> Path:
    """Where `other` was written differently from `one`: its arm, else its last differing value, else its seed."""
    if one.arm != other.arm and other.arm is not None:
        return ("arms", other.arm)
    for path in list(other.picks)[::-1]:
        if one.picks.get(path) != other.picks[path]:
            return ("parameters", path, "values", other.picks[path])
    return ("seeds", draft.seeds.index(other.seed))
