"""The sampling stage does what the functions of adm.diffusion do, with the options of its config."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from adm import checkpoints, presets
from adm.diffusion import Diffusion, classifier_gradient
from adm.models import build
from adm.sampling.stages import Sampler, to_uint8
from adm.training.stages import WEIGHTS
from imaging.noise import IndexedNoise, labels

IDS = np.arange(4)
SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The digits' model and classifier as stage results, with weights that make them say something."""
    config = presets.load("digits")
    assert config.classifier is not None
    results = {}
    for name, model in (("model", config.model), ("classifier", config.classifier.model)):
        torch.manual_seed(0)
        network = build(model)
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
        folder = tmp_path_factory.mktemp(name)
        checkpoints.save(folder / WEIGHTS, network.state_dict(), model)
        results[name] = SimpleNamespace(file=lambda file, folder=folder: Path(folder / file))
    return results


@pytest.mark.slow
@pytest.mark.parametrize("guidance_at", ["x_t", "mean"])
def test_the_gradient_is_taken_where_the_config_says(inputs: dict[str, Any], guidance_at: str) -> None:
    config = presets.load("digits")
    sample = config.sample.model_copy(
        update={"steps": 4, "guidance_scale": 20.0, "guidance_at": guidance_at, "precision": "fp32"}
    )
    values = {"seed": 3, "diffusion": config.diffusion.model_dump(), "sample": sample.model_dump()}
    said: dict[str, Any] = {}
    context: Any = SimpleNamespace(
        config=values, device="cpu", inputs=inputs, progress=lambda done: None, note=said.__setitem__
    )
    images = Sampler(context)({"id": IDS})["image"]

    model, classifier = (
        checkpoints.load(inputs[name].file(WEIGHTS)).build().eval() for name in ("model", "classifier")
    )
    noise, y = IndexedNoise(3), labels(IDS, 10)
    diffusion = Diffusion.from_config(config.diffusion, 4)

    def draw(where: str) -> np.ndarray[Any, Any]:
        x0 = diffusion.sample_loop(
            model,
            noise=noise.initial(IDS, SHAPE),
            step_noise=lambda t: noise.step(IDS, t, SHAPE),
            cond_fn=classifier_gradient(lambda x, t: classifier(x, t), 20.0),
            model_kwargs={"y": y},
            guidance_at=where,
        )
        return to_uint8(x0)

    assert said == {"sample.precision": "fp32"}
    assert np.array_equal(images, draw(guidance_at))
    assert not np.array_equal(images, draw("mean" if guidance_at == "x_t" else "x_t"))


@pytest.mark.slow
def test_weights_are_cast_once_per_batch(inputs: dict[str, Any]) -> None:
    """Not in every step: PyTorch keeps what it casts until `computing_in` ends, guided or not."""
    config = presets.load("digits")

    def casts(steps: int) -> int:
        sample = config.sample.model_copy(update={"steps": steps, "guidance_scale": 1.0, "precision": "bf16"})
        values = {"seed": 3, "diffusion": config.diffusion.model_dump(), "sample": sample.model_dump()}
        context: Any = SimpleNamespace(
            config=values, device="cpu", inputs=inputs, progress=lambda done: None, note=lambda path, value: None
        )
        sampler = Sampler(context)
        with torch.profiler.profile() as profile:
            sampler({"id": IDS[:1]})
        return sum(event.count for event in profile.key_averages() if event.key == "aten::_to_copy")

    two, three = casts(2), casts(3)
    networks = [checkpoints.load(inputs[name].file(WEIGHTS)).build() for name in ("model", "classifier")]
    weights = sum(isinstance(m, torch.nn.Conv2d | torch.nn.Conv1d) for n in networks for m in n.modules())
    assert two - 2 * (three - two) > weights
