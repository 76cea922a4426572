"""Resolve every trial, and trace each refusal of the workload to the line of the setting that caused it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from assay.errors import ConfigError, ConfigProblem, SpecProblem, UserError, did_you_mean
from assay.sweep.arms import Base
from assay.sweep.design import Choice, Design
from assay.sweep.draft import Draft
from assay.sweep.expansion import Names, in_trials
from assay.sweep.interval_checks import interval_problems
from assay.sweep.lines import Document, Path
from assay.sweep.objectives import costs_of
from assay.sweep.plot_kinds import METRICS, SETTINGS
from assay.sweep.plots import Plot
from assay.sweep.search import ARM
from assay.text import with_article
from assay.workload import JSON, Stage, at_path, canonical_json, section_of
from assay.workload.contract import stage_graph

Config = Mapping[str, JSON]
MOST_ASKED = 100
"""Most trials whose stages are listed for their names."""
MOST_CHECKED = 1_000
"""Most trials to resolve: of more, an evenly spaced sample and the corners of the space."""


class TrialChecks:
    """`doubtful` places have known problems: they are left out of the configs, so that the rest can be checked."""

    def __init__(self, document: Document, draft: Draft, design: Design, doubtful: Set[Path]) -> None:
        self.document, self.draft, self.design, self.doubtful = document, draft, design, doubtful
        self.costs = costs_of(design.base.workload.report)
        self.config = {path: value for path, value in draft.config.items() if ("config", path) not in doubtful}
        self.in_config: dict[str, Path] = {path: ("config", path) for path in self.config}
        self.left_out: dict[str, Path] = {}
        """Paths of `config` whose value is wrong by itself."""
        self.written = {
            path: {canonical_json(value): place for place, value in _written_values(path, draft)}
            for path in draft.parameters
        }

    def problems(self) -> Iterator[SpecProblem]:
        yield from self.config_alone()
        inherited = {problem for base in self.design.bases for problem in self.resolve(base, {})[1]}
        refusals: dict[SpecProblem, list[str]] = {}
        resolved: list[tuple[Choice, str, Config, bool]] = []
        names = Names(self.design)
        for choice in self.choices():
            name = names.name(choice)
            overrides, places, whole = self.overrides(choice)
            config, refused = self.resolve(choice.arm.base, overrides)
            fallback: Path = ("arms", choice.arm.members[-1]) if choice.arm.members else ("base",)
            for problem in refused:
                if _written(problem.path, self.left_out) and not _written(problem.path, places):
                    continue  # about the preset's value, since the user's was left out
                new = problem not in inherited
                blamed = self.blame(problem, {**self.in_config, **(places if new else {})}, fallback if new else None)
                refusals.setdefault(blamed, []).append(name)
            if config is not None:
                resolved.append((choice, name, config, whole))
        for blamed, named in self.once_a_range(refusals).items():
            yield _in_trials(blamed, named) if resolved and not _is_own(blamed) else blamed
        yield from self.twins(resolved)
        reported = [(name, list(choice.arm.base.workload.metrics(config))) for choice, name, config, _ in resolved]
        configs = [(choice.arm.base, config) for choice, _, config, _ in resolved]
        yield from self.objectives(configs, reported)
        yield from self.plots(configs, reported)
        yield from self.rungs(resolved)
        yield from self.intervals(resolved)

    def choices(self) -> Iterator[Choice]:
        """All trials, or a sample if there are many, or if they are not known yet."""
        total = self.design.count()
        every = -(-total // MOST_CHECKED)
        known = self.design.choices()
        yield from known if every <= 1 else (choice for i, choice in enumerate(known) if i % every == 0)
        if every > 1 or not self.design.searcher.facts.is_exhaustive:
            yield from self.design.corners()

    def config_alone(self) -> Iterator[SpecProblem]:
        """Values of `config` that are wrong by themselves. They are left out from here on.

        Contradictions within the config are left to the trials, since arms may resolve them.
        """
        for problem in {problem: None for base in self.design.bases for problem in self.resolve(base, {})[1]}:
            written = _written(problem.path, self.in_config)
            if written is not None:
                yield self.blame(problem, self.in_config, None)
                self.left_out[written] = self.in_config[written]
                self.config.pop(written, None)

    def once_a_range(self, refusals: Mapping[SpecProblem, list[str]]) -> dict[SpecProblem, list[str]]:
        """Keep one refusal per range or partition: those of its bounds, or else of its first refused value."""
        kept = dict(refusals)
        for path in (path for path, parameter in self.draft.parameters.items() if parameter.values is None):
            place = self.document.problem(("parameters", path), "").path
            inside = [p for p in refusals if p.path == place or p.path.startswith((f"{place}.", f"{place}["))]
            bounds = [p for p in inside if p.path in (f"{place}.min", f"{place}.max")]
            for problem in inside:
                if problem not in (bounds or inside[:1]):
                    del kept[problem]
        return kept

    def resolve(self, base: Base, overrides: Config) -> tuple[Config | None, tuple[ConfigProblem, ...]]:
        """The config with the overrides, or the workload's problems with it. Paths that the base lacks are left out."""
        common = {path: value for path, value in self.config.items() if path in base.config}
        try:
            return base.workload.resolve(base.name, {**common, **overrides}), ()
        except ConfigError as error:
            return None, error.problems

    def overrides(self, choice: Choice) -> tuple[dict[str, JSON], dict[str, Path], bool]:
        """The trial's overrides, the place of each, and whether nothing was left out."""
        places: dict[str, Path] = {
            path: self.written[path].get(canonical_json(value), ("parameters", path))
            for path, value in choice.values.items()
        }
        places |= {path: ("arms", member, path) for path, member in choice.arm.origins.items()}
        places[choice.arm.base.workload.seed_path] = ("seeds", self.draft.seeds.index(choice.seed))
        good = {path: place for path, place in places.items() if not self.is_doubtful(place)}
        values = choice.overrides
        whole = len(good) == len(places) and len(self.config) == len(self.draft.config)
        return {path: values[path] for path in good}, good, whole

    def is_doubtful(self, place: Path) -> bool:
        return any(place[:length] in self.doubtful for length in range(1, len(place) + 1))

    def twins(self, resolved: list[tuple[Choice, str, Config, bool]]) -> Iterator[SpecProblem]:
        """Trials that resolve to the same config, once per line. Only draws of one arm and seed may do so."""
        first_with: dict[tuple[int, str], tuple[Choice, str]] = {}
        blamed: set[Path] = set()
        for choice, name, config, whole in resolved:
            if not whole:  # what was left out may have been the difference
                continue
            of = id(choice.arm.base.workload), canonical_json(config)
            twin, twin_name = first_with.setdefault(of, (choice, name))
            is_same = twin is choice or _spelled(twin) == _spelled(choice)
            is_drawn = not self.design.searcher.facts.is_exhaustive
            if is_same or (is_drawn and (twin.arm, twin.seed) == (choice.arm, choice.seed)):
                continue
            place = self.difference(twin, choice)
            if place in blamed:
                continue
            blamed.add(place)
            line = self.document.origin(self.difference(choice, twin)).line
            where = f" (line {line})" if line else ""
            message = f"trial {name!r} resolves to the same config as {twin_name!r}{where}; every trial must differ"
            yield self.document.problem(place, message)

    def difference(self, first: Choice, other: Choice) -> Path:
        """The place at which `other` differs from `first`: its arm, else its last differing value, else its seed."""
        if first.arm != other.arm and other.arm.name is not None:
            return ("arms", other.arm.members[-1]) if other.arm.members else ("arms",)
        for path, value in list(other.values.items())[::-1]:
            spelled = canonical_json(value)
            if path not in first.values or canonical_json(first.values[path]) != spelled:
                return self.written[path].get(spelled, ("parameters", path))
        return ("seeds", self.draft.seeds.index(other.seed))

    def objectives(
        self, resolved: Sequence[tuple[Base, Config]], reported: list[tuple[str, list[str]]]
    ) -> Iterator[SpecProblem]:
        """Metrics that some trial does not report, and a cost as the first objective, which ranks trials."""
        written = self.document.data.get("metric")
        places: dict[str, Path] = {name: ("metric", name) for name in written} if isinstance(written, dict) else {}
        if isinstance(written, str):
            places = {written: ("metric",)}
        first = next(iter(places), "")
        for name, place in places.items():
            without = [(trial, metrics) for trial, metrics in reported if name not in metrics]
            if not without or not name.strip() or (name != first and self.is_cost(name, resolved)):
                continue
            trial, metrics = without[0]
            if self.is_cost(name, resolved):
                example = f"{{{metrics[0]}: …, {name}: min}}" if metrics else "{loss: min, …}"
                message = f"{name} is a cost; allowed: a metric first, which ranks trials, then costs, as in {example}"
            else:
                is_unknown = len(without) == len(reported)
                told = f"unknown metric {name!r}" if is_unknown else f"trial {trial!r} does not report {name!r}"
                message = told + did_you_mean(name, [*metrics, *(self.costs if name != first else ())])
            yield self.document.problem(place, message)

    def plots(
        self, resolved: Sequence[tuple[Base, Config]], reported: list[tuple[str, list[str]]]
    ) -> Iterator[SpecProblem]:
        """Names in plots that no trial has: settings, metrics, and whatever else an axis may show."""
        configs, paths = [config for _, config in resolved], {path for base, _ in resolved for path in base.paths}
        metrics = list(dict.fromkeys(name for _, names in reported for name in names))
        known = ", ".join(metrics) or "none"
        for number, plot in self.draft.plots.items() if configs else ():
            if plot.facts.x == "objective":
                yield from self.no_objectives(plot, ("report", "plots", number))
            for at, takes, name in plot.entries:
                if takes == "objective":
                    continue
                if takes in METRICS:
                    message = self.no_metric(name, metrics, known)
                elif takes in SETTINGS:
                    message = self.no_setting(name, paths, configs)
                else:
                    message = self.no_axis(plot, metrics, known, paths, resolved)
                if message:
                    yield self.document.problem(("report", "plots", number, *at), message)

    def no_metric(self, name: str, metrics: Sequence[str], known: str) -> str:
        """What is wrong with the name of a metric, as below with those of settings and of what an axis shows."""
        if name in metrics:
            return ""
        return f"no trial reports {name!r}{did_you_mean(name, metrics, f'; its metrics are {known}')}"

    def no_objectives(self, plot: Plot, place: Path) -> Iterator[SpecProblem]:
        """What is wrong with the names in a plot of objectives, and a sweep that has only one."""
        written = self.document.data.get("metric")
        names = list(written) if isinstance(written, dict) else []
        if len(names) < 2:
            message = f"{with_article(plot.kind)} plot is of several objectives, and the sweep has one; write metric: "
            yield self.document.problem((*place, "kind"), f"{message}{{name: min, …: max}}")
            return
        for at, _, name in plot.entries:
            if name not in names:
                message = f"got {name!r}, which is no objective of the sweep{did_you_mean(name, names)}"
                yield self.document.problem((*place, *at), message)
        if plot.x is not None and plot.x == (plot.y or names[0]):
            yield self.document.problem((*place, "x"), f"got {plot.x!r}, which is y; allowed: another objective")

    def no_setting(self, name: str, paths: Set[str], configs: Sequence[Config]) -> str:
        parts = [part for path, parameter in self.draft.parameters.items() for part in parameter.parts_of(path)]
        if name in (ARM, *paths, *parts) or any(section_of(config, name) is not None for config in configs):
            return ""
        hint = did_you_mean(name, [ARM, *paths, *parts], f"; allowed: {ARM}, or a config path")
        return f"no trial has {name!r}{hint}"

    def no_axis(
        self,
        plot: Plot,
        metrics: Sequence[str],
        known: str,
        paths: Set[str],
        resolved: Sequence[tuple[Base, Config]],
    ) -> str:
        of_x = plot.of_x
        needs_numbers = plot.facts.x == "numbers" or of_x.body is not None
        if needs_numbers and self.has_names(of_x.name, [config for _, config in resolved]):
            return f"got {plot.along!r}, which has values that are not numbers; a {plot.kind} plot takes only numbers"
        if of_x.name in paths or self.is_axis(of_x.name, metrics, resolved):
            return ""
        costs = " and ".join(self.costs)
        choices = f"{ARM}, a config path, a metric ({known}), or {costs}, also as train.seconds"
        hint = did_you_mean(of_x.name, [ARM, *self.costs, *metrics, *paths], f"; allowed: {choices}")
        return f"no trial has {of_x.name!r}{hint}"

    def is_axis(self, x: str, metrics: Sequence[str], resolved: Sequence[tuple[Base, Config]]) -> bool:
        """Whether x is valid, though no config path of a base."""
        if x.rpartition(".")[2] in self.costs and x not in metrics:
            return self.is_cost(x, resolved)
        return x == ARM or x in metrics or any(section_of(config, x) is not None for _, config in resolved)

    def is_cost(self, name: str, resolved: Sequence[tuple[Base, Config]]) -> bool:
        """Whether it is a cost of all stages of a trial, or of those of one name."""
        stage, _, last = name.rpartition(".")
        if last not in self.costs or not stage:
            return last in self.costs
        names = {s.name for base, config in resolved[:MOST_ASKED] for s in self.stages(base, config) or []}
        return not names or stage in names

    def has_names(self, x: str, configs: Sequence[Config]) -> bool:
        """Whether x is not a number in some trial."""
        values = [at_path(config, x) for config in configs if section_of(config, x) is not None]
        return x == ARM or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)

    def stages(self, base: Base, config: Config) -> Sequence[Stage] | None:
        """A trial's stages; None if the workload needs a missing file to list them, which planning reports."""
        try:
            return stage_graph(base.workload, config)
        except UserError:
            return None

    def rungs(self, resolved: list[tuple[Choice, str, Config, bool]]) -> Iterator[SpecProblem]:
        """A budget that no stage has, and rungs that are invalid values of it, by the first trial of every arm."""
        scheduler = self.draft.scheduler
        if scheduler is None or scheduler.budget is None:
            return
        first_of = {choice.arm.name: (choice, name, config) for choice, name, config, _ in resolved[::-1]}
        refused: dict[SpecProblem, list[str]] = {}
        for choice, name, config in first_of.values():
            stages = self.stages(choice.arm.base, config)
            budgets = [stage.budget.path for stage in stages or [] if stage.budget is not None]
            if stages is not None and scheduler.budget not in budgets:
                hint = did_you_mean(scheduler.budget, budgets)
                message = f"got {scheduler.budget!r}, which no stage has as its budget{hint}"
                refused.setdefault(self.document.problem(("scheduler", "budget"), message), []).append(name)
                continue
            overrides = self.overrides(choice)[0]
            for i, amount in enumerate(scheduler.rungs):
                for fault in self.resolve(choice.arm.base, {**overrides, scheduler.budget: amount})[1]:
                    message = fault.message if fault.path == scheduler.budget else f"{fault.path}: {fault.message}"
                    problem = self.document.problem(("scheduler", "rungs", i), message)
                    refused.setdefault(problem, []).append(name)
        for problem, names in refused.items():
            yield _in_trials(problem, names) if len(names) < len(first_of) else problem

    def intervals(self, resolved: list[tuple[Choice, str, Config, bool]]) -> Iterator[SpecProblem]:
        firsts = {choice.arm.name: (name, choice.arm.base, config) for choice, name, config, _ in resolved[::-1]}
        graphs = {name: self.stages(base, config) for name, base, config in firsts.values()}
        faults = interval_problems(self.draft, graphs, self.document.data.get("metric"))
        yield from (self.document.problem(path, message) for path, message in faults)

    def blame(self, problem: ConfigProblem, places: Mapping[str, Path], fallback: Path | None) -> SpecProblem:
        """The problem at the line of the setting that it is about. Later places win, such as an arm's over config."""
        written = _written(problem.path, places)
        if written is not None:
            rest = problem.path[len(written) :].split(".")[1:]
            inner = tuple(int(part) if part.isdecimal() else part for part in rest)
            return self.document.problem(places[written] + inner, problem.message)
        ranked = [(path, place) for path, place in list(places.items())[::-1] if place[0] != "seeds"]
        named = [place for path, place in ranked if any(f"{about}.".startswith(f"{path}.") for about in problem.about)]
        around = [place for path, place in ranked if path.startswith(f"{problem.path}.")]
        best = next(iter([*named, *around]), fallback or ("base",))
        # At the line of another path, the message must name the refused one.
        is_named = not problem.path or best in around
        return self.document.problem(best, problem.message if is_named else f"{problem.path}: {problem.message}")


def _written(path: str, places: Mapping[str, Path]) -> str | None:
    """The longest of the user's paths that contains a problem's path."""
    covering = [written for written in places if path == written or path.startswith(f"{written}.")]
    return max(covering, key=len, default=None)


def _is_own(problem: SpecProblem) -> bool:
    """Whether the place already tells which trials are affected."""
    return problem.path.startswith(("arms.", "parameters.", "seeds"))


def _in_trials(problem: SpecProblem, names: list[str]) -> SpecProblem:
    return SpecProblem(problem.file, problem.line, problem.path, in_trials(problem.message, names))


def _spelled(choice: Choice) -> str:
    return canonical_json([choice.arm.name, choice.values, choice.seed])


def _written_values(path: str, draft: Draft) -> Iterator[tuple[Path, JSON]]:
    """The values of a parameter in the file, in reverse, so that the first of equal ones wins in a dict."""
    parameter = draft.parameters[path]
    for i, value in list(enumerate(parameter.values or ()))[::-1]:
        yield ("parameters", path, "values", i), value
    for i, value in enumerate(parameter.first):
        yield ("parameters", path, "first", i), value
    for key in ("min", "max"):
        bound = getattr(parameter, key)
        if bound is not None:
            yield ("parameters", path, key), round(bound) if parameter.int else bound
