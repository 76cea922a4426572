"""Samplers on data whose answer is known.

The data are Gaussian, x_0 ~ N(m, s²) a pixel, so E[x_0 | x_t] and the optimal ε are affine in x_t, and so is every
sampler's step: x ← a·x + b + c·noise. Probing a step at two points gives a, b and c, and with them the exact mean and
variance of a run's samples in float64, without drawing any. One test draws them, to check the loops as users run them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adm.diffusion import Diffusion, interpolate_images
from adm.diffusion.process import CondFn, Model

M, S = 0.3, 0.4
"""Mean and standard deviation of the data."""
Y, R = 0.8, 0.5
"""An observation y = x_0 + N(0, R²), to guide towards; x_0 | y is Gaussian too."""
POSTERIOR_VARIANCE = 1 / (1 / S**2 + 1 / R**2)
POSTERIOR_MEAN = POSTERIOR_VARIANCE * (M / S**2 + Y / R**2)


A_BAR = torch.from_numpy(Diffusion().alphas_cumprod)


def a_bar_of(t: Tensor, like: Tensor) -> Tensor:
    """ᾱ of *original* timesteps, which is what models are told."""
    return A_BAR[t].to(like.dtype).view(-1, 1, 1, 1)


def gaussian_epsilon(m: float, s: float) -> Model:
    """E[ε | x_t] for data N(m, s²)."""

    def model(x: Tensor, t: Tensor) -> Tensor:
        a_bar = a_bar_of(t, x)
        return (1 - a_bar).sqrt() * (x - a_bar.sqrt() * m) / (a_bar * s**2 + 1 - a_bar)

    return model


def exact_reverse(diffusion: Diffusion, m: float, s: float) -> Model:
    """That, and the log variance of the true q(x_{t−1} | x_t): β̃ and what is not known of x_0. Any spacing is exact."""
    epsilon = gaussian_epsilon(m, s)
    index_of = torch.zeros(1000, dtype=torch.int64)
    index_of[torch.from_numpy(diffusion.timestep_map)] = torch.arange(diffusion.num_timesteps)

    def model(x: Tensor, t: Tensor) -> Tensor:
        index = index_of[t]
        a_bar = a_bar_of(t, x)
        unknown = s**2 * (1 - a_bar) / (a_bar * s**2 + 1 - a_bar)
        variance = (
            diffusion.at("posterior_variance", index, x) + diffusion.at("posterior_mean_x0", index, x) ** 2 * unknown
        )
        return torch.cat([epsilon(x, t), variance.log().expand_as(x)], dim=1)

    return model


def observation_gradient(scale: float = 1.0) -> CondFn:
    """∇ log p(y | x_t), where y | x_t ~ N(E[x_0 | x_t], Var(x_0 | x_t) + R²)."""

    def cond_fn(x: Tensor, t: Tensor) -> Tensor:
        a_bar = a_bar_of(t, x)
        total = a_bar * S**2 + 1 - a_bar
        slope = a_bar.sqrt() * S**2 / total
        expected = M + slope * (x - a_bar.sqrt() * M)
        return scale * slope * (Y - expected) / (S**2 * (1 - a_bar) / total + R**2)

    return cond_fn


StepFn = Callable[[Tensor, Tensor, Tensor], Tensor]


def final_moments(diffusion: Diffusion, step: StepFn) -> tuple[float, float]:
    """Exact mean and variance of the x_0 a sampler makes of the true q(x_T), in float64."""
    a_bar = float(diffusion.alphas_cumprod[-1])
    mean, variance = a_bar**0.5 * M, a_bar * S**2 + 1 - a_bar
    x = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).view(3, 1, 1, 1)
    noise = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).view(3, 1, 1, 1)
    for index in reversed(range(diffusion.num_timesteps)):
        b, a_and_b, c_and_b = step(x, torch.full((3,), index), noise).flatten().tolist()
        mean = (a_and_b - b) * mean + b
        variance = (a_and_b - b) ** 2 * variance + (c_and_b - b) ** 2
    return mean, variance


SPACINGS = ["", "250", "ddim25", "10,0,5,5,1", "2"]


@pytest.mark.parametrize("respacing", SPACINGS)
def test_ancestral_sampling_is_exact_with_the_true_variance(respacing: str) -> None:
    diffusion = Diffusion(respacing=respacing, variance="learned")
    model = exact_reverse(diffusion, M, S)

    def step(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return diffusion.p_sample(model, x, t, clip_denoised=False, noise=noise).sample

    mean, variance = final_moments(diffusion, step)
    # The last step adds no noise: what is then unknown of x_0, about β_0, is missing from the samples.
    a_bar = diffusion.alphas_cumprod[0]
    unknown = S**2 * (1 - a_bar) / (a_bar * S**2 + 1 - a_bar)
    assert mean == pytest.approx(M, abs=1e-10)
    assert variance == pytest.approx(S**2 - unknown, abs=1e-10)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_fixed_variances_bound_the_true_one(variance: Any) -> None:
    diffusion = Diffusion(variance=variance, respacing="100")

    def step(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return diffusion.p_sample(gaussian_epsilon(M, S), x, t, clip_denoised=False, noise=noise).sample

    mean, got = final_moments(diffusion, step)
    assert mean == pytest.approx(M, abs=1e-10)
    assert (got < S**2) if variance == "fixed_small" else (got > S**2)
    assert got == pytest.approx(S**2, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_converges_to_the_data_at_first_order(eta: float) -> None:
    errors = []
    for respacing in ("250", "500", ""):
        diffusion = Diffusion(variance="fixed_small", respacing=respacing)

        def step(x: Tensor, t: Tensor, noise: Tensor, diffusion: Diffusion = diffusion) -> Tensor:
            model = gaussian_epsilon(M, S)
            return diffusion.ddim_sample(model, x, t, clip_denoised=False, eta=eta, noise=noise).sample

        mean, variance = final_moments(diffusion, step)
        assert mean == pytest.approx(M, abs=0.003)
        errors.append(abs(variance / S**2 - 1))
    assert errors[2] < 0.02
    assert errors[1] / errors[0] == pytest.approx(1 / 2, rel=0.1)
    assert errors[2] / errors[1] == pytest.approx(1 / 2, rel=0.1)


@pytest.mark.slow
def test_ddim_at_eta_1_is_ancestral_sampling_with_the_small_variance() -> None:
    diffusion = Diffusion(variance="fixed_small", respacing="25")
    x, noise = torch.randn(2, 25, 1, 4, 4, dtype=torch.float64)
    t = torch.arange(25)
    model = gaussian_epsilon(M, S)
    ancestral = diffusion.p_sample(model, x, t, noise=noise)
    torch.testing.assert_close(diffusion.ddim_sample(model, x, t, eta=1.0, noise=noise).sample, ancestral.sample)


@pytest.mark.slow
@pytest.mark.parametrize("guidance_at", ["x_t", "mean"])
def test_guided_ancestral_sampling_converges_to_the_posterior(guidance_at: str) -> None:
    errors = []
    for respacing in ("25", "100", ""):
        diffusion = Diffusion(variance="learned", respacing=respacing)
        model = exact_reverse(diffusion, M, S)

        def step(x: Tensor, t: Tensor, noise: Tensor, diffusion: Diffusion = diffusion, model: Model = model) -> Tensor:
            return diffusion.p_sample(
                model,
                x,
                t,
                clip_denoised=False,
                cond_fn=observation_gradient(),
                noise=noise,
                guidance_at=guidance_at,
            ).sample

        mean, variance = final_moments(diffusion, step)
        errors.append((abs(mean - POSTERIOR_MEAN), abs(variance / POSTERIOR_VARIANCE - 1)))
    for finer, coarser in itertools.pairwise(reversed(errors)):
        assert finer[0] < coarser[0]
        assert finer[1] < coarser[1]
    assert errors[-1][0] < 0.005
    assert errors[-1][1] < 0.01


@pytest.mark.parametrize("respacing", SPACINGS)
def test_guided_ddim_is_ddim_of_the_posterior(respacing: str) -> None:
    """Equation 60 is exact: ε̂ of the prior and a true likelihood is the optimal ε of the posterior."""
    diffusion = Diffusion(variance="fixed_small", respacing=respacing)
    t = torch.arange(diffusion.num_timesteps)
    x = torch.randn(len(t), 1, 2, 2, dtype=torch.float64)
    options: dict[str, Any] = {"clip_denoised": False}
    guided = diffusion.ddim_sample(gaussian_epsilon(M, S), x, t, cond_fn=observation_gradient(), **options)
    direct = diffusion.ddim_sample(gaussian_epsilon(POSTERIOR_MEAN, POSTERIOR_VARIANCE**0.5), x, t, **options)
    torch.testing.assert_close(guided.sample, direct.sample, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "ddim η=1", "ddpm guided", "ddim guided"])
def test_drawn_samples_have_the_right_moments(sampler: str) -> None:
    diffusion = Diffusion(variance="learned", respacing="100")
    model = exact_reverse(diffusion, M, S)
    torch.manual_seed(0)
    options: dict[str, Any] = {"clip_denoised": False}
    if "guided" in sampler:
        options["cond_fn"] = observation_gradient()
    shape = (256, 1, 16, 16)
    if sampler.startswith("ddim"):
        images = diffusion.ddim_loop(model, shape, eta=float("η" in sampler), **options)
    else:
        images = diffusion.sample_loop(model, shape, **options)
    mean, variance = (POSTERIOR_MEAN, POSTERIOR_VARIANCE) if "guided" in sampler else (M, S**2)
    assert images.shape == shape
    # 65,536 values: standard errors of 0.0016 and 0.6 %; 100 steps leave guidance and DDIM a bias of several per cent.
    assert images.mean().item() == pytest.approx(mean, abs=0.02)
    assert images.var().item() == pytest.approx(variance, rel=0.02 if sampler == "ddpm" else 0.2)


def two_modes(x: Tensor, t: Tensor) -> Tensor:
    """E[ε | x_t] where each pixel is −0.6 or 0.6, give or take 0.1: a field with curvature, to invert."""
    a_bar = a_bar_of(t, x)
    total = a_bar * 0.01 + 1 - a_bar
    centre = 0.6 * a_bar.sqrt()
    expected = centre * torch.tanh(centre * x / total)
    return (1 - a_bar).sqrt() * (x - expected) / total


def test_inversion_returns_the_image() -> None:
    diffusion = Diffusion(variance="fixed_small", respacing="250")
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (4, 3, 8, 8), generator=generator) * 2 - 1
    x0 = (0.6 * signs + 0.1 * torch.randn(signs.shape, generator=generator)).double()
    latent = diffusion.ddim_reverse_loop(two_modes, x0)
    assert latent.std().item() == pytest.approx(1, abs=0.1)
    assert (diffusion.ddim_loop(two_modes, noise=latent) - x0).square().mean().sqrt() < 0.02


SHARED = 0.5
"""Standard deviation of what all pixels of an image have in common: its brightness."""


def bright_images(x: Tensor, t: Tensor) -> Tensor:
    """E[ε | x_t] for images of a brightness N(0, SHARED²) plus N(0, 0.1²) a pixel."""
    a_bar = a_bar_of(t, x)
    brightness = x.mean(dim=(1, 2, 3), keepdim=True)
    pixels = x[0].numel()
    private = a_bar * 0.01 + 1 - a_bar
    together = private + a_bar * SHARED**2 * pixels
    return (1 - a_bar).sqrt() * ((x - brightness) / private + brightness / together)


@pytest.mark.slow
def test_reversing_249_of_250_steps_reconstructs_better_than_all() -> None:
    """Appendix H. x_T keeps a trace √ᾱ_T x_0, which counts where pixels have much in common; the last step drops it."""
    diffusion = Diffusion(variance="fixed_small", respacing="250")
    level = torch.tensor([-0.7, 0.5], dtype=torch.float64).view(2, 1, 1, 1)
    x0 = level + 0.1 * torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    errors = []
    for steps in (249, 250):
        latent = diffusion.ddim_reverse_loop(bright_images, x0, num_steps=steps, clip_denoised=False)
        decoded = diffusion.ddim_loop(bright_images, noise=latent, clip_denoised=False)
        errors.append((decoded - x0).square().mean().sqrt().item())
    assert errors[0] < 0.02
    assert errors[1] > 4 * errors[0]


@pytest.mark.slow
def test_interpolated_images_start_and_end_at_the_images() -> None:
    diffusion = Diffusion(variance="fixed_small", respacing="250")
    first, second = torch.full((2, 3, 4, 4), 0.55).double(), torch.full((2, 3, 4, 4), -0.65).double()
    for steps in (None, 200):
        images = interpolate_images(diffusion, two_modes, first, second, [0, np.pi / 4, np.pi / 2], num_steps=steps)
        assert images.shape == (3, 2, 3, 4, 4)
        assert (images[0] - first).abs().max() < 0.02
        assert (images[-1] - second).abs().max() < 0.02
