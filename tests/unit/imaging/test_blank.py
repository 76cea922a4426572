"""Networks without values: what they have in common with others, and what they spare each process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from torch import nn

from adm import presets
from adm.models import build
from biggan.presets import digits
from biggan.published import from_config
from imaging.blank import allocate, blank

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "a diffusion model": lambda: build(presets.load("digits").model),
    "a classifier": lambda: build(presets.load("digits").classifier.model),
    "a generator": lambda: from_config(digits().generator),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_has_the_weights_of_an_initialised_one_but_for_their_values(name: str) -> None:
    with blank():
        network = NETWORKS[name]()
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"meta"}

    def described(network: nn.Module) -> dict[str, tuple[object, ...]]:
        state = {key: (value.shape, value.dtype) for key, value in network.state_dict().items()}
        return state | {key: (*state[key], weight.requires_grad) for key, weight in network.named_parameters()}

    assert described(network) == described(NETWORKS[name]())


def test_values_that_are_given_are_kept() -> None:
    with blank():
        network = nn.Linear(2, 3)
    allocate(network)
    nn.init.normal_(network.weight)
    nn.init.constant_(network.bias, 2.0)
    assert network.weight.std() > 0
    assert network.bias.tolist() == [2.0] * 3


@pytest.mark.slow
def test_no_compiler_is_imported() -> None:
    """Neither for the networks of adm, nor for Inception: it takes a process longer than torch itself."""
    code = """
import sys
from adm import presets
from adm.checkpoints.fit import expected_shapes
from imaging import InceptionV3
for name in ("digits", "classifier64", "upsample_64_256"):
    assert expected_shapes(presets.load(name).model)
InceptionV3()
print(*{"torch._dynamo", "sympy"} & set(sys.modules))
"""
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == ""
