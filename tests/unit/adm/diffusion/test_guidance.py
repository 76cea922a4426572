"""Guidance away from another network: in closed form for Gaussian classes, where it is none, and with every sampler."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adm.diffusion import Diffusion
from adm.diffusion.guidance import away_from_guide, no_gradient, received, with_guide, with_null_label, within
from adm.registries import MEANS, SAMPLERS

MEANS_OF_CLASSES = torch.tensor([-0.6, 0.1, 0.5])
"""Class k's images are N(m_k, s²) in every pixel."""
SPREAD = 0.2
NULL = len(MEANS_OF_CLASSES)
LABELS = torch.tensor([0, 2, 1, 2])


def signal(diffusion: Diffusion, x: Tensor, t: Tensor) -> Tensor:
    """ᾱ at real timesteps, (N, 1, 1, 1)."""
    steps = np.arange(diffusion.num_timesteps)
    return torch.from_numpy(np.interp(t.double().numpy(), steps, diffusion.alphas_cumprod)).to(x).view(-1, 1, 1, 1)


def denoised(diffusion: Diffusion, x: Tensor, t: Tensor, mean: Tensor) -> Tensor:
    """E[x_0 | x_t] for x_0 ~ N(m, s²): m + s²√ᾱ (x_t − √ᾱ m) / (s² ᾱ + 1 − ᾱ)."""
    a_bar = signal(diffusion, x, t)
    mean = mean.to(x).view(-1, 1, 1, 1)
    return mean + SPREAD**2 * a_bar.sqrt() * (x - a_bar.sqrt() * mean) / (SPREAD**2 * a_bar + 1 - a_bar)


def ideal(diffusion: Diffusion, mean_type: str, means: Tensor = MEANS_OF_CLASSES, spread_v: float = 0.3) -> Any:
    """The network that predicts Gaussian classes perfectly, with a variance that depends on the label. The null class
    is a fourth Gaussian, at 0."""
    of_labels = torch.cat([means, torch.zeros(1)])

    def model(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        x0 = denoised(diffusion, x, t, of_labels[y])
        a_bar = signal(diffusion, x, t)
        noise = (x - a_bar.sqrt() * x0) / (1 - a_bar).sqrt()
        predicted = MEANS[mean_type].load().target(diffusion, x0, x, t, noise)
        return torch.cat([predicted, spread_v * (1.0 + y.view(-1, 1, 1, 1)).expand_as(x)], dim=1)

    return model


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("mean", [name for name, _ in MEANS.items()])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1.7, 4.0])
def test_classifier_free_guidance_of_gaussian_classes(mean: str, scale: float, x: Tensor) -> None:
    """ε is affine in the class's mean, so guidance by w is the ideal ε of the class at w m, whatever is predicted."""
    diffusion = Diffusion(mean=mean)
    t = torch.tensor([999, 700, 250, 1])
    guided = away_from_guide(with_null_label(ideal(diffusion, mean), NULL), scale)
    output, v = diffusion.split(guided(x, t, y=LABELS), x)
    expected = denoised(diffusion, x, t, scale * MEANS_OF_CLASSES[LABELS])
    predicted = MEANS[mean].load().x0(diffusion, output, x, t)
    torch.testing.assert_close(predicted, expected, rtol=1e-5, atol=1e-6)
    assert v is not None
    own_variance = 0.3 * (1.0 + LABELS.view(-1, 1, 1, 1).to(x)).expand_as(x)
    torch.testing.assert_close(v, own_variance)


@pytest.mark.parametrize(("scale", "label"), [(1.0, LABELS), (0.0, torch.full((4,), NULL))])
def test_scale_1_is_the_model_and_0_its_guide_to_the_bit(scale: float, label: Tensor, x: Tensor) -> None:
    diffusion, t = Diffusion(), torch.tensor([900, 500, 100, 0])
    model = ideal(diffusion, "epsilon")
    for pixels in (x, x.float()):
        guided = away_from_guide(with_null_label(model, NULL), scale)(pixels, t, y=LABELS)
        assert torch.equal(guided[:, :1], model(pixels, t, y=label)[:, :1])


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_a_model_that_is_its_own_guide_stays_as_it_is(scale: float, x: Tensor) -> None:
    model, t = ideal(Diffusion(), "epsilon"), torch.tensor([900, 500, 100, 0])
    assert torch.equal(away_from_guide(with_guide(model, model), scale)(x, t, y=LABELS), model(x, t, y=LABELS))


def test_one_pass_is_two(x: Tensor) -> None:
    model, t = ideal(Diffusion(), "epsilon"), torch.tensor([900, 500, 100, 0])

    def unlabelled(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return model(x, t, torch.full_like(y, NULL))

    one, two = with_null_label(model, NULL)(x, t, y=LABELS), with_guide(model, unlabelled)(x, t, y=LABELS)
    assert all(map(torch.equal, one, two))
    with pytest.raises(ValueError, match="needs the labels"):
        with_null_label(model, NULL)(x, t)


def test_a_guide_with_a_fixed_variance_leaves_the_model_its_own(x: Tensor) -> None:
    model, t = ideal(Diffusion(), "epsilon"), torch.tensor([900, 500, 100, 0])
    narrow = with_guide(model, lambda *args, **kwargs: model(*args, **kwargs)[:, :1] * 0.9)
    guided = away_from_guide(narrow, 2.0)(x, t, y=LABELS)
    assert torch.equal(guided[:, 1:], model(x, t, y=LABELS)[:, 1:])
    torch.testing.assert_close(guided[:, :1], 1.1 * model(x, t, y=LABELS)[:, :1])


def test_an_interval_guides_the_timesteps_in_it_alone_and_evaluates_nothing_else(x: Tensor) -> None:
    evaluated = []

    def counted(x: Tensor, t: Tensor, **_: Any) -> Tensor:
        evaluated.append(t.tolist())
        return x + 1

    limited = within((200, 700), counted, no_gradient)
    assert torch.equal(limited(x, torch.full((4,), 700)), x + 1)
    assert torch.equal(limited(x, torch.full((4,), 200)), x + 1)
    assert len(evaluated) == 2
    assert not limited(x, torch.full((4,), 701)).any()
    assert not limited(x, torch.full((4,), 199)).any()
    assert len(evaluated) == 2
    mixed = limited(x, torch.tensor([199, 200, 700, 701]))
    assert torch.equal(mixed, torch.cat([torch.zeros_like(x[:1]), x[1:3] + 1, torch.zeros_like(x[:1])]))


@pytest.mark.parametrize("mean", [name for name, _ in MEANS.items()])
def test_an_interval_is_of_the_steps_of_the_process_whatever_the_network_receives(mean: str, x: Tensor) -> None:
    """Mean edm gives the network ln σ / 4, which respacing rounds in another way."""
    schedule = "karras"
    interval = received(Diffusion(schedule=schedule, mean=mean), (222, 777))
    process = Diffusion(schedule=schedule, mean=mean, respacing=[10])  # 0, 111, …, 999
    guided = []
    for step, timestep in enumerate(process.timestep_map):
        _, t = process.inputs(x.float(), torch.full((4,), step))
        if within(interval, lambda x, t: torch.ones_like(x), no_gradient)(x, t).all():
            guided.append(int(timestep))
    assert guided == [222, 333, 444, 555, 666, 777]
    assert received(Diffusion(schedule=schedule, mean=mean), (0, 999)) == (-math.inf, math.inf)


@pytest.mark.parametrize("sampler", [name for name, _ in SAMPLERS.items()])
def test_every_sampler_draws_the_guided_classes(sampler: str, x: Tensor) -> None:
    """From classes at ±0.4 of hardly any spread, guidance by 1.5 leads to ±0.6; an interval of everything is none."""
    diffusion = Diffusion(respacing=[50])
    model = ideal(diffusion_at_all_steps := Diffusion(), "epsilon", means=torch.tensor([-0.4, 0.0, 0.4]))
    guided = away_from_guide(with_null_label(model, NULL), 1.5)
    noise = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    options = {"noise": noise, "step_noise": lambda t: torch.zeros_like(noise), "model_kwargs": {"y": LABELS}}
    loop = SAMPLERS[sampler].load()
    drawn = loop(diffusion, guided, **options)
    spread = (drawn - 1.5 * torch.tensor([-0.4, 0.4, 0.0, 0.4], dtype=drawn.dtype).view(-1, 1, 1, 1)).abs().max()
    assert spread < 3 * SPREAD
    assert drawn[0].mean() < -0.5 < 0.5 < drawn[1].mean()
    everything = within((0, diffusion_at_all_steps.num_timesteps - 1), guided, model)
    assert torch.equal(loop(diffusion, everything, **options), drawn)
    nothing = loop(diffusion, within((1000, 1000), guided, model), **options)
    assert torch.equal(nothing, loop(diffusion, model, **options))
