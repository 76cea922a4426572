"""The model of a finished study's best trial, for MLflow's model registry.

A registered version holds a small file that says where the store has the weights, which are not copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.redaction import hide_secrets
from assay.results import Outcome, Table
from assay.results.rows import Row
from assay.store import HISTORY, StoredResult
from assay.sweep import Sweep
from assay.text import json_number
from assay.workload import JACKKNIFE, JSON

ALIAS = "best"
FOLDER, FILE = "trained_model", "trained_model/model.json"
"""Artifacts of the trial's run: the source of the registered version, and the file in it."""


class NoRegistry(Exception):
    """MLflow refused to register a model."""


@dataclass(frozen=True)
class TrainedModel:
    """A trial's trainings."""

    trial: int
    """Its index."""
    name: str
    """Its name."""
    metrics: Mapping[str, float]
    trainings: tuple[StoredResult, ...]

    @property
    def tags(self) -> dict[str, str]:
        """Stage → key."""
        return {f"assay.{training.stage}": training.key for training in self.trainings}

    def as_json(self, store_url: str) -> JSON:
        """Where its weights are."""
        url = hide_secrets(store_url).rstrip("/")
        return {
            "trial": self.name,
            "metrics": {name: json_number(value) for name, value in self.metrics.items()},
            "store": url,
            "trainings": [
                {
                    "stage": training.stage,
                    "key": training.key,
                    "files": {name: f"{url}/{training.files[name].path}" for name in weights(training)},
                    "bytes": {name: training.file_bytes[name] for name in weights(training)},
                }
                for training in self.trainings
            ],
        }

    def description(self, store_url: str) -> str:
        keys = ", ".join(f"{training.stage} {training.key}" for training in self.trainings)
        return f"{self.name}: {keys}. {place_of_weights(store_url)}; model.json has their paths."


def place_of_weights(store_url: str) -> str:
    """In the description of a version, by which it is known again."""
    return f"The weights are in {hide_secrets(store_url)}"


def weights(training: StoredResult) -> list[str]:
    """Its files, apart from what reports read."""
    return [name for name in training.files if name not in (HISTORY, JACKKNIFE)]


def registered_name(sweep: Sweep) -> str:
    """Each profile has a model of its own."""
    return sweep.name if sweep.profile is None else f"{sweep.name}.{sweep.profile}"


def best_model(outcome: Outcome, ranking: Table) -> TrainedModel | None:
    """Of the best trial, or of the best arm's first seed; None if the study is not finished, has no best, or that
    trained nothing."""
    row = _best_row(ranking)
    if row is None or outcome.paused is not None or outcome.failed or outcome.plan.waiting:
        return None
    trial = next(trial for trial in outcome.trials if trial.planned.name == row.trial)
    stages = [stage for stage in trial.planned.climbed(outcome.plan.decided) if stage.kind == "train"]
    last_of = {stage.name: trial.results[stage.key] for stage in stages if stage.key in trial.results}
    trained = tuple(result for result in last_of.values() if weights(result))
    return TrainedModel(trial.planned.trial.index, row.trial, row.metrics, trained) if trained else None


def _best_row(ranking: Table) -> Row | None:
    ranked = [row for row in ranking.rows if row.rank is not None]
    if ranking.best is None:
        return ranked[0] if len(ranked) == 1 else None
    return next(row for row in ranked if ranking.best in (row.trial, row.arm_name))
