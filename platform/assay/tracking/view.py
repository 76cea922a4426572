"""What MLflow shows of a trial, derived from the plan and the store alone. No MLflow here.

Everything is derived from committed results, so a lost view can be rebuilt, and `digest` tells whether MLflow is up to
date.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from assay.planning import PlannedTrial, Rung
from assay.provenance import origin_in_words, repositories
from assay.results import TrialOutcome
from assay.store import Decision, StoredResult
from assay.store.schema import OriginRecord
from assay.sweep import Sweep
from assay.sweep.expansion import in_words
from assay.text import devices
from assay.tracking import limits
from assay.workload import digest

FORMAT = 1
"""Raise it when the same results are to be shown differently: runs logged in an older format are logged again."""
POINTS_A_CURVE = 1000
"""Points per curve; MLflow's charts draw 320. The whole curve stays in the store."""
CONFIG, COMPARISON, IMAGES, SWEEP, REPORT = "config.yaml", "comparison.json", "images", "sweep", "report"
"""Artifacts and their folders."""
CHANGES = "changes"
"""The folder of the parent run's artifacts with what differed from the commits."""
_DIFF = {"repositories": {"__all__": {"diff"}}}
DIFFS: Any = {**_DIFF, "submitted": _DIFF}
"""The part of an origin that the parent run has once, for all trials."""
PROVENANCE = "provenance.json"
"""The artifact with the origins of a trial's results."""
COST = "cost"
"""The folder of the metrics that are costs."""
LEAF = "assay.key"
"""The tag with the key of the leaf that a trial's run was created for."""
SHOWN = {".html", ".png", ".jpg", ".jpeg", ".svg", ".webp"}
"""The files of a report that are logged: the page and the pictures."""


@dataclass(frozen=True)
class Point:
    """One value of one metric."""

    name: str
    value: float
    step: int
    timestamp_ms: int
    """Time of the commit, so that logging the same point twice gives one point."""


def params(planned: PlannedTrial) -> dict[str, str]:
    """Only what varies, to keep the compare view readable."""
    varied = planned.trial.varied
    return {limits.key(path): limits.text(in_words(value), limits.PARAMETER) for path, value in varied.items()}


def artifacts(planned: PlannedTrial, results: Mapping[str, StoredResult]) -> list[str]:
    """The files and folders of a trial's run."""
    grid, leaf = planned.workload.report.sample_grid, planned.result(results)
    has_grid = grid is not None and leaf is not None and grid in leaf.file_bytes
    has_origin = any(result.provenance.origins for result in results.values())
    return [
        CONFIG,
        *([PROVENANCE] if has_origin else []),
        *([Path(grid).name, IMAGES] if grid is not None and has_grid else []),
    ]


def parent_artifacts(sweep: Sweep, pictures: Sequence[Path]) -> list[str]:
    """The files and folders of the parent run."""
    file = [f"{SWEEP}/{Path(sweep.file).name}"] if sweep.file and Path(sweep.file).is_file() else []
    return [COMPARISON, *file, *(f"{REPORT}/{picture.name}" for picture in pictures)]


def budget_step(rung: Rung) -> int:
    """The step of a rung's metrics: its amount, else the budget of the leaf or of the last stage it reads (samples)."""
    if rung.amount is not None:
        return rung.amount
    return next((stage.budget.amount for stage in reversed(rung.stages) if stage.budget is not None), 0)


def is_over(planned: PlannedTrial, results: Mapping[str, StoredResult], decided: Mapping[str, Decision]) -> bool:
    """Whether the trial has gone as far as it will."""
    return planned.climbs(decided)[-1].leaf.key in results


def seconds(results: Mapping[str, StoredResult]) -> float:
    """Seconds of a trial's stages, whichever run computed them."""
    return sum(result.cost.seconds for result in results.values())


def final_points(planned: PlannedTrial, results: Mapping[str, StoredResult]) -> list[Point]:
    """The metrics at every rung it reached, and the trial's cost."""
    points = [
        Point(name, value, budget_step(rung), _committed_ms(results[rung.leaf.key]))
        for rung in planned.rungs
        if rung.leaf.key in results
        for name, value in results[rung.leaf.key].metrics.items()
    ]
    reached = planned.reached(results)
    if reached is not None:
        rung, leaf = reached
        points.append(Point(f"{COST}/seconds", seconds(results), budget_step(rung), _committed_ms(leaf)))
    return points


def curve_points(result: StoredResult) -> list[Point]:
    """What a stage logged as it ran: "train/loss" at every step, thinned to what a chart can show."""
    when = _committed_ms(result)
    history = result.history
    stride = max(1, math.ceil(len(history) / POINTS_A_CURVE))
    kept = [row for i, row in enumerate(history) if i % stride == 0 or i == len(history) - 1]
    return [
        Point(f"{result.stage}/{name}", value, int(row["step"]), when)
        for row in kept
        if math.isfinite(row["step"])
        for name, value in row.items()
        if name != "step"
    ]


def tags(planned: PlannedTrial) -> dict[str, str]:
    """Facts about a trial that are known before it runs."""
    stages = ", ".join(f"{stage.name} {stage.key}" for stage in planned.stages)
    return {"assay.role": "trial", LEAF: planned.leaf.key, "assay.stages": stages}


def came_from(trial: TrialOutcome) -> dict[str, str]:
    """Which devices its results came from, and which stages were computed or cached."""
    names = {stage.key: stage.name for stage in trial.planned.stages}
    sources = {
        "assay.device": dict.fromkeys(devices(r.cost.count, r.cost.device) for r in trial.results.values()),
        "assay.computed": [names[key] for key in names if key in trial.computed],
        "assay.cached": [names[key] for key in names if key in trial.results and key not in trial.computed],
    }
    return {name: ", ".join(values) for name, values in sources.items() if values}


def origin_tags(origins: Sequence[OriginRecord], results: Mapping[str, StoredResult]) -> dict[str, str]:
    """The code, the command and the machines that its results came from; MLflow shows the commit as the version."""
    hosts = sorted({host for result in results.values() for host in result.provenance.hosts})
    tags = {"assay.hosts": ", ".join(hosts)}
    for origin in origins[-1:]:
        words = origin_in_words(origin)
        tags |= {"assay.command": words.get("command", ""), "assay.code": words["code"]}
        commits = [each for each in repositories(origin) if each.commit]
        if commits:
            tags |= {"mlflow.source.git.commit": str(commits[0].commit), "assay.is_dirty": str(commits[0].is_dirty)}
    return {name: text for name, text in tags.items() if text}


def notes(results: Mapping[str, StoredResult]) -> dict[str, str]:
    """Notes of its stages, such as assay.train.train.precision: the stage, then the path in its config."""
    return {f"assay.{r.stage}.{name}": in_words(value) for r in results.values() for name, value in r.notes.items()}


def trial_digest(planned: PlannedTrial, results: Mapping[str, StoredResult]) -> str:
    """Changes when anything that MLflow shows of the trial changes."""
    return digest(
        {
            "format": FORMAT,
            "name": planned.name,
            "params": params(planned),
            "results": {key: result.record for key, result in results.items()},
        }
    )


def pictures_in(report: Path) -> list[Path]:
    """The page and the pictures, without another command's unfinished files."""
    files = report.rglob("*") if report.is_dir() else []
    return sorted(p for p in files if p.suffix.lower() in SHOWN and not p.relative_to(report).parts[0].startswith("."))


def _committed_ms(result: StoredResult) -> int:
    return int(datetime.fromisoformat(result.created).timestamp() * 1000)
