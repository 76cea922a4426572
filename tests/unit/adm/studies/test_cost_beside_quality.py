"""A study of quality that reports what its trainings cost, too (table 10)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adm.workload import workload
from assay.errors import ConfigError
from assay.execution import inline
from assay.store import Store
from assay.workload import JACKKNIFE, Stage, topological
from repository import ROOT

QUALITY = {
    "evaluate.extractor": "pixels",
    "evaluate.num_samples": 100,
    "evaluate.num_reference": 200,
    "sample.guidance_scale": 1.0,
}
SAMPLES = {"samples": str(ROOT / "sweeps" / "adm_digits.npz"), "compute.rival": "biggan_deep_128"}


def graph(base: str = "tiny_digits", **overrides: Any) -> dict[str, Stage]:
    settings = {**QUALITY, **{name.replace("__", "."): value for name, value in overrides.items()}}
    return {stage.name: stage for stage in topological(workload.stages(workload.resolve(base, settings)))}


def test_the_cost_is_that_of_the_trial_s_own_trainings_and_changes_no_other_stage() -> None:
    quality, alone = graph(), graph(measure="compute")
    both = graph(compute__with_quality=True)
    *others, leaf = both.values()
    assert leaf.name == "compute"
    assert {stage.key for stage in others} == {stage.key for stage in quality.values()}
    assert leaf.config["trainings"] == alone["compute"].config["trainings"]
    assert leaf.prices == alone["compute"].prices
    assert leaf.conditions == quality["evaluate"].conditions, "so trials are ranked and raced as by quality alone"
    assert [work.name for work in leaf.prices["total_v100_days"]] == ["generator of 8 pixels", "classifier of 8 pixels"]


def test_pictures_follow_the_cost() -> None:
    pictures = graph(compute__with_quality=True, figures__draw=["column"])["figures"]
    assert pictures.inputs["evaluated"].name == "compute"
    assert pictures.prices


def test_an_upsampler_is_part_of_the_cost() -> None:
    leaf = graph("digits_4_to_8", compute__with_quality=True)["compute"]
    assert leaf.config["trainings"].keys() == {"generator", "classifier", "upsampler"}


def test_a_gan_s_samples_have_their_quality_and_the_gan_s_published_cost(tmp_path: Path) -> None:
    store, stages = Store(tmp_path), graph(compute__with_quality=True, **SAMPLES)
    for stage in stages.values():
        inline.execute(stage, store, 1, lambda event: None)
    result, evaluated = (store.get(stages[name].key) for name in ("compute", "evaluate"))
    assert result is not None
    assert evaluated is not None
    assert result.metrics == {**evaluated.metrics, "total_v100_days": 128.0, "total_v100_days_least": 64.0}
    assert result.file(JACKKNIFE).read_bytes() == evaluated.file(JACKKNIFE).read_bytes()
    assert result.file("samples.png").read_bytes() == evaluated.file("samples.png").read_bytes()
    assert result.notes["reference"] == evaluated.notes["reference"]


def test_alone_it_needs_no_file_of_samples() -> None:
    absent = {**SAMPLES, "samples": "absent.npz"}
    (priced,) = graph(measure="compute", compute__with_quality=True, **absent).values()
    assert priced.config == {"rival": "biggan_deep_128"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"samples": SAMPLES["samples"]}, r"compute\.with_quality: the cost of this config's training is not that of"),
        ({"compute.rival": "biggan_deep_128"}, r"compute\.rival: the cost of biggan_deep_128 is not that of the model"),
        ({"compute.with_quality": False, "compute.rival": "biggan_deep_128"}, "has no effect with measure quality"),
        ({"measure": "throughput"}, r"compute\.with_quality: has no effect with measure throughput"),
    ],
)
def test_a_cost_that_is_not_that_of_the_samples_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        workload.resolve("tiny_digits", {**QUALITY, "compute.with_quality": True, **settings})


def test_evaluations_of_the_network_are_counted_beside_the_quality(tmp_path: Path) -> None:
    """Heun evaluates twice a step, but once in the last; the key of the evaluation stays."""
    heun = {"sample__sampler": "edm_heun", "sample__steps": 5, "train__iterations": 2, "sample__guidance_scale": 0.0}
    quality, counted = graph(**heun), graph(compute__evaluations=True, **heun)
    *others, leaf = counted.values()
    assert {stage.key for stage in others} == {stage.key for stage in quality.values()}
    assert leaf.replicated == quality["evaluate"].replicated, "so trials race as by quality alone"
    store = Store(tmp_path)
    for stage in counted.values():
        inline.execute(stage, store, 1, lambda event: None)
    result = store.get(leaf.key)
    assert result is not None
    assert result.metrics["num_evaluations"] == 9
    assert result.metrics["fd_pixels"] > 0
    assert "num_evaluations" in workload.metrics(workload.resolve("tiny_digits", {"compute.evaluations": True}))
    with pytest.raises(ConfigError, match=r"compute\.evaluations: counts those of a model that draws the images"):
        graph(compute__evaluations=True, **{**SAMPLES, "compute.with_quality": True})
