"""The plots that show the ranked trials themselves: what each has for its settings, and what was measured."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from assay.planning import Plan
from assay.report.figures import HEAD_CHARACTER, PLOT_DPI, literal, new_figure, save
from assay.report.omissions import Omissions
from assay.report.plots.axes import in_order, is_number
from assay.results import TrialOutcome, table
from assay.sweep import Plot
from assay.sweep.expansion import in_words
from assay.sweep.search import ARM
from assay.sweep.search.parameter import Parameter, part_of
from assay.text import plural
from assay.workload import JSON, at_path, canonical_json, load_attribute

FIGURE = (6.4, 4.2)
"""Inches, unless the drawing function sets others."""


class NotDrawn(Exception):
    """Why these trials give no picture."""


@dataclass(frozen=True)
class Setting:
    """A setting, and what it is in each trial."""

    name: str
    values: Sequence[JSON]
    bounds: tuple[float, float] | None = None
    """The ends of a parameter's range. Where an arm sets the path, its value may be outside, or no number."""
    is_log: bool = False
    is_name: bool = False
    """Its numbers have no size, as those of seeds."""
    order: Sequence[int] = ()
    """Each trial's place in the sweep; empty if they are in that order."""

    @cached_property
    def levels(self) -> list[JSON]:
        """Its values, each once: null and numbers by size, others in the order of the sweep."""
        order = self.order or range(len(self.values))
        values = [value for _, value in sorted(zip(order, self.values, strict=True), key=lambda pair: pair[0])]
        return in_order(list({canonical_json(value): value for value in values}.values()))

    @property
    def is_numeric(self) -> bool:
        return not self.is_name and all(is_number(value) for value in self.values)

    @property
    def names(self) -> list[str]:
        """The names of its levels."""
        return [in_words(level) for level in self.levels]

    @property
    def places(self) -> list[float]:
        """Each trial's place along an axis: the number, or else the place of its level."""
        return [float(value) for value in self.values] if self.is_numeric else self.level_places

    @property
    def ticks(self) -> list[float]:
        """Its numbers, unless they are draws from a range."""
        return sorted(set(self.places)) if self.bounds is None else []

    @property
    def partition(self) -> tuple[int, ...]:
        """Which trials have the same value: per trial, the first that has it."""
        first: dict[str, int] = {}
        return tuple(first.setdefault(canonical_json(value), number) for number, value in enumerate(self.values))

    @property
    def level_places(self) -> list[float]:
        place = {canonical_json(level): float(number) for number, level in enumerate(self.levels)}
        return [place[canonical_json(value)] for value in self.values]


@dataclass(frozen=True)
class RankedTrials:
    """The trials that may be compared, best first."""

    names: Sequence[str]
    order: Sequence[int]
    """The place of each in the sweep."""
    arms: Sequence[str]
    metrics: Mapping[str, Sequence[float]]
    """The plot's, which all of these trials have."""
    configs: Sequence[Mapping[str, JSON]]
    varied: Sequence[str]
    """The paths in which any of the sweep's trials differ."""
    parameters: Mapping[str, Parameter]
    seed_paths: Set[str]
    at: str = ""
    """The rung at which they are compared, if not at the last."""

    def setting(self, name: str) -> Setting:
        """A config path, the arm, or a part of a partition."""
        if name == ARM:
            return Setting(name, self.arms, order=self.order)
        path, number = name, None
        for whole, parameter in self.parameters.items():
            if name in (parts := parameter.parts_of(whole)):
                path, number = whole, parts.index(name)
        values = [at_path(config, path) for config in self.configs]
        if number is not None:
            return Setting(name, [part_of(value, number) for value in values], order=self.order)
        given = self.parameters.get(name)
        if given is None or given.min is None or given.max is None:
            return Setting(name, values, is_name=name in self.seed_paths, order=self.order)
        return Setting(name, values, (given.min, given.max), given.log)

    def settings(self, names: Sequence[str] = ()) -> list[Setting]:
        """The named settings, or all, that differ among these trials. A partition is its parts, which are numbers.
        Paths that arms change together are one: the arm, or else their values side by side."""
        every = [self.setting(part) for name in names or self._apart for part in self._parts_of(name)]
        return [setting for setting in [*every, *([] if names else self._together)] if len(setting.levels) > 1]

    def _parts_of(self, name: str) -> list[str]:
        return (self.parameters[name].parts_of(name) if name in self.parameters else []) or [name]

    @cached_property
    def _groups(self) -> list[list[str]]:
        """Paths of arms that tell the trials apart in the same way, together; each other path alone."""
        groups: dict[str | tuple[int, ...], list[str]] = {}
        for path in self.varied:
            same = path if path in self.parameters else self.setting(path).partition
            groups.setdefault(same, []).append(path)
        return list(groups.values())

    @property
    def _apart(self) -> list[str]:
        return [group[0] for group in self._groups if len(group) == 1]

    @property
    def _together(self) -> Iterator[Setting]:
        of_arms = self.setting(ARM)
        for group in self._groups:
            if len(group) > 1:
                members = [self.setting(path) for path in group]
                is_arm = members[0].partition == of_arms.partition
                texts = [", ".join(map(in_words, values)) for values in zip(*(m.values for m in members), strict=True)]
                yield of_arms if is_arm else Setting(", ".join(group), texts, order=self.order)


@dataclass(frozen=True)
class Picture:
    """The input of the drawing function of a kind of plot that shows trials."""

    plot: Plot
    trials: RankedTrials
    metrics: Sequence[str]
    """The metrics that the plot names, or the sweep's."""
    metric: str
    """The sweep's, by which trials are ranked."""
    mode: Literal["min", "max"]

    def settings(self, key: Literal["x", "y"]) -> list[Setting]:
        """The settings that the plot names under a key, or all, if they differ among these trials. At least one."""
        named = self.plot.names(key)
        settings = self.trials.settings(named)
        if not settings:
            raise NotDrawn(f"these trials do not differ in {' or '.join(named) or 'any setting'}")
        return settings

    def label(self, metric: str) -> str:
        """A metric's name, for the sweep's with which end is better."""
        better = "smaller" if self.mode == "min" else "larger"
        return f"{metric} ({better} is better)" if metric == self.metric else metric

    def colors(self, metric: str) -> str:
        """The colour map for a metric: dark is better in the sweep's, and small in others."""
        return "viridis_r" if metric == self.metric and self.mode == "max" else "viridis"

    def is_log(self, setting: Setting, key: Literal["x", "y"]) -> bool:
        """Whether a setting's axis is logarithmic: the plot or the parameter says so, and its numbers allow it."""
        is_asked = setting.is_log or key in self.plot.log
        return is_asked and setting.is_numeric and min(setting.places) > 0


def draw_trials(
    plan: Plan, plot: Plot, trials: Sequence[TrialOutcome], file: Path, omissions: Omissions
) -> Path | None:
    """None, with a note, if the trials give no picture; without a note, if none has a result yet."""
    metrics = plot.metrics or (plan.sweep.objective.name,)
    if not any(trial.metrics for trial in trials):
        return None
    shown = ranked_trials(plan, trials, metrics)
    title = plot.facts.title.format(metrics=", ".join(metrics), x=_listed(plot, "x"), y=_listed(plot, "y"))
    figure = new_figure(*FIGURE, PLOT_DPI, layout="constrained")
    try:
        if not shown.names:
            raise NotDrawn(f"no ranked trial has {' and '.join(metrics)}")
        load_attribute(plot.facts.draw)(
            figure, Picture(plot, shown, metrics, plan.sweep.objective.name, plan.sweep.objective.mode)
        )
    except NotDrawn as reason:
        omissions.note(f"not plotted: {title}: {reason}")
        return None
    head = f"{plan.sweep.name}: {title} ({plural(len(shown.names), 'trial')}{shown.at})"
    lines = textwrap.wrap(head, int(figure.get_figwidth() / HEAD_CHARACTER))
    figure.suptitle(literal("\n".join(lines)), fontweight="bold", x=0.01, ha="left")
    return save(figure, file)


def _listed(plot: Plot, key: Literal["x", "y"]) -> str:
    return ", ".join(plot.names(key)) or "setting"


def ranked_trials(plan: Plan, trials: Sequence[TrialOutcome], metrics: Sequence[str]) -> RankedTrials:
    """The ranked trials with these metrics; of a race, all at the rung that most of them reached, since most do not
    reach the last."""
    amount, compared = _at_one_rung(trials)
    ranking = table(plan, compared)
    rows = [row for row in ranking.rows if row.rank is not None and set(metrics) <= set(row.metrics)]
    planned = {trial.planned.name: trial.planned for trial in compared}
    is_last = not compared or amount == max(rung.amount or 0 for trial in trials for rung in trial.planned.rungs)
    return RankedTrials(
        names=[row.trial for row in rows],
        order=[planned[row.trial].trial.index for row in rows],
        arms=[row.arm or row.arm_name for row in rows],
        metrics={name: [row.metrics[name] for row in rows] for name in metrics},
        configs=[planned[row.trial].trial.config for row in rows],
        varied=list(dict.fromkeys(path for row in rows for path in row.varied)),
        parameters=plan.sweep.parameters,
        seed_paths={one.workload.seed_path for one in plan.trials},
        at="" if amount is None or is_last else f" at {plan.sweep.scheduler.budget} {amount:,}",
    )


def _at_one_rung(trials: Sequence[TrialOutcome]) -> tuple[int | None, list[TrialOutcome]]:
    """The amount of the rung that most trials reached, the highest of several, and those trials as they were then."""
    reached = Counter(r.amount for trial in trials for r in trial.planned.rungs if r.leaf.key in trial.results)
    if not reached:
        return None, []
    amount = max(reached, key=lambda amount: (reached[amount], amount or 0))
    return amount, [then for trial in trials if (then := _until(trial, amount)) is not None]


def _until(trial: TrialOutcome, amount: int | None) -> TrialOutcome | None:
    """A trial as it was at a rung; None if it has no result there."""
    rungs = [rung for rung in trial.planned.rungs if (rung.amount or 0) <= (amount or 0)]
    if not rungs or rungs[-1].amount != amount or rungs[-1].leaf.key not in trial.results:
        return None
    keys = {stage.key for rung in rungs for stage in rung.stages}
    results: Any = {key: result for key, result in trial.results.items() if key in keys}
    is_later = trial.error is not None and trial.error.key not in keys
    return replace(trial, results=results, error=None if is_later else trial.error)
