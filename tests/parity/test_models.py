"""The networks against figures of the published code: outputs, gradients, keys, shapes. Weights are made by rule."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adm import presets
from adm.checkpoints.fit import expected_shapes
from adm.models import build
from adm.models.layers import timestep_embedding

ORACLE = Path(__file__).parent / "oracle"
FIGURES = np.load(ORACLE / "golden.npz")
CASES = json.loads((ORACLE / "golden.json").read_text())
SHAPES = json.loads((ORACLE / "state_dict_shapes.json").read_text())
NETWORKS = [("unet", "unet"), ("super_res", "superres"), ("encoder", "classifier")]
ABSOLUTE = 1e-4
T = torch.tensor([3, 977])
Y = torch.tensor([1, 7])


def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))


def filled(model: nn.Module) -> nn.Module:
    """The same model with weights that depend on the names of its keys alone."""
    with torch.no_grad():
        for key, weight in model.state_dict().items():
            value = drawn(key, tuple(weight.shape))
            if weight.ndim >= 2:
                value *= weight[0].numel() ** -0.5
            else:
                value = 1 + 0.1 * value if key.endswith(".weight") else 0.1 * value
            weight.copy_(value)
    return model.eval()


def cases() -> list[Any]:
    return [
        pytest.param(kind, f"{section}/{name}", options, id=f"{kind}-{name}")
        for kind, section in NETWORKS
        for name, options in CASES[section].items()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("implementation", ["naive", "optimized"])
@pytest.mark.parametrize(("kind", "key", "case"), cases())
def test_outputs_are_those_of_the_published_code(
    kind: str, key: str, case: dict[str, Any], implementation: str
) -> None:
    options = {name: value for name, value in case.items() if name not in ("params", "input")}
    model = filled(build(kind=kind, implementation=implementation, **options))
    if "params" in case:
        assert sum(parameter.numel() for parameter in model.parameters()) == case["params"]
    size = case["image_size"]
    x = drawn("x", (2, 3, size, size)).requires_grad_()
    y = Y if "num_classes" in case else None
    low_res = drawn("low", (2, 3, size // 4, size // 4)) if kind == "super_res" else None
    out = model(x, T, y=y, low_res=low_res)
    expected = FIGURES[f"{key}/logits" if kind == "encoder" else key]
    np.testing.assert_allclose(out.detach(), expected, rtol=0, atol=ABSOLUTE)
    if kind == "encoder":
        chosen = torch.log_softmax(out, dim=-1)[range(2), Y].sum()
        np.testing.assert_allclose(torch.autograd.grad(chosen, x)[0], FIGURES[f"{key}/grad"], rtol=0, atol=1e-6)


def test_timestep_embedding() -> None:
    embedding = timestep_embedding(torch.tensor([0, 1, 17, 999]), 32)
    np.testing.assert_allclose(embedding, FIGURES["timestep_embedding/32"], rtol=0, atol=1e-6)
    assert timestep_embedding(torch.tensor([5]), 33)[0, -1] == 0


def published() -> list[str]:
    return [name for name in presets.names() if name not in presets.SMALL | presets.TWO_STAGE]


@pytest.mark.slow
@pytest.mark.parametrize("name", published())
def test_keys_and_shapes_are_those_of_the_published_checkpoints(name: str) -> None:
    expected = SHAPES["lsun" if name.startswith("lsun") else name]
    found = {key: list(shape) for key, shape in expected_shapes(presets.load(name).model).items()}
    assert list(found) == list(expected)
    assert found == expected
