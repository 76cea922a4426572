"""The outcome of a study, after a run or as read from the store."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assay.errors import StageFailed
from assay.planning import Plan, PlannedTrial
from assay.results import frames, log_rows
from assay.shown import Shown
from assay.store import Store, StoredResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrialOutcome:
    """A trial and its stored results."""

    planned: PlannedTrial
    results: Mapping[str, StoredResult]
    """By stage key, for the rungs that it climbs."""
    computed: frozenset[str] = frozenset()
    """Keys of its stages that this run computed, for this or another trial."""
    error: StageFailed | None = None
    """Why it has no result."""

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics at the highest rung it reached."""
        leaf = self.planned.result(self.results)
        return dict(leaf.metrics) if leaf is not None else {}

    @property
    def seconds(self) -> float:
        """The time of its stages, including those computed earlier or for other trials."""
        return sum(result.cost.seconds for result in self.results.values())


@dataclass(frozen=True)
class Outcome(Shown):
    """A study after a run, or as read from the store."""

    plan: Plan
    trials: tuple[TrialOutcome, ...]
    computed: frozenset[str] = frozenset()
    """Keys of the stages that this run computed."""
    seconds: float = 0.0
    """Wall-clock of this run."""
    paused: str | None = None
    """Why the run ended early without a failure: a limit, or a request to stop."""
    is_limited: bool = False
    """Whether that is a limit."""

    @property
    def failed(self) -> tuple[TrialOutcome, ...]:
        return tuple(trial for trial in self.trials if trial.error is not None)

    def results(self) -> pd.DataFrame:
        """The rows of `to_pandas`, indexed by what tells them apart, so that they plot:

            outcome.results()["loss"].unstack("arm").plot()

        Levels: arm, the sweep's base in one without arms; one per parameter; with rungs, the budget's path; and seed,
        if there are several.
        """
        sweep = self.plan.sweep
        rungs = [] if sweep.scheduler.budget is None else [sweep.scheduler.budget]
        return frames.indexed(self.to_pandas(), sweep.base, [*sweep.parameters, *rungs], has_seeds=len(sweep.seeds) > 1)

    def to_pandas(self) -> pd.DataFrame:
        """One row per trial and rung that it reached, and one per failed trial, with the columns of
        `client.Job.results`."""
        rows = [
            *(row for trial in self.trials for row in log_rows.trial_rows(self.plan, trial.planned, trial.results)),
            *(log_rows.failure_row(t.planned, t.error) for t in self.trials if t.error is not None),
        ]
        return frames.results(rows)


def trial_outcomes(
    plan: Plan, results: Mapping[str, StoredResult], computed: Set[str], failed: Mapping[str, StageFailed]
) -> tuple[TrialOutcome, ...]:
    """Every trial of the plan with its own among the stored results, computed keys and failures, all by stage key."""
    outcomes = []
    for planned in plan.trials:
        climbed = planned.climbed(plan.decided)
        own = {stage.key: results[stage.key] for stage in climbed if stage.key in results}
        error = next((failed[stage.key] for stage in climbed if stage.key in failed), None)
        outcomes.append(TrialOutcome(planned, own, frozenset(own) & computed, error))
    return tuple(outcomes)


def from_store(
    plan: Plan, store: Store, computed: Set[str] = frozenset(), failed: Mapping[str, StageFailed] | None = None
) -> tuple[TrialOutcome, ...]:
    """Every trial of the plan, without computing anything. A damaged result counts as missing.

    `computed` and `failed` are the keys of stages that earlier runs computed, and the failures of earlier runs by key.
    """
    results = {key: result for key in plan.stages if (result := store.find(key, checksum=True)) is not None}
    still_failed = {key: error for key, error in (failed or {}).items() if key not in results}
    return trial_outcomes(plan, results, computed, still_failed)
