"""The memory that a plan counts for drawing, against what PyTorch allocates on the CPU."""

from __future__ import annotations

import pytest
import torch

from allocated import peak_of
from assay.workload import load_workload
from biggan.config import GeneratorConfig
from biggan.generator import BigGAN
from biggan.memory import drawing_memory

COUNT = 16
CASES = {
    "digits": {},
    "attention over many positions": {
        "channel_width": 32,
        "layers": [[False, 16, 16], [True, 16, 8], [True, 8, 4], [True, 4, 1]],
        "attention_layer_position": 3,
    },
    "wide and shallow": {"channel_width": 64, "layers": [[True, 16, 4], [False, 4, 4], [True, 4, 1]]},
}


def config(case: str) -> GeneratorConfig:
    digits = load_workload("biggan").resolve("digits_gan", {})["generator"]
    return GeneratorConfig(**{**digits, **CASES[case]})


@pytest.mark.parametrize("case", CASES)
def test_a_pass_is_counted_within_a_sixth(case: str) -> None:
    c = config(case)
    model = BigGAN(c).eval()
    z, y = torch.randn(COUNT, c.z_dim), torch.zeros(COUNT, dtype=torch.long)

    @torch.no_grad()
    def draw() -> None:
        model(z, y, 1.0)

    memory = drawing_memory(c, COUNT)
    counted = max(beside + COUNT * per_image for beside, per_image in memory.moments)
    assert counted == pytest.approx(peak_of(draw), rel=1 / 6)


@pytest.mark.parametrize("case", CASES)
def test_what_is_held_is_counted_within_a_twentieth(case: str) -> None:
    c = config(case)
    model = BigGAN(c)
    held = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    assert drawing_memory(c, 1).fixed == pytest.approx(held, rel=0.05)  # without the vectors of spectral norms
