"""What a table is made of: a row a trial, an arm its seeds, and the failures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from assay.costs.ledger import Total
from assay.results.estimates import Difference, Estimate
from assay.workload import JSON


@dataclass(frozen=True)
class Failure:
    """Why a trial has no result: the stage, one line of the cause, and where the rest of it is."""

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
    """Everything its last stage reported."""
    seconds: float | None
    """What its stages took, whenever they were computed; None before any was."""
    cost: Total
    """What those stages cost."""
    count: int | None
    """N: how many items its metrics are over, where it says so."""
    status: str
    varied: Mapping[str, JSON]
    is_stopped: bool = False
    """The scheduler ended it, since others were better."""
    reached_amount: float = math.inf
    """How far along the scheduler's budget; inf where it came to its end, the last rung or the target."""
    conditions: Mapping[str, JSON] = field(default_factory=dict)
    """What must be the same in trials that are ranked together: how many items, by which measure."""
    reference: Mapping[str, float] = field(default_factory=dict)
    """The paper's numbers for this arm."""
    ledger: Mapping[str, Total] = field(default_factory=dict)
    """Metric that prices work → device-days of such work by the ledger."""
    failure: Failure | None = None
    rank: int | None = None
    """From 1; None without a value of the metric, or with one that cannot be compared."""
    unranked: str = ""
    """Why its value cannot be compared with the ranked ones."""
    from_best: Difference | None = None
    """In the sweep's metric; None for the best."""

    @property
    def arm_name(self) -> str:
        """What its seeds have in common."""
        return self.trial.removesuffix(f", seed {self.seed}")

    @property
    def metrics(self) -> dict[str, float]:
        return {name: estimate.value for name, estimate in self.estimates.items()}


@dataclass(frozen=True)
class Arm:
    """What several seeds of one arm say of the sweep's metric."""

    name: str
    rank: int
    """From 1; arms that lack seeds come last, and are shown without it."""
    seeds: int
    mean: float
    spread: float | None
    """Standard deviation over seeds."""
    half_width: float | None
    """Half the width of the 95% interval of the mean, by Student's t."""
    from_best: Difference | None
    """Over the seeds that it shares with the best; None for the best, and where there is none to compare with."""
    lacks: tuple[int, ...] = ()
    """Seeds that other arms have."""
