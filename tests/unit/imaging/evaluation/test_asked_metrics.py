"""Metrics that are asked for beside the standard ones: what a trial reports, their intervals, and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adm.workload import workload
from assay.errors import ConfigError
from assay.workload import Stage, topological
from imaging import authpct, cmmd, density_coverage, precision_recall
from imaging.metrics import METRICS
from imaging.metrics import trial as trial_metrics
from imaging.metrics.moments import Gaussian
from imaging.metrics.trial import Comparison, flattened, measured

SETTINGS = {"evaluate.num_samples": 100, "classifier": None, "evaluate.extractor": "pixels"}


def resolved(**evaluate: Any) -> Any:
    settings = {**SETTINGS, **{f"evaluate.{name}": value for name, value in evaluate.items()}}
    return workload.resolve("digits", settings)


def stages(**evaluate: Any) -> dict[str, Stage]:
    return {stage.name: stage for stage in topological(workload.stages(resolved(**evaluate)))}


def test_they_change_the_evaluation_alone_and_k_only_where_it_is_used() -> None:
    plain, more = stages(), stages(metrics=["density_coverage", "authpct"])
    assert {name for name in plain if plain[name].key != more[name].key} == {"evaluate"}
    assert stages(density_coverage_k=7)["evaluate"].key == plain["evaluate"].key
    other = stages(metrics=["density_coverage", "authpct"], density_coverage_k=7)
    assert other["evaluate"].key != more["evaluate"].key
    assert {"density", "coverage", "authpct"} <= {*workload.metrics(resolved(metrics=["density_coverage", "authpct"]))}


def test_cmmd_is_clips_alone_and_comes_with_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cmmd: needs the features of evaluate\.extractor clip"):
        resolved(metrics=["cmmd"])
    (tmp_path / "clip.bin").write_bytes(b"weights")
    config = resolved(extractor="clip", clip_weights=str(tmp_path / "clip.bin"), metrics=["density_coverage"])
    assert {"fd_clip", "cmmd", "density", "precision", "kid"} <= {*workload.metrics(config)}


def test_more_neighbours_than_references_are_refused_where_they_are_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.num_reference: has 9 images; density_coverage_k 9 needs 10"):
        resolved(metrics=["density_coverage"], density_coverage_k=9, num_reference=9)


def test_a_trial_measures_what_the_functions_do_with_intervals_and_one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    reference, samples = rng.normal(size=(200, 6)).astype(np.float32), rng.normal(size=(100, 6)).astype(np.float32)
    gaussian = Gaussian(reference.mean(axis=0), np.cov(reference, rowvar=False))
    searches = []
    search = trial_metrics.nearest_neighbours
    monkeypatch.setattr(trial_metrics, "nearest_neighbours", lambda *a, **b: searches.append(a) or search(*a, **b))
    comparison = Comparison(lambda name: samples, lambda name: reference, {"features": gaussian}, density_coverage_k=4)
    names = ("precision_recall", "density_coverage", "authpct", "cmmd")
    values, replicates = flattened(measured(comparison, [METRICS[name].body for name in names]))
    assert len(searches) == 1
    expected = {**density_coverage(reference, samples, 4)._asdict(), **precision_recall(reference, samples)._asdict()}
    expected |= {"authpct": authpct(reference, samples), "cmmd": cmmd(reference, samples)}
    assert {name: values[name] for name in expected} == pytest.approx(expected)
    assert {*replicates} == {"precision", "density", "coverage", "authpct", "cmmd"}
    assert all(values[f"{name}_low"] < values[name] < values[f"{name}_high"] for name in replicates)
