"""The parts of a results table: a Row per trial, an ArmSummary per group of seeds, and TrialFailures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from assay.costs.ledger import Total
from assay.results.intervals import Difference, Estimate
from assay.workload import JSON


@dataclass(frozen=True)
class TrialFailure:
    """Why a trial has no result: the stage, one line of the cause, and the file of the full log."""

    stage: str
    key: str
    cause: str
    log: Path | None = None


@dataclass(frozen=True)
class Row:
    """One trial."""

    trial: str
    arm: str | None
    seed: int
    estimates: Mapping[str, Estimate]
    """All metrics of its last stage."""
    seconds: float | None
    """The time of its stages, including those computed earlier; None if there are none yet."""
    cost: Total
    """The cost of these stages."""
    count: int | None
    """N: the number of items that its metrics are over, if known."""
    status: str
    varied: Mapping[str, JSON]
    is_stopped: bool = False
    """The scheduler ended it, since others were better."""
    reached_amount: float = math.inf
    """The amount of the scheduler's budget that it reached; inf at the last rung or at the target."""
    conditions: Mapping[str, JSON] = field(default_factory=dict)
    """What must be equal in trials that are ranked together, such as the number of items."""
    reference: Mapping[str, float] = field(default_factory=dict)
    """The paper's numbers for this arm."""
    reference_note: str = ""
    """What to know about them."""
    measured_otherwise: Mapping[str, tuple[JSON, JSON]] = field(default_factory=dict)
    """Config path → (this trial's value, the one that the paper's numbers were measured with), where they differ."""
    ledger: Mapping[str, Total] = field(default_factory=dict)
    """Metric that prices work → the ledger's device-days of such work."""
    objectives: Mapping[str, float] = field(default_factory=dict)
    """The sweep's objectives, metrics and costs, as far as they are known."""
    conditions_of: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    """Objective after the first → the conditions of its value."""
    failure: TrialFailure | None = None
    rank: int | None = None
    """From 1; None without a value of the metric, or if it is not comparable."""
    unranked: str = ""
    """Why its value is not comparable with the ranked ones."""
    from_best: Difference | None = None
    """In the sweep's metric; None for the best."""

    @property
    def arm_name(self) -> str:
        """The trial's name without its seed."""
        return self.trial.removesuffix(f", seed {self.seed}")

    @property
    def metrics(self) -> dict[str, float]:
        return {name: estimate.value for name, estimate in self.estimates.items()}


@dataclass(frozen=True)
class ArmSummary:
    """The sweep's metric over the seeds of one arm."""

    name: str
    rank: int
    """From 1; arms with missing seeds come last, and are shown without it."""
    seeds: int
    mean: float
    spread: float | None
    """Standard deviation over seeds."""
    half_width: float | None
    """Half the width of the 95% interval of the mean, by Student's t."""
    from_best: Difference | None
    """Over the seeds that it shares with the best; None for the best, and without a shared seed."""
    lacks: tuple[int, ...] = ()
    """Missing seeds that other arms have."""
    objectives: Mapping[str, float] = field(default_factory=dict)
    """The means of the sweep's objectives, as far as all its seeds have them."""
