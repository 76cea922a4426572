"""Inception against recorded features of an independent implementation, with weights made by rule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

import inception_by_rule
from imaging import InceptionV3
from imaging.extractors.inception import resized_as_tensorflow_1
from imaging.extractors.inception_network import Network

FIGURES = np.load(Path(__file__).parent / "oracle" / "inception.npz")
RECORDED = {"pool": "pool", "spatial": "spatial", "logits": "logits_unbiased"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return inception_by_rule.weights()


@pytest.fixture(scope="module")
def network(weights: dict[str, Tensor]) -> InceptionV3:
    return InceptionV3(weights)


def relative_error(got: Tensor, expected: npt.NDArray[Any]) -> float:
    return float(np.linalg.norm(got.numpy() - expected) / np.linalg.norm(expected))


@pytest.mark.slow
@pytest.mark.parametrize("side", [32, 299])
def test_features_are_the_recorded_ones(network: InceptionV3, side: int) -> None:
    features = network(inception_by_rule.images(side))
    for name, recorded in RECORDED.items():
        expected = FIGURES[f"inception/{side}/{recorded}"]
        assert features[name].shape == expected.shape
        assert features[name].dtype == torch.float32
        np.testing.assert_allclose(features[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)
        assert relative_error(features[name], expected) < 5e-6


def test_bf16_is_as_near_as_it_says(weights: dict[str, Tensor]) -> None:
    features = InceptionV3(weights, precision="bf16")(inception_by_rule.images(32))
    for name, allowed in {"pool": 6e-3, "spatial": 1.5e-2, "logits": 6e-3}.items():
        expected = FIGURES[f"inception/32/{RECORDED[name]}"]
        assert 1e-4 < relative_error(features[name], expected) < allowed
        assert features[name].dtype == torch.float32


def test_keys_and_shapes_are_those_of_the_published_file(network: InceptionV3) -> None:
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == inception_by_rule.shapes()


@pytest.mark.slow
def test_folding_changes_nothing_and_follows_what_is_loaded(weights: dict[str, Tensor]) -> None:
    """Against the plain layers, and after other weights were loaded, in the channel order that the images come in."""
    images = inception_by_rule.images(299)[:1]
    network = InceptionV3(weights)
    network(images)
    changed = {key: value * 1.25 if key.endswith("bn.weight") else value for key, value in weights.items()}
    network.load_state_dict(changed)
    plain = Network().eval()
    plain.load_state_dict(changed)
    with torch.no_grad():
        expected = plain.trunk((images.float() - 128) / 128)
    for order in (torch.contiguous_format, torch.channels_last):
        features = network(images.contiguous(memory_format=order))
        assert relative_error(features.pool, expected.pool.numpy()) < 5e-6
        assert relative_error(features.spatial, expected.spatial.numpy()) < 5e-6


@pytest.mark.parametrize(("height", "width", "side"), [(32, 48, 299), (299, 299, 299), (512, 300, 299), (5, 7, 3)])
def test_resizing_is_tensorflow_1s(height: int, width: int, side: int) -> None:
    images = torch.randint(0, 256, (1, 3, height, width), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)

    def along(pixels: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
        """Output i is at i · size / side, between the pixel below and the next, or the last."""
        size = pixels.shape[axis]
        at = np.arange(side) * size / side
        low = np.floor(at).astype(int)
        share = (at - low).reshape(-1, *[1] * (3 - axis))
        return pixels.take(low, axis) * (1 - share) + pixels.take(np.minimum(low + 1, size - 1), axis) * share

    expected = along(along(images.numpy().astype(np.float64), 2), 3)
    np.testing.assert_allclose(resized_as_tensorflow_1(images, side), expected, rtol=0, atol=1e-2)
