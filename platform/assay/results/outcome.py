"""What became of a study: one shape, whether a run has just ended or the store is only looked at."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assay.errors import StageFailed
from assay.planning import Plan, PlannedTrial
from assay.results import frames, log_rows
from assay.store import Store, StoredResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrialOutcome:
    """A trial, and those of its results that are stored."""

    planned: PlannedTrial
    results: Mapping[str, StoredResult]
    """By stage key: those of the rungs that it climbs."""
    computed: frozenset[str] = frozenset()
    """Keys of its stages that this run computed, for itself or for another trial."""
    error: StageFailed | None = None
    """Why it has no result."""

    @property
    def metrics(self) -> dict[str, float]:
        """At the highest rung it reached."""
        leaf = self.planned.result(self.results)
        return dict(leaf.metrics) if leaf is not None else {}

    @property
    def seconds(self) -> float:
        """What its stages took, whenever and for whomever they were computed."""
        return sum(result.cost.seconds for result in self.results.values())


@dataclass(frozen=True)
class Outcome:
    """A study after a run, or as the store knows it."""

    plan: Plan
    trials: tuple[TrialOutcome, ...]
    computed: frozenset[str] = frozenset()
    """Keys of the stages that this run computed."""
    seconds: float = 0.0
    """Wall-clock of this run."""
    paused: str | None = None
    """Why it ended before everything was there, where nothing failed: a limit, or that it was told to stop."""

    @property
    def failed(self) -> tuple[TrialOutcome, ...]:
        return tuple(trial for trial in self.trials if trial.error is not None)

    def to_pandas(self) -> pd.DataFrame:
        """A row per trial and rung that it reached, and one per failed trial; the columns of `client.Job.results`."""
        rows = [
            *(row for trial in self.trials for row in log_rows.trial_rows(self.plan, trial.planned, trial.results)),
            *(log_rows.failure_row(self.plan, t.planned, t.error) for t in self.trials if t.error is not None),
        ]
        return frames.results(rows)


def trial_outcomes(
    plan: Plan, results: Mapping[str, StoredResult], computed: Set[str], failed: Mapping[str, StageFailed]
) -> tuple[TrialOutcome, ...]:
    """Every trial of the plan with its share of what is stored, computed and failed, all by stage key."""
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
    """Every trial of the plan; nothing is computed, and a damaged result counts as missing.

    `computed` and `failed`, by key, say what is known of earlier runs: what they computed themselves, and what failed.
    """
    results = {key: result for key in plan.stages if (result := store.find(key, checksum=True)) is not None}
    still_failed = {key: error for key, error in (failed or {}).items() if key not in results}
    return trial_outcomes(plan, results, computed, still_failed)
