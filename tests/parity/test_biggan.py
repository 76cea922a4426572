"""BigGAN-deep's generator: outputs of an independent implementation, and the sizes of the published networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import biggan
from biggan.presets import LAYERS
from biggan_by_rule import weights_of

ORACLE = Path(__file__).parent / "oracle" / "biggan.npz"
SMALL: dict[str, Any] = {
    "channel_width": 8,
    "z_dim": 16,
    "num_classes": 10,
    "layers": [(False, 16, 16), (True, 16, 8), (False, 8, 8), (True, 8, 4), (False, 4, 2), (False, 2, 1)],
    "attention_layer_position": 3,
    "n_stats": 51,
    "eps": 1e-4,
}
LABELS = torch.tensor([0, 1, 9])


@pytest.fixture(scope="module")
def oracle() -> dict[str, Tensor]:
    with np.load(ORACLE) as archive:
        return {name: torch.from_numpy(archive[name]) for name in archive.files}


@pytest.fixture
def model() -> Iterator[biggan.BigGAN]:
    model = biggan.build(**SMALL)
    with torch.no_grad():
        yield biggan.load_published(model, weights_of(model))


@pytest.mark.parametrize("truncation", [0.1, 0.5, 1.0])
def test_images_equal_those_of_the_reference(
    model: biggan.BigGAN, oracle: dict[str, Tensor], truncation: float
) -> None:
    images = model(truncation * oracle["a/z"], LABELS, truncation)
    torch.testing.assert_close(images, oracle[f"a/{truncation}"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("row", range(51))
def test_a_truncation_on_the_grid_has_its_own_row_of_statistics(model: biggan.BigGAN, row: int) -> None:
    # Divided by 0.02, 0.3 is 14.999999999999998: the row below, to who rounds down.
    for norm in model.norms:
        norm.running_means.copy_(torch.arange(51.0)[:, None].expand_as(norm.running_means))
    seen = {norm: norm._at(norm.running_means, row / 50) for norm in model.norms}
    assert all(bool((mean == row).all()) for mean in seen.values())


@pytest.mark.parametrize(("truncation", "expected"), [(0.305, 15.25), (0.01, 0.5), (0.999, 49.95)])
def test_between_two_rows_the_nearer_one_weighs_more(model: biggan.BigGAN, truncation: float, expected: float) -> None:
    norm = model.norms[0]
    rows = torch.arange(51.0)[:, None].expand_as(norm.running_means)
    torch.testing.assert_close(norm._at(rows, truncation), torch.full((rows.shape[1],), expected))


@pytest.mark.parametrize(
    ("size", "parameters", "keys"), [(128, 50_388_609, 506), (256, 55_880_833, 602), (512, 56_163_905, 698)]
)
def test_the_published_networks_have_their_sizes(size: int, parameters: int, keys: int) -> None:
    with torch.device("meta"):
        model = biggan.build(
            channel_width=128, z_dim=128, num_classes=1000, layers=LAYERS[size], attention_layer_position=8
        )
    assert sum(weight.numel() for weight in model.parameters()) == parameters
    assert len(model.state_dict()) == keys
    assert model.config.image_size == size


def test_classes_and_truncations_that_there_are_none_of_are_refused(model: biggan.BigGAN) -> None:
    z = torch.zeros(1, 16)
    with pytest.raises(ValueError, match=r"classes from -1 to -1, allowed: 0 to 9"):
        model(z, torch.tensor([-1]), 1.0)
    with pytest.raises(ValueError, match=r"truncation is 1\.5, allowed: a number from 0 to 1"):
        model(z, torch.tensor([0]), 1.5)
