"""The memory that a plan counts for Inception, against its tensors and what PyTorch allocates on the CPU."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

import inception_by_rule
from allocated import peak_of
from imaging.config import EvaluateConfig
from imaging.extractors.inception import InceptionV3
from imaging.extractors.inception_network import Network, folded
from imaging.extractors.memory import FOLDED_VALUES, INCEPTION_VALUES, of_inception


def test_its_weights_are_counted_exactly() -> None:
    with torch.device("meta"):
        network = Network()
    kept = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    assert sum(tensor.numel() for tensor in kept) == INCEPTION_VALUES
    assert sum(tensor.numel() for tensor in folded(network).state_dict().values()) == FOLDED_VALUES


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_an_image_takes_is_counted_within_a_tenth(precision: Literal["fp32", "bf16"]) -> None:
    network, images = InceptionV3(inception_by_rule.weights(), precision=precision), inception_by_rule.images(64)
    network(images)  # from now on, its copy that computes is there
    _, per_image = of_inception(EvaluateConfig(inception_precision=precision), {})
    assert len(images) * per_image == pytest.approx(peak_of(lambda: network(images)), rel=0.1)
