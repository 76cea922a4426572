"""A sweep's trials as rungs of stages, with the decisions of its searcher and scheduler in earlier runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from assay.errors import ReferenceProblem, SpecError, UserError, passing_warnings
from assay.look import a_look
from assay.planning.comparability import refuse_shared_keys, refuse_unfair_races
from assay.planning.references import References
from assay.planning.twins import remarks_on_twins
from assay.shown import Shown
from assay.store import Computed, Decision, Decisions, Store, Suggestions
from assay.sweep import Sweep, Trial
from assay.sweep.arms import Base
from assay.sweep.expansion import in_trials
from assay.sweep.search import Settings
from assay.workload import JSON, Promise, ReportHints, Stage, Workload
from assay.workload.contract import stage_graph
from assay.workload.references import references_found_by

T = TypeVar("T")
ENDS: frozenset[Decision | None] = frozenset({"stop", "reached", "won", "tied"})
"""Decisions after which a trial climbs no further."""


@dataclass(frozen=True)
class Rung:
    """The stages that take a trial to one amount of the scheduler's budget, inputs first."""

    amount: int | None
    """The rung's budget; None in a sweep without rungs, whose trials have a single Rung."""
    stages: tuple[Stage, ...]

    @property
    def leaf(self) -> Stage:
        """The last stage, whose metrics are the trial's at this rung."""
        return self.stages[-1]


@dataclass(frozen=True)
class PlannedTrial:
    """A trial and the rungs it may climb, lowest first."""

    trial: Trial
    rungs: tuple[Rung, ...]
    warned: tuple[str, ...] = ()
    """Warnings of its workload while resolving the config and defining the stages."""

    @property
    def name(self) -> str:
        return self.trial.name

    @property
    def workload(self) -> Workload:
        return self.trial.base.workload

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of all rungs, each once, inputs first."""
        return tuple({stage.key: stage for rung in self.rungs for stage in rung.stages}.values())

    @property
    def leaf(self) -> Stage:
        """The leaf of the last rung."""
        return self.rungs[-1].leaf

    def reached(self, results: Mapping[str, T]) -> tuple[Rung, T] | None:
        """The highest rung whose leaf has a result, and that result; None if there is none."""
        return next(((rung, results[rung.leaf.key]) for rung in self.rungs[::-1] if rung.leaf.key in results), None)

    def result(self, results: Mapping[str, T]) -> T | None:
        """The trial's result at the highest rung it reached."""
        reached = self.reached(results)
        return None if reached is None else reached[1]

    def decision(self, rung: Rung, decided: Mapping[str, Decision]) -> Decision | None:
        """The decision at a rung; None if it is open. The sweep's rungs may have changed since decisions were made.

        A trial with a decision at a higher rung went on from all rungs below, also from new ones. A trial at the last
        rung cannot be stopped, and one that had finished there is undecided once a rung is added above.
        """
        here = decided.get(rung.leaf.key)
        above = self.rungs[self.rungs.index(rung) + 1 :]
        if any(higher.leaf.key in decided for higher in above):
            return "go on"
        if here == "finished" or (here == "stop" and not above):
            return None if above else "go on"
        return here

    def ended(self, decided: Mapping[str, Decision]) -> Rung | None:
        """The rung where the scheduler ended the trial, if it did."""
        return next((rung for rung in self.rungs if self.decision(rung, decided) in ENDS), None)

    def climbs(self, decided: Mapping[str, Decision]) -> tuple[Rung, ...]:
        """The rungs that the trial climbs, by the decisions so far."""
        ended = self.ended(decided)
        return self.rungs if ended is None else self.rungs[: self.rungs.index(ended) + 1]

    def climbed(self, decided: Mapping[str, Decision]) -> tuple[Stage, ...]:
        """The stages of the rungs it climbs: results of higher rungs, stored by another sweep, do not count."""
        return tuple({stage.key: stage for rung in self.climbs(decided) for stage in rung.stages}.values())


@dataclass(frozen=True)
class Warned:
    """A warning to the user before a run, and the trials that it is about; none if the message names them."""

    message: str
    trials: tuple[str, ...]


@dataclass(frozen=True)
class Plan(Shown):
    """A sweep's trials and every distinct stage among them."""

    sweep: Sweep
    trials: tuple[PlannedTrial, ...]
    decided: Mapping[str, Decision] = field(default_factory=dict)
    """Key of a rung's leaf → the scheduler's decision there in an earlier run."""
    waiting: int = 0
    """How many trials are left out by limits.trials."""
    suggested: tuple[Mapping[str, JSON], ...] = ()
    """The searcher's suggestions in earlier runs, at most searcher.num_trials: its trials are made from these."""
    warned_by_checks: tuple[Warned, ...] = ()
    """Warnings of the stages' checks, added by `assay.planning.checked`."""

    @cached_property
    def warned(self) -> tuple[Warned, ...]:
        """Warnings of the trials, of their stages' checks, and about trials that are one computation, once each."""
        named: dict[str, list[str]] = {}
        for trial in self.trials:
            for message in trial.warned:
                named.setdefault(message, []).append(trial.name)
        of_trials = tuple(Warned(message, tuple(names)) for message, names in named.items())
        twins = tuple(Warned(message, ()) for message in remarks_on_twins(self.trials))
        return of_trials + twins + tuple(warned for warned in self.warned_by_checks if warned.message not in named)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The messages of `warned`; a warning that is not about all trials names them."""
        return tuple(
            in_trials(warned.message, warned.trials if len(warned.trials) < len(self.trials) else ())
            for warned in self.warned
        )

    @cached_property
    def hints(self) -> ReportHints:
        """The report hints of its workloads merged, the sweep's own first, without sample grids.

        Costs are in the unit of the sweep's own workload, like its limit.
        """
        workloads = [self.sweep.find_workload(), *(trial.workload for trial in self.trials)]
        hints = list({id(workload): workload.report for workload in workloads}.values())
        return ReportHints(
            metrics=tuple(dict.fromkeys(name for each in hints for name in each.metrics)),
            count=next((each.count for each in hints if each.count), ""),
            curves=tuple(dict.fromkeys(name for each in hints for name in each.curves)),
            item_unit=hints[0].item_unit,
            short_units={unit: short for each in hints[::-1] for unit, short in each.short_units.items()},
            days=hints[0].days,
            comparable=tuple(dict.fromkeys(name for each in hints for name in each.comparable)),
            pictures={name: shows for each in hints[::-1] for name, shows in each.pictures.items()},
            side_by_side=frozenset(name for each in hints for name in each.side_by_side),
        )

    def hints_of(self, key: str) -> ReportHints:
        """The report hints of a stage's workload."""
        return self.trials_of[key][0].workload.report

    @cached_property
    def stages(self) -> dict[str, Stage]:
        """Key → stage, inputs first."""
        return {stage.key: stage for trial in self.trials for stage in trial.stages}

    @cached_property
    def begins_at(self) -> dict[str, int]:
        """Key → the next smaller budget of the same lineage in the plan, from which a stage resumes; 0 for none."""
        amounts: dict[str, list[int]] = {}
        for stage in self.stages.values():
            amounts.setdefault(stage.lineage, []).append(stage.amount)
        return {
            key: max((amount for amount in amounts[stage.lineage] if amount < stage.amount), default=0)
            for key, stage in self.stages.items()
        }

    @cached_property
    def needed(self) -> dict[str, Stage]:
        """The stages of rungs that some trial climbs, by the decisions so far: a finished study has stored them all."""
        climbed = (rung for trial in self.trials for rung in trial.climbs(self.decided))
        return {stage.key: stage for rung in climbed for stage in rung.stages}

    def climbs_for_sure(self, trial: PlannedTrial) -> tuple[Rung, ...]:
        """The rungs of a trial up to the first without a decision."""
        climbs = trial.climbs(self.decided)
        if not self.sweep.scheduler.may_end_trials:
            return climbs
        decided = itertools.takewhile(lambda rung: trial.decision(rung, self.decided) is not None, climbs)
        return climbs[: len(list(decided)) + 1]

    @cached_property
    def trials_of(self) -> dict[str, tuple[PlannedTrial, ...]]:
        """Key → the trials that need that stage."""
        users: dict[str, list[PlannedTrial]] = {}
        for trial in self.trials:
            for stage in trial.stages:
                users.setdefault(stage.key, []).append(trial)
        return {key: tuple(trials) for key, trials in users.items()}


@a_look()
def make_plan(sweep: Sweep, store: Store | None = None, most: int | None = None) -> Plan:
    """The plan of a sweep, or of its first `most` trials; given a store, with the suggestions and decisions of earlier
    runs.

    Raises UserError for a race of trials measured under different conditions.
    """
    with references_found_by(References(sweep, store, make_plan)):
        return _made_plan(sweep, store, most)


def references_of(sweep: Sweep) -> Mapping[str, str]:
    """The references to other sweeps in its configs → the keys of the stages that they stand for."""
    references = References(sweep, None, make_plan, looks_up_keys=False)
    with references_found_by(references):
        _made_plan(sweep, None, None)
    return references.of_sweeps


def with_random_suggestions(plan: Plan, store: Store | None = None) -> Plan:
    """The plan of a searcher that learns as if it had suggested all of its points: random ones stand for those to come,
    which tells what they will cost. Any other plan as it is."""
    sweep = plan.sweep
    missing = (sweep.searcher.num_trials or 0) - len(plan.suggested)
    if not sweep.searcher.facts.learns or missing <= 0:
        return plan
    points = (p for p in sweep.space().draws(sweep.searcher.seed, sweep.settings()) if p not in plan.suggested)
    suggested = [*plan.suggested, *itertools.islice(points, missing)]
    with references_found_by(References(sweep, store, make_plan)):
        return _made_plan(sweep, store, None, suggested)


def _made_plan(
    sweep: Sweep, store: Store | None, most: int | None, suggested: Sequence[Mapping[str, JSON]] | None = None
) -> Plan:
    if suggested is None:
        suggested = _suggested(sweep, store)
    trials = sweep.trials(suggested, most)
    limit = sweep.limits.trials
    chosen = trials if limit is None else trials[:limit]
    planned = tuple(_planned(sweep, trial) for trial in chosen)
    refuse_shared_keys(planned)
    _refuse_groups(sweep, planned, has_all=limit is None and most is None and not sweep.searcher.facts.learns)
    refuse_unfair_races(sweep, planned)
    decided = decisions_of(sweep, store).all() if store is not None and sweep.scheduler.rungs else {}
    return Plan(sweep, planned, decided, waiting=len(trials) - len(chosen), suggested=tuple(suggested))


def remembered(plan: Plan, store: Store) -> Plan:
    """The plan with the suggestions and decisions of earlier runs of its study."""
    has_memory = plan.sweep.scheduler.rungs or plan.sweep.searcher.facts.learns
    return make_plan(plan.sweep, store) if has_memory else plan


def _planned(sweep: Sweep, trial: Trial) -> PlannedTrial:
    warned = list(trial.warned)
    with passing_warnings(warned.append):
        if sweep.scheduler.rungs:
            configs = list(_configs(sweep, trial))
            trial = replace(trial, config=configs[-1])
            amounts: Sequence[int | None] = sweep.scheduler.rungs
        else:
            configs, amounts = [trial.config], [None]
        rungs = [Rung(a, _stages(sweep, trial, config)) for a, config in zip(amounts, configs, strict=True)]
    return PlannedTrial(trial, tuple(rungs), tuple(dict.fromkeys(warned)))


def _refuse_groups(sweep: Sweep, trials: Sequence[PlannedTrial], has_all: bool) -> None:
    """Raise SpecError for resource groups that are named but not defined, or defined but not named."""
    stages = {stage.key: stage for trial in trials for stage in trial.stages}.values()
    problems = []
    for stage in stages:
        try:
            sweep.resources.group_of(stage)
        except UserError as error:
            problems.append(sweep.problem(("resources", stage.group), str(error)))
    unused = sweep.resources.unused(stages) if has_all else {}
    problems += [sweep.problem(("resources", name), message) for name, message in unused.items()]
    if problems:
        raise SpecError(problems)


def _configs(sweep: Sweep, trial: Trial) -> Iterator[Mapping[str, JSON]]:
    assert sweep.scheduler.budget is not None
    for amount in sweep.scheduler.rungs:
        yield trial.base.resolve({**trial.overrides, sweep.scheduler.budget: amount})


def _stages(sweep: Sweep, trial: Trial, config: Mapping[str, JSON]) -> tuple[Stage, ...]:
    workload = trial.base.workload
    try:
        *others, leaf = stage_graph(workload, config)
    except ReferenceProblem as error:
        raise UserError(f"{sweep.place_of(str(error), trial)}{error}") from None
    return (*others, replace(leaf, promise=Promise(workload.name, sweep.objective.name)))


# Records of earlier runs. They stay valid if arms are added or removed, or budgets grow.


def decisions_of(sweep: Sweep, store: Store) -> Decisions:
    """The scheduler's decisions in this study, rung by rung. They are kept if rungs change, but no other setting."""
    return store.decisions({**_study(sweep), "scheduler": sweep.scheduler.model_dump(mode="json", exclude={"rungs"})})


def _suggested(sweep: Sweep, store: Store | None) -> Sequence[Mapping[str, JSON]]:
    """The first num_trials suggestions. Further ones, of an earlier run with a larger num_trials, stay stored."""
    if store is None or not sweep.searcher.facts.learns:
        return []
    return suggestions_of(sweep, store).all()[: sweep.searcher.num_trials]


def suggestions_of(sweep: Sweep, store: Store) -> Suggestions:
    """The searcher's suggestions in this study. A change of the space, objectives, seed or config starts anew.

    More trials, other first values, other arms and larger budgets do not: new first values are tried next, and all
    suggestions are tried with new arms and budgets.
    """
    with passing_warnings(None):  # these configs belong to no trial
        config = _config_of(sweep)
    space: Sequence[Any] = [
        [path, p.model_dump(mode="json", exclude={"first"})] for path, p in sweep.parameters.items()
    ]
    searcher = sweep.searcher.model_dump(mode="json", exclude={"num_trials", "batch"})
    study = {**_study(sweep), "space": space, "searcher": searcher, "config": config}
    if len(sweep.objectives) > 1:
        study["objectives"] = [[objective.name, objective.mode] for objective in sweep.objectives]
    return store.suggestions(study, sweep.searcher.batch)


def _config_of(sweep: Sweep) -> dict[str, JSON]:
    """Path → value of the settings that its trials share in every arm and at every budget.

    They may be invalid until an arm completes them, so the workload does not resolve them.
    """
    base = sweep.design.base
    settings = Settings(base.preset, base.config)
    varied = [*sweep.parameters, *_budgets(sweep, base, settings), base.workload.seed_path]
    paths = sorted({*base.paths, *base.config})
    return {p: settings.at(p, {}) for p in paths if not any(f"{p}.".startswith(f"{path}.") for path in varied)}


def _budgets(sweep: Sweep, base: Base, settings: Settings) -> set[str]:
    """Config paths of stages' budgets at either end of the space; those of single arms do not count."""
    paths = set() if sweep.scheduler.budget is None else {sweep.scheduler.budget}
    first, *_, last = sweep.space().corners(settings)
    for point in (first, last):
        try:
            stages = stage_graph(base.workload, base.resolve(point))
        except UserError:
            continue
        paths |= {stage.budget.path for stage in stages if stage.budget is not None}
    return paths


def computed_of(sweep: Sweep, store: Store) -> Computed:
    """The keys that runs of this study computed instead of finding them stored, whatever its metric."""
    return store.computed({"sweep": sweep.name, "profile": sweep.profile, "workload": sweep.workload})


def studies_of(sweep: Sweep, store: Store) -> set[str]:
    """The folders in `studies/` that runs of this sweep write to."""
    folders = [computed_of(sweep, store).records.path]
    if sweep.scheduler.rungs:
        folders.append(decisions_of(sweep, store).records.path)
    if sweep.searcher.facts.learns:
        folders.append(suggestions_of(sweep, store).records.path)
    return {folder.split("/")[1] for folder in folders}


def _study(sweep: Sweep) -> dict[str, JSON]:
    return {
        "sweep": sweep.name,
        "profile": sweep.profile,
        "workload": sweep.workload,
        "base": sweep.base,
        "metric": sweep.objective.name,
        "mode": sweep.objective.mode,
    }
