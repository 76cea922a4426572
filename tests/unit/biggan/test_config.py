"""What a config refuses, at its path and before anything runs; and what a generator and its arms cost and share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import adm.workload
from assay.errors import ConfigError, UserError
from assay.workload.contract import stage_graph
from biggan import checks
from biggan.workload import workload


def refusal(base: str = "digits_gan", **overrides: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        workload.resolve(base, {name.replace("__", "."): value for name, value in overrides.items()})
    return str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"generator__layers": [[False, 8, 1]]}, "layers starts at width 8, allowed: 16"),
        ({"generator__layers": [[True, 16, 2]]}, "layers ends at width 2, allowed: 1"),
        (
            {"generator__layers": [[True, 16, 8], [True, 4, 1]]},
            "has input width 4, but the layer before it has output width 8",
        ),
        ({"generator__attention_layer_position": 9}, "attention_layer_position is 9, allowed: 0 to"),
        ({"generator__num_classes": 11}, "generator.num_classes is 11, but data.source digits has 10: use 10"),
        ({"generator__out_channels": 9}, "out_channels 9 do not fit into channel_width 8"),
        ({"discriminator__layers": [[True, 8, 4]]}, "narrows 8 to 4: a discriminator widens"),
        ({"sample__truncation": 1.5}, "sample.truncation"),
        (
            {"train": None},
            "has no section train, so it cannot be trained: set generator.weights to the path of published weights",
        ),
    ],
)
def test_what_cannot_be_is_refused(overrides: dict[str, Any], message: str) -> None:
    assert message in refusal(**overrides)


def test_an_extractor_that_looks_through_another_workloads_network_is_refused() -> None:
    message = refusal(evaluate__extractor="classifier")
    assert "classifier needs the trial's own classifier, and this base has none" in message
    assert "pixels" in message


def test_uneven_shares_of_a_batch_are_refused() -> None:
    config = {"train": {"batch_size": 32}}
    checks.check_group(config, {}, 4, 0)
    with pytest.raises(UserError, match=r"train\.batch_size is 32, allowed with 3 workers: a multiple of 3"):
        checks.check_group(config, {}, 3, 0)


def test_truncations_share_one_training() -> None:
    graphs = [
        {stage.name: stage for stage in stage_graph(workload, workload.resolve("digits_gan", {"sample.truncation": t}))}
        for t in (0.5, 1.0)
    ]
    for name in ("train", "reference", "statistics"):
        assert graphs[0][name].key == graphs[1][name].key
    assert graphs[0]["features"].key != graphs[1]["features"].key


def test_the_files_content_and_not_its_place_is_in_the_key(tmp_path: Path) -> None:
    keys = []
    for place in ("one", "other"):
        (tmp_path / place).write_bytes(b"the same")
        config = workload.resolve("imagenet128", {"generator.weights": str(tmp_path / place)})
        keys.append(next(stage.key for stage in stage_graph(workload, config) if stage.name == "load"))
    assert keys[0] == keys[1]


def test_both_workloads_are_measured_under_the_same_conditions() -> None:
    asked = {"evaluate.extractor": "pixels", "evaluate.num_samples": 100, "evaluate.num_reference": 500}
    ours = stage_graph(workload, workload.resolve("digits_gan", asked))[-1]
    theirs = stage_graph(adm.workload.workload, adm.workload.workload.resolve("tiny_digits", asked))[-1]
    assert ours.conditions == theirs.conditions
    assert ours.inputs["statistics"].key == theirs.inputs["statistics"].key
