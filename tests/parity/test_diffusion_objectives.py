"""Objectives and the bound, against values that theory gives."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from adm.diffusion import Diffusion

MEANS = ("epsilon", "x0", "v", "previous")
SHAPE = (4, 3, 8, 8)


def images(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """x0 and noise (4, 3, 8, 8), and t (4,) for 25 steps, 0 among them; float64."""
    generator = torch.Generator().manual_seed(seed)
    x0 = torch.rand(SHAPE, generator=generator, dtype=torch.float64) * 2 - 1
    return x0, torch.randn(SHAPE, generator=generator, dtype=torch.float64), torch.tensor([0, 1, 12, 24])


def velocity(diffusion: Diffusion, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """dx_t/dφ, where x_t = cos φ x_0 + sin φ ε."""
    phi = torch.from_numpy(diffusion.alphas_cumprod).sqrt().acos()[t].view(-1, 1, 1, 1)
    return phi.cos() * noise - phi.sin() * x0


@pytest.mark.slow
def test_the_bound_of_a_perfect_model_is_the_entropy_of_the_data() -> None:
    """For Gaussian data and the exact reverse process the bound is tight, in any spacing: 8 bits of N(0, 0.25²)."""
    s = 0.25
    diffusion = Diffusion(variance="learned", respacing="25")
    a_bars = torch.from_numpy(Diffusion().alphas_cumprod)
    index_of = torch.zeros(1000, dtype=torch.int64)
    index_of[torch.from_numpy(diffusion.timestep_map)] = torch.arange(25)

    def model(x: Tensor, t: Tensor) -> Tensor:
        a_bar, index = a_bars[t].view(-1, 1, 1, 1), index_of[t]
        total = a_bar * s**2 + 1 - a_bar
        factor = diffusion.at("posterior_mean_x0", index, x)
        variance = diffusion.at("posterior_variance", index, x) + factor**2 * s**2 * (1 - a_bar) / total
        return torch.cat([(1 - a_bar).sqrt() * x / total, variance.log().expand_as(x)], dim=1)

    torch.manual_seed(0)
    x0 = (s * torch.randn(8, 3, 32, 32, dtype=torch.float64) * 127.5).round() / 127.5
    out = diffusion.bits_per_dim(model, x0.clamp(-1, 1), clip_denoised=False)
    entropy = 0.5 * math.log2(2 * math.pi * math.e * s**2) + math.log2(127.5)
    # 24,576 values: the entropy of what was drawn differs by 0.72/√24576.
    assert out.total_bpd.mean().item() == pytest.approx(entropy, abs=0.015)
    assert out.vb.shape == out.mse.shape == out.xstart_mse.shape == (8, 25)
    torch.testing.assert_close(out.vb.sum(1) + out.prior_bpd, out.total_bpd)
    assert (out.prior_bpd < 1e-4).all()
    # From t = T−1 down: x_0 is ever better known, from not at all to all but a bin.
    assert (out.xstart_mse.mean(0)[-12:].diff() < 0).all()
    assert out.xstart_mse[:, 0].mean().item() == pytest.approx(s**2, rel=0.05)


def test_bits_per_dim_with_given_noise_repeats() -> None:
    diffusion = Diffusion(respacing="5")
    x0, noise, _ = images()

    def model(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([0.5 * x, x.tanh()], dim=1)

    first = diffusion.bits_per_dim(model, x0, noise=noise)
    again = diffusion.bits_per_dim(model, x0, noise=lambda t: noise)
    assert torch.equal(first.total_bpd, again.total_bpd)
    t = torch.full((4,), 4)
    assert torch.equal(first.vb[:, 0], diffusion.vlb_terms(model, x0, diffusion.q_sample(x0, t, noise), t).output)


def test_the_four_predictions_say_the_same() -> None:
    x0, noise, t = images()
    outputs = {}
    for mean in MEANS:
        diffusion = Diffusion(mean=mean, variance="fixed_large", respacing="25")
        x_t = diffusion.q_sample(x0, t, noise)
        truth = {"epsilon": noise, "x0": x0, "v": velocity(diffusion, x0, noise, t)}.get(mean)
        if truth is None:
            truth = diffusion.q_posterior(x0, x_t, t).mean
        assert diffusion.losses(lambda x, t, truth=truth: truth, x0, t, noise)["loss"].abs().max() < 1e-12
        outputs[mean] = diffusion.p_mean_variance(lambda x, t, truth=truth: truth, x_t, t)
    for mean in MEANS:
        torch.testing.assert_close(outputs[mean].mean, outputs["x0"].mean)
        torch.testing.assert_close(outputs[mean].pred_xstart, x0)


@pytest.mark.parametrize("mean", MEANS)
def test_mse_targets(mean: Any) -> None:
    diffusion = Diffusion(mean=mean, variance="fixed_small", respacing="25")
    x0, noise, t = images()
    terms = diffusion.losses(lambda x, t: torch.zeros_like(x), x0, t, noise)
    target = {"epsilon": noise, "x0": x0, "v": velocity(diffusion, x0, noise, t)}.get(mean)
    if target is None:
        target = diffusion.q_posterior_mean(x0, diffusion.q_sample(x0, t, noise), t)
    torch.testing.assert_close(terms["loss"], target.square().mean(dim=(1, 2, 3)))
    assert set(terms) == {"loss", "mse"}


def test_learned_range_reaches_from_the_posterior_variance_to_beta() -> None:
    x, _, t = images()
    small, large = Diffusion(variance="fixed_small", respacing="25"), Diffusion(variance="fixed_large", respacing="25")
    learned = Diffusion(respacing="25")
    for v, other in ((-1.0, small), (1.0, large)):
        out = learned.p_mean_variance(lambda x, t, v=v: torch.cat([x, torch.full_like(x, v)], dim=1), x, t)
        fixed = other.p_mean_variance(lambda x, t: x, x, t)
        torch.testing.assert_close(out.log_variance[1:], fixed.log_variance[1:])
        torch.testing.assert_close(out.variance, out.log_variance.exp())
        torch.testing.assert_close(out.mean, fixed.mean)


def test_learned_variance_is_the_output_itself() -> None:
    x, _, t = images()
    out = Diffusion(variance="learned", respacing="25").p_mean_variance(
        lambda x, t: torch.cat([x, torch.full_like(x, -3.0)], dim=1), x, t
    )
    torch.testing.assert_close(out.variance, torch.full_like(x, math.exp(-3.0)))


@pytest.mark.parametrize("loss", ["mse", "rescaled_mse"])
def test_the_bound_teaches_the_variance_only(loss: Any) -> None:
    x0, noise, t = images()
    output = torch.zeros(4, 6, 8, 8, dtype=torch.float64, requires_grad=True)
    terms = Diffusion(loss=loss, respacing="25").losses(lambda x, t: output, x0, t, noise)
    (gradient,) = torch.autograd.grad(terms["vb"].sum(), output)
    assert gradient[:, :3].abs().max() == 0
    assert gradient[:, 3:].abs().min() > 0
    torch.testing.assert_close(terms["loss"], terms["mse"] + terms["vb"])


def test_rescaling() -> None:
    x0, noise, t = images()

    def terms(loss: Any) -> dict[str, Tensor]:
        model = lambda x, t: torch.cat([0.5 * x, x.tanh()], dim=1)  # noqa: E731
        return Diffusion(loss=loss, respacing="25").losses(model, x0, t, noise)

    torch.testing.assert_close(terms("rescaled_mse")["vb"], terms("mse")["vb"] * 25 / 1000)
    torch.testing.assert_close(terms("rescaled_kl")["loss"], terms("kl")["loss"] * 25)
    torch.testing.assert_close(terms("kl")["loss"], terms("mse")["vb"])


def test_kl_reaches_the_mean() -> None:
    x0, noise, t = images()
    output = torch.zeros(4, 6, 8, 8, dtype=torch.float64, requires_grad=True)
    loss = Diffusion(loss="kl", respacing="25").losses(lambda x, t: output, x0, t, noise)["loss"]
    (gradient,) = torch.autograd.grad(loss.sum(), output)
    assert gradient[:, :3].abs().amax(dim=(1, 2, 3)).min() > 0


def test_q_marginals_follow_from_single_steps() -> None:
    """Equation 2 from equation 1, and the posterior of equations 4 and 5 from Bayes' rule."""
    diffusion = Diffusion(respacing="25")
    mean, variance = 1.0, 0.0
    for t, beta in enumerate(diffusion.betas):
        before_mean, before_variance = mean, variance
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        index = torch.tensor([t])
        one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        q = diffusion.q_mean_variance(one, index)
        assert q.mean.item() == pytest.approx(mean, rel=1e-12)
        assert q.variance.item() == pytest.approx(variance, rel=1e-10)
        gain = math.sqrt(1 - beta) * before_variance / variance
        posterior = diffusion.q_posterior(one, 0.3 * one, index)
        assert posterior.mean.item() == pytest.approx(before_mean + gain * (0.3 - mean), rel=1e-9)
        assert posterior.variance.item() == pytest.approx(before_variance * beta / variance, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    ("mean", "variance", "loss", "schedule"),
    list(
        itertools.product(
            MEANS,
            ("fixed_small", "fixed_large", "learned", "learned_range"),
            ("mse", "rescaled_mse", "kl", "rescaled_kl"),
            ("linear", "cosine"),
        )
    ),
)
def test_every_combination_trains_and_samples(mean: Any, variance: Any, loss: Any, schedule: str) -> None:
    diffusion = Diffusion(schedule, 100, "4", mean=mean, variance=variance, loss=loss)
    parts = 2 if variance.startswith("learned") else 1
    weight = torch.full((1,), 0.1, requires_grad=True)

    def model(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([weight * x] * parts, dim=1)

    x0, noise = torch.randn(2, 4, 3, 4, 4)
    terms = diffusion.losses(model, x0.clamp(-1, 1), torch.arange(4), noise)
    assert terms["loss"].shape == (4,)
    terms["loss"].mean().backward()
    assert weight.grad is not None
    assert torch.isfinite(weight.grad).all()
    for run in (diffusion.sample_loop, diffusion.ddim_loop):
        assert torch.isfinite(run(model, noise=noise)).all()
