"""Guides in a config: what is refused, what has no effect, what is an input of the drawing, and what it costs."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

import assay
from adm import checkpoints, compute, models, presets
from adm.compute.memory import sampling_memory
from adm.config import Config, ModelConfig, SampleConfig
from adm.diffusion.timesteps import timestep_sampler
from adm.effective import effective
from adm.sampling import guides
from adm.sampling.networks import Networks
from adm.training.batches import Batches
from adm.training.stages import WEIGHTS
from adm.workload import workload
from assay.errors import AssayWarning, ConfigError, ReferenceProblem, UserError
from assay.workload import Stage, topological
from imaging.config import DataConfig
from imaging.data import open_source

FREE = {"sample.guidance": "classifier_free", "sample.guidance_scale": 2.0}
DROPPED = {**FREE, "train.label_dropout": 0.1}
AUTO = {"sample.guidance": "autoguidance", "sample.guidance_scale": 2.0}
EARLIER = {**AUTO, "sample.guide": "@100", "train.keep_every": 100}
CLASSIFIED = {"sample.guidance_scale": 1.0}


def stages(overrides: dict[str, Any]) -> dict[str, list[Stage]]:
    """The stages by name."""
    named: dict[str, list[Stage]] = {}
    for stage in topological(workload.stages(workload.resolve("digits", overrides))):
        for each in (stage, *filter(None, [stage.rows])):
            named.setdefault(each.name, []).append(each)
    return named


def drawing(overrides: dict[str, Any]) -> Stage:
    (stage,) = stages(overrides)["draw"]
    return stage


def config(overrides: dict[str, Any]) -> Config:
    return effective(Config.model_validate(workload.resolve("digits", overrides)))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (FREE, r"sample\.guidance: classifier_free needs a model without labels: set train\.label_dropout"),
        ({**DROPPED, "model.num_classes": None}, r"train\.label_dropout: got 0\.1, but this model is shown no labels"),
        ({**FREE, "model.num_classes": None}, r"sample\.guidance: classifier_free .* but model\.num_classes is null"),
        (AUTO, r'sample\.guidance: autoguidance needs a weaker model: .*such as "@125"'),
        ({**AUTO, "sample.guide": "@500"}, r"sample\.guide: got @500, allowed: an earlier step .*@1 to @499"),
        ({**FREE, "sample.guide": "@100"}, r"sample\.guide: @100 is this model, which needs labels"),
        ({**EARLIER, "sample.guide_checkpoint": "w.pt"}, r"sample\.guide: and sample\.guide_checkpoint both name"),
        ({**EARLIER, "train.checkpoint": "w.pt"}, r"sample\.guide: @100 is an earlier step .*train\.checkpoint"),
        ({**CLASSIFIED, "sample.guide": "@100"}, r"sample\.guide: has no effect with sample\.guidance classifier"),
        ({**EARLIER, "sample.guidance_at": "mean"}, r"sample\.guidance_at: is where a classifier's gradient is taken"),
        ({**CLASSIFIED, "sample.guidance_interval": [700, 200]}, r"sample\.guidance_interval: got \[700, 200\], allow"),
        ({**CLASSIFIED, "sample.guidance_interval": [0, 1000]}, r"got \[0, 1000\], .* from 0 to 999"),
        (
            {**CLASSIFIED, "sample.guidance_interval": [1, 9], "sample.steps": 10},
            r"sample\.guidance_interval: \[1, 9\] has none of the 10 timesteps that sample\.steps visits",
        ),
        ({"classifier.train.label_dropout": 0.1}, r"classifier\.train\.label_dropout: is for the model that draws"),
        ({"model.null_class": True}, r"model\.null_class: is never trained: set train\.label_dropout"),
        ({"sample.guidance": "clasifier_free"}, r"sample\.guidance: .*classifier_free"),
        (
            {**DROPPED, "measure": "inversion", "sample.sampler": "ddim"},
            r"sample\.guidance: inversion decodes with sample\.guidance classifier alone",
        ),
    ],
)
def test_refused_before_anything_runs(overrides: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        workload.resolve("digits", overrides)


def test_a_scale_below_1_is_told() -> None:
    with pytest.warns(AssayWarning, match=r"sample\.guidance_scale 0\.5 draws images nearer to a weaker model"):
        drawing({**EARLIER, "sample.guidance_scale": 0.5})


def test_an_earlier_step_whose_checkpoint_goes_is_told() -> None:
    with pytest.warns(AssayWarning, match=r"sample\.guide @100 is trained again .*: set train\.keep_every 100"):
        drawing({**EARLIER, "train.keep_every": 300})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"train.label_dropout": 0.1}, {**DROPPED, "sample.guidance_scale": 1.0}),
        ({}, {**EARLIER, "sample.guidance_scale": 1.0}),
        ({}, {"sample.guidance_interval": [200, 700]}),
        (DROPPED, {**DROPPED, "sample.guidance_interval": [0, 999]}),
        ({**DROPPED, "sample.steps": 10}, {**DROPPED, "sample.steps": 10, "sample.guidance_interval": [0, 999]}),
        ({"train.label_dropout": 0.1}, {"train.label_dropout": 0.1, "model.null_class": True}),
    ],
)
def test_what_changes_nothing_shares_its_drawing(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert drawing(one).key == drawing(other).key


def test_every_option_changes_the_drawing() -> None:
    ways = (
        {},
        CLASSIFIED,
        {**CLASSIFIED, "sample.guidance_interval": [200, 700]},
        DROPPED,
        {**DROPPED, "sample.guidance_interval": [200, 700]},
        {**DROPPED, "train.label_dropout": 0.2},
        EARLIER,
        {**EARLIER, "sample.guide": "@200"},
        {**EARLIER, "sample.guidance_scale": 3.0},
    )
    assert len({drawing(way).key for way in ways}) == len(ways)


def test_an_earlier_step_is_of_the_same_training() -> None:
    inputs = drawing(EARLIER).inputs
    assert [inputs[name].amount for name in ("model", "guide")] == [500, 100]
    assert inputs["guide"].lineage == inputs["model"].lineage
    assert inputs["guide"].key == drawing({"train.iterations": 100}).inputs["model"].key, "it is a rung of a race"


@pytest.mark.parametrize(
    ("overrides", "changed", "told"),
    [
        ({**AUTO, "sample.guide": "other/arm"}, {"image_size": 16}, "it has model.image_size 16 (here 8)"),
        ({**AUTO, "sample.guide": "other/arm"}, {"num_classes": None}, "it has model.num_classes None (here 10)"),
        ({**AUTO, "sample.guide": "other/arm", "diffusion.mean": "v"}, {}, "it has diffusion.mean epsilon (here v)"),
        ({**FREE, "sample.guide": "other/arm"}, {}, "is conditional on 10 classes; allowed with sample.guidance class"),
        ({**FREE, "sample.guide": "other/arm"}, {"num_classes": None}, None),
        ({**FREE, "sample.guide": "other/arm"}, {"null_class": True}, None),
        ({**AUTO, "sample.guide": "other/arm"}, {"channels": 64}, None),
    ],
)
def test_a_training_that_cannot_guide_is_refused(
    overrides: dict[str, Any], changed: dict[str, Any], told: str | None
) -> None:
    (train,) = stages({})["train"]
    found = replace(train, config={**train.config, "model": {**train.config["model"], **changed}})
    if told is None:
        guides.check_found(config(overrides), found)
        return
    with pytest.raises(ReferenceProblem, match=rf"^sample\.guide: other/arm .*{re.escape(told)}"):
        guides.check_found(config(overrides), found)


def test_another_sweeps_training_is_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    sweep = {"version": 1, "workload": "adm", "base": "digits", "metric": "fd_classifier", "mode": "min"}
    small = {**sweep, "name": "small", "arms": {"one level": {"model.channel_mult": [1]}}}
    guided = {**sweep, "name": "guided", "config": {**AUTO, "sample.guide": "small.yaml/one level@50"}}
    for each in (small, guided):
        Path(f"{each['name']}.yaml").write_text(yaml.safe_dump(each))
    (trial,), (other,) = (assay.plan(f"{each['name']}.yaml").trials for each in (guided, small))
    (guide, model), (whole,) = ([s for s in each.stages if s.name == "train"] for each in (trial, other))
    assert {guide.amount, model.amount} == {50, 500}
    smaller = guide if guide.amount == 50 else model
    assert smaller.lineage == whole.lineage


def test_published_weights_as_the_unconditional_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sample\.guide_checkpoint .*there is no such file$"):
        stages({**FREE, "sample.guide_checkpoint": str(tmp_path / "none.pt")})
    unconditional = Config.model_validate(workload.resolve("digits", {"model.num_classes": None})).model
    file = tmp_path / "unconditional.safetensors"
    checkpoints.save(file, models.build(unconditional).state_dict(), unconditional)
    guide = drawing({**FREE, "sample.guide_checkpoint": str(file)}).inputs["guide"]
    assert (guide.name, guide.config["model"]["num_classes"]) == ("load", None)
    assert guide.check == "adm.checkpoints.checks:guide"


def test_a_guided_evaluation_costs_one_more_within_the_interval() -> None:
    plain = compute.sampling_flops(config({}))
    network = compute.network_cost(config({}).model).flops
    assert plain == 30 * network
    assert compute.sampling_flops(config(DROPPED)) == 60 * network
    half = {"sample.steps": 10, "sample.guidance_interval": [0, 450]}  # 0, 111, …, 444
    assert compute.sampling_flops(config({**DROPPED, **half})) == 15 * network
    classifier = compute.network_cost(presets.load("digits").classifier.model).flops  # type: ignore[union-attr]
    assert compute.sampling_flops(config({**CLASSIFIED, **half})) == 10 * network + 5 * 2 * classifier
    small = config({"model.channels": 64}).model
    assert compute.sampling_flops(config(EARLIER), small) == 30 * (network + compute.network_cost(small).flops)


def test_one_pass_needs_the_memory_of_twice_the_images_and_another_network_that_of_its_weights() -> None:
    plain, free = sampling_memory(config({})), sampling_memory(config(DROPPED))
    weak = sampling_memory(config(EARLIER), config({}).model)
    assert plain is not None
    assert free is not None
    assert weak is not None
    assert free.moments[0][1] == 2 * plain.moments[0][1]
    assert weak.moments == plain.moments
    assert weak.fixed == 2 * plain.fixed


def test_published_checkpoints_keep_their_shapes() -> None:
    plain, dropped = (checkpoints.fit.expected_shapes(config(way).model) for way in ({}, DROPPED))
    assert plain["label_emb.weight"] == (10, 128)
    assert dropped == {**plain, "label_emb.weight": (11, 128)}
    costs = [compute.network_cost(config(way).model).parameters for way in ({}, DROPPED)]
    assert costs[1] - costs[0] == 128


def result(folder: Path, name: str, model: ModelConfig, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    network = models.build(model)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    (folder / name).mkdir()
    checkpoints.save(folder / name / WEIGHTS, network.state_dict(), model)
    return SimpleNamespace(file=lambda file: folder / name / file)


def test_the_networks_of_a_drawing(tmp_path: Path) -> None:
    """One network or two: ε of the null class, or of the unconditional network, is what the guide says."""
    c = config({**DROPPED, "model.channel_mult": [1], "model.attention_resolutions": []})
    alone = c.model.model_copy(update={"num_classes": None, "null_class": False})
    inputs = {"model": result(tmp_path, "model", c.model), "guide": result(tmp_path, "guide", alone, seed=1)}
    x, t, y = torch.randn(2, 1, 8, 8), torch.tensor([400, 400]), torch.tensor([3, 9])

    def model(inputs: dict[str, Any], **options: Any) -> Tensor:
        sample = SampleConfig(guidance="classifier_free", guidance_scale=2.0, **options)
        context: Any = SimpleNamespace(inputs=inputs, device="cpu", config={"diffusion": c.diffusion.for_key()})
        with torch.no_grad():
            return Networks(context, sample).model(x, t, y=y)

    with torch.no_grad():
        network = checkpoints.load(tmp_path / "model" / WEIGHTS).build().eval()
        guide = checkpoints.load(tmp_path / "guide" / WEIGHTS).build().eval()
        output, null, unconditional = network(x, t, y), network(x, t, torch.full_like(y, 10)), guide(x, t)
    for made, away in ((model({"model": inputs["model"]}), null), (model(inputs), unconditional)):
        torch.testing.assert_close(made[:, :1], 2 * output[:, :1] - away[:, :1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(made[:, 1:], output[:, 1:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(inputs, guidance_interval=(401, 999)), output)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_same_labels_are_dropped_for_any_number_of_workers_and_after_a_resume(size: int) -> None:
    data = DataConfig(source="digits")
    source, uniform = open_source(data, 8, 1), timestep_sampler("uniform", 10)

    def labels(step: int, size: int, share: float = 0.25) -> Tensor:
        parts = [Batches(source, np.arange(1797), data, 3, 240, rank, size, share, 10) for rank in range(size)]
        return torch.cat([part.draw(step, part.read(step), uniform, "cpu").y for part in parts])

    for step in (0, 7):
        whole, own = labels(step, 1), labels(step, 1, share=0.0)
        assert torch.equal(labels(step, size), whole)
        dropped = whole == 10
        assert torch.equal(whole[~dropped], own[~dropped])
        assert 0.15 < dropped.float().mean() < 0.35
    assert not torch.equal(labels(0, 1) == 10, labels(1, 1) == 10)


def test_shipped_configs_have_no_new_option_in_their_keys() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssayWarning)
        named = stages({})
    (draw,), (train,) = named["draw"], named["train"]
    assert not {"guidance", "guidance_interval", "guide", "guide_checkpoint"} & draw.config["sample"].keys()
    assert "null_class" not in train.config["model"]
    assert "label_dropout" not in train.config["train"]
