"""Noise is truncated, and statistics for every truncation are those of the images that it draws."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

import biggan
from biggan.config import DiscriminatorConfig
from biggan.discriminator import Discriminator
from biggan.layers import Conv, orthogonal, settle
from biggan.noise import truncated


def small() -> biggan.BigGAN:
    torch.manual_seed(0)
    model = biggan.build(
        channel_width=8,
        z_dim=4,
        num_classes=3,
        layers=[(True, 16, 8), (False, 8, 1)],
        attention_layer_position=1,
        n_stats=3,
        out_channels=1,
    )
    orthogonal(model)
    settle(model)
    return model


def test_truncated_noise_is_a_normal_distribution_cut_off_at_2() -> None:
    normal = torch.randn(20_000, generator=torch.Generator().manual_seed(1))
    cut = truncated(normal)
    assert float(cut.abs().max()) < 2
    assert bool((cut[normal.argsort()].diff() >= 0).all()), "the order is another"
    assert stats.kstest(cut.numpy(), stats.truncnorm(-2, 2).cdf).pvalue > 0.01


def test_truncated_noise_of_extreme_numbers_is_finite() -> None:
    np.testing.assert_allclose(truncated(torch.tensor([-40.0, 0.0, 40.0])), [-2, 0, 2], atol=1e-5)


@torch.no_grad()
def test_collected_statistics_give_the_images_that_those_of_the_batch_give() -> None:
    model = small()
    generator = torch.Generator().manual_seed(2)
    z, y = torch.randn(64, 4, generator=generator), torch.arange(64) % 3
    for row, truncation in enumerate((0.0, 0.5, 1.0)):
        model.collect(row, [(truncation * z, y)])
    for truncation in (0.5, 1.0):
        stored = model(truncation * z, y, truncation)
        model.use("batch")
        torch.testing.assert_close(stored, model(truncation * z, y, truncation), atol=1e-5, rtol=0)
        model.use("stored")
    assert not torch.allclose(model(z, y, 1.0), model(z, y, 0.5))


@torch.no_grad()
def test_a_settled_weight_has_the_spectral_norm_1() -> None:
    torch.manual_seed(0)
    conv = Conv(6, 5, 3).eval()
    settle(conv)
    assert float(torch.linalg.matrix_norm(conv.weight.flatten(1), 2)) - 1 < 1e-3


@torch.no_grad()
def test_the_discriminator_sees_the_class() -> None:
    torch.manual_seed(0)
    config = DiscriminatorConfig(channel_width=8, layers=((True, 2, 4), (False, 4, 4)), attention_layer_position=1)
    network = Discriminator(config, in_channels=1, num_classes=3).eval()
    x = torch.randn(1, 1, 8, 8).expand(3, -1, -1, -1)
    scores = network(x, torch.arange(3))
    assert scores.shape == (3,)
    assert len({round(float(score), 6) for score in scores}) == 3
