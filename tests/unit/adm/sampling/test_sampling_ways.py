"""Every way to draw images goes through one stage, and gives sample i for id i in any company.

What goes in, x_T, labels and the noise of each step, is the same to the bit. What comes out differs by the rounding of
kernels, which differ for other batch sizes: in fp32 by one grey level of 255 at most, in less than 3% of the values; in
bf16, whose sums are rounded to 8 bits, by as much as 8 levels where a kernel adds in another order (here none does).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from adm import checkpoints
from adm.config import Config, ModelConfig
from adm.models import build
from adm.models.unet import UNet
from adm.sampling.graph import draw
from adm.sampling.stages import Sampler
from adm.sampling.upsampler import Upsampler
from adm.training.stages import WEIGHTS
from adm.workload import workload
from imaging.data import to_model_range, to_uint8
from imaging.noise import IndexedNoise

pytestmark = pytest.mark.slow

COUNT = 5
ROUNDING = {"fp32": (1, 0.03), "bf16": (8, 0.3)}
"""Precision → grey levels of 255 that a value may differ by in another company, and the share of values that may."""
FEW = {"sample.steps": 3}
WAYS: dict[str, dict[str, Any]] = {
    "ancestral": {},
    "ancestral, unconditional": {"model.num_classes": None},
    "ancestral, guided": {"sample.guidance_scale": 5.0},
    "ancestral, guided at the mean": {"sample.guidance_scale": 5.0, "sample.guidance_at": "mean"},
    "ancestral, unconditional, guided": {"model.num_classes": None, "sample.guidance_scale": 5.0},
    "ancestral, away from no label, within an interval": {
        "train.label_dropout": 0.1,
        "model.null_class": True,
        "sample.guidance": "classifier_free",
        "sample.guidance_scale": 2.0,
        "sample.guidance_interval": [0, 500],
    },
    "respaced": {"sample.steps": [2, 1]},
    "DDIM": {"sample.sampler": "ddim", "sample.steps": "ddim4"},
    "DDIM, guided": {"sample.sampler": "ddim", "sample.guidance_scale": 5.0},
    "DDIM with noise": {"sample.sampler": "ddim", "sample.eta": 0.5},
    "temperature of the noise": {"sample.temperature": 0.8},
    "temperature of ε": {"sample.temperature": 1.1, "sample.temperature_scales": "epsilon"},
    "labels drawn": {"sample.labels": "drawn"},
    "two stages": {"base": "digits_4_to_8", "upsampler.steps": 3, "sample.guidance_scale": 0.0},
    "two stages, guided": {"base": "digits_4_to_8", "upsampler.steps": 3},
    "two stages, DDIM": {
        "base": "digits_4_to_8",
        "sample.sampler": "ddim",
        "upsampler.sampler": "ddim",
        "upsampler.steps": 3,
        "upsampler.eta": 0.3,
    },
}


def config_of(way: str, precision: str = "fp32") -> Config:
    options = dict(WAYS[way])
    base = options.pop("base", "digits")
    return Config.model_validate(workload.resolve(base, {**FEW, "sample.precision": precision, **options}))


def result(folder: Path, model: ModelConfig) -> Any:
    """A training's result, with weights that make the network say something."""
    folder.mkdir()
    torch.manual_seed(0)
    network = build(model)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    checkpoints.save(folder / WEIGHTS, network.state_dict(), model)
    return SimpleNamespace(file=lambda name: folder / name)


def context(c: Config, folder: Path) -> Any:
    """What the stage of a config gives its body."""
    inputs = {"model": result(folder / "model", c.model)}
    if c.classifier is not None:
        inputs["classifier"] = result(folder / "classifier", c.classifier.model)
    if c.upsampler is not None:
        inputs["upsampler"] = result(folder / "upsampler", c.upsampler.model)
    silent = {"progress": lambda done: None, "note": lambda name, value: None}
    return SimpleNamespace(config=draw(c, {}).config, device="cpu", inputs=inputs, **silent)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As a worker that was given one CPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextmanager
def starts() -> Iterator[dict[tuple[int, int], list[Any]]]:
    """What diffusion models are given at their first step: (pixels a side, image) → x_T and its label."""
    found: dict[tuple[int, int], list[Any]] = {}
    last: dict[int, int] = {}

    def remember(module: nn.Module, args: tuple[Any, ...]) -> None:
        if not isinstance(module, UNet):
            return
        x, t, y = args[0], int(args[1][0]), args[2] if len(args) > 2 else None
        size = x.shape[-1]
        if t > last.get(size, -1):  # timesteps fall until the next batch begins
            first = sum(side == size for side, _ in found)
            for row in range(len(x)):
                found[size, first + row] = [x[row].clone(), None if y is None else int(y[row])]
        last[size] = t

    handle = register_module_forward_pre_hook(remember)
    try:
        yield found
    finally:
        handle.remove()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("way", WAYS)
def test_sample_i_is_sample_i_whichever_way_it_is_drawn(way: str, precision: str, tmp_path: Path) -> None:
    c = config_of(way, precision)
    sampler = Sampler(context(c, tmp_path))
    drawn = {}
    for size in (1, 3, COUNT):
        batches = [np.arange(start, min(start + size, COUNT)) for start in range(0, COUNT, size)]
        with starts() as inputs:
            rows = [sampler({"id": ids}) for ids in batches]
        assert len(inputs) == COUNT * (2 if c.upsampler is not None else 1)
        columns = {name: np.concatenate([row[name] for row in rows]) for name in ("id", "label", "image")}
        drawn[size] = inputs, columns

    inputs, whole = drawn[COUNT]
    assert whole["image"].shape == (COUNT, 8, 8, 1)
    assert whole["image"].std() > 5, "the images are of something"
    assert len(np.unique(whole["image"], axis=0)) == COUNT
    for size in (1, 3):
        others, columns = drawn[size]
        assert inputs.keys() == others.keys()
        for image, (x, y) in inputs.items():
            assert torch.equal(x, others[image][0]), "x_T is the same to the bit"
            assert y == others[image][1]
        assert np.array_equal(columns["id"], whole["id"])
        assert np.array_equal(columns["label"], whole["label"])
        difference = np.abs(columns["image"].astype(int) - whole["image"])
        most, share = ROUNDING[precision]
        assert difference.max() <= most
        assert (difference > 0).mean() < share


def test_every_way_draws_other_images(tmp_path: Path) -> None:
    """No option is without effect: from the same noise and weights, no two ways come to the same."""
    images = {}
    for number, way in enumerate(WAYS):
        folder = tmp_path / str(number)
        folder.mkdir()
        images[way] = Sampler(context(config_of(way), folder))({"id": np.arange(4)})["image"].tobytes()
    assert len(set(images.values())) == len(WAYS)


def test_the_second_stage_gets_the_label_and_the_image_as_it_would_be_stored(tmp_path: Path) -> None:
    """So the two stages give in one go what they give in two, with the first one's images in a file between them."""
    c, ids = config_of("two stages, guided"), np.arange(4)
    assert c.upsampler is not None
    ctx = context(c, tmp_path)
    at_once = Sampler(ctx)({"id": ids})
    stored_prefix = {name: value for name, value in ctx.config.items() if name != "upsampler"}
    first = Sampler(SimpleNamespace(**{**vars(ctx), "config": stored_prefix}))({"id": ids})
    assert first["image"].shape == (4, 4, 4, 1)
    assert np.array_equal(first["label"], at_once["label"])

    network = checkpoints.load(ctx.inputs["upsampler"].file(WEIGHTS)).build().eval()
    second = Upsampler(network, ctx.config["upsampler"], c.seed, "cpu")
    stored, y = to_model_range(first["image"]), torch.from_numpy(first["label"])
    assert np.array_equal(to_uint8(second(stored, ids, y, lambda done: None)), at_once["image"])
    assert not np.array_equal(to_uint8(second(stored, ids, y.flip(0), lambda done: None)), at_once["image"])
    assert not np.array_equal(to_uint8(second(stored.flip(0), ids, y, lambda done: None)), at_once["image"])


def test_the_stages_draw_noise_of_their_own() -> None:
    base, upsampling = IndexedNoise(0), IndexedNoise(0, use="upsampling")
    assert not torch.equal(base.initial([5], (1, 8, 8)), upsampling.initial([5], (1, 8, 8)))
    assert not torch.equal(base.step([5], 3, (1, 8, 8)), upsampling.step([5], 3, (1, 8, 8)))
    assert torch.equal(upsampling.step([4, 5], 3, (1, 8, 8))[1:], upsampling.step([5], 3, (1, 8, 8)))
