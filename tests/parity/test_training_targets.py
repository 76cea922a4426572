"""v-prediction, Min-SNR-γ and zero terminal SNR, against algebra and diffusers' scheduler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from adm.config import DiffusionConfig
from adm.diffusion import Diffusion, beta_schedule

STEPS = 50
SHAPE = (3, 2, 4, 4)


def drawn(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x0 = torch.rand(SHAPE, generator=generator, dtype=torch.float64) * 2 - 1
    return x0, torch.randn(SHAPE, generator=generator, dtype=torch.float64)


def scheduler(schedule: str, **options: Any) -> DDIMScheduler:
    """Of the same β, float32; diffusers' own rescaling is applied to them."""
    betas = beta_schedule(schedule, STEPS)
    return DDIMScheduler(
        num_train_timesteps=STEPS, trained_betas=betas, clip_sample=False, prediction_type="v_prediction", **options
    )


def test_v_is_that_of_diffusers() -> None:
    theirs, ours = scheduler("linear"), Diffusion("linear", STEPS, mean="v", variance="fixed_small")
    x0, noise = drawn()
    t = torch.tensor([0, 20, STEPS - 1])
    x_t = ours.q_sample(x0, t, noise)
    torch.testing.assert_close(ours.target(x0, x_t, t, noise), theirs.get_velocity(x0, noise, t), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("schedule", "of", "is_zero"),
    [("linear", "linear", False), ("linear_zero_snr", "linear", True), ("cosine_zero_snr", "cosine", True)],
)
def test_ddim_with_v_is_that_of_diffusers(schedule: str, of: str, is_zero: bool) -> None:
    """Whole runs from the last step on; the last step's ᾱ is below 1e-11 here and 0 there."""
    theirs = scheduler(of, rescale_betas_zero_snr=is_zero)
    ours = Diffusion(schedule, STEPS, mean="v", variance="fixed_small")

    def model(x: Tensor, t: Tensor) -> Tensor:
        return 0.3 * x + 0.1 * (x * (1 + t.view(-1, 1, 1, 1) / STEPS)).sin()

    _, x = drawn()
    theirs.set_timesteps(STEPS)
    for t in theirs.timesteps:
        x = theirs.step(model(x, t.expand(len(x))), t, x).prev_sample
    sampled = ours.ddim_loop(model, noise=drawn()[1], clip_denoised=False)
    torch.testing.assert_close(sampled, x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", [25, 1000])
@pytest.mark.parametrize(("schedule", "of"), [("linear_zero_snr", "linear"), ("cosine_zero_snr", "cosine")])
def test_zero_terminal_snr_is_that_of_diffusers(schedule: str, of: str, steps: int) -> None:
    betas = beta_schedule(of, steps)
    theirs = DDIMScheduler(trained_betas=betas, num_train_timesteps=steps, rescale_betas_zero_snr=True)
    ours = Diffusion(schedule, steps, mean="v").alphas_cumprod
    np.testing.assert_allclose(np.sqrt(ours), theirs.alphas_cumprod.sqrt().numpy(), atol=1e-5)
    assert 0 < ours[-1] < 1e-11


@pytest.mark.parametrize("schedule", ["linear_zero_snr", "cosine_zero_snr"])
@pytest.mark.parametrize("respacing", ["", "1", "25", "ddim25"])
def test_tables_of_a_zero_terminal_snr_are_finite(schedule: str, respacing: str) -> None:
    diffusion = Diffusion(schedule, 1000, respacing, mean="v")
    for name, table in vars(diffusion.coefficients).items():
        assert np.isfinite(table).all(), name
        assert np.isfinite(table.astype(np.float32)).all(), name


def test_the_noise_is_found_where_there_is_nothing_else() -> None:
    """At the last step in float32, where x_t is ε itself."""
    diffusion = Diffusion("linear_zero_snr", 1000, mean="v")
    x0, noise = (tensor.float() for tensor in drawn())
    t = torch.full((len(x0),), 999)
    x_t = diffusion.q_sample(x0, t, noise)
    torch.testing.assert_close(x_t, noise)
    torch.testing.assert_close(diffusion.epsilon_from_x0(x_t, t, x0), noise)


@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_weighs_errors_of_x0_alike_for_every_prediction(gamma: float) -> None:
    """The equations of section 3.4, and one loss whatever the network predicts."""
    x0, noise = drawn()
    t = torch.tensor([0, 20, STEPS - 1])
    losses = {}
    for mean in ("x0", "epsilon", "v", "previous"):
        options = {"mean": mean, "variance": "fixed_small", "loss": "min_snr", "min_snr_gamma": gamma}
        diffusion = Diffusion("linear", STEPS, **options)
        x_t = diffusion.q_sample(x0, t, noise)
        guessed = diffusion.target(0.9 * x0, x_t, t, diffusion.epsilon_from_x0(x_t, t, 0.9 * x0))
        terms = diffusion.losses(lambda x, t, guessed=guessed: guessed, x0, t, noise)
        losses[mean] = terms["loss"]
        a_bar = torch.from_numpy(diffusion.alphas_cumprod)[t]
        snr = a_bar / (1 - a_bar)
        clipped = snr.clamp(max=gamma)
        weight = {"x0": clipped, "epsilon": clipped / snr, "v": clipped / (snr + 1)}
        if mean in weight:
            torch.testing.assert_close(terms["loss"], weight[mean] * terms["mse"])
    for mean, loss in losses.items():
        torch.testing.assert_close(loss, losses["x0"], msg=mean)


def test_min_snr_leaves_the_bound_to_the_variance() -> None:
    x0, noise = drawn()
    t = torch.tensor([0, 20, STEPS - 1])

    def model(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([0.5 * x, x.tanh()], dim=1)

    def terms(loss: str) -> dict[str, Tensor]:
        return Diffusion("linear", STEPS, loss=loss).losses(model, x0, t, noise)

    plain, weighted = terms("mse"), terms("min_snr")
    assert torch.equal(weighted["vb"], plain["vb"])
    assert (weighted["loss"] < plain["loss"]).any()


def test_the_config_says_gamma() -> None:
    config = DiffusionConfig(loss="min_snr", min_snr_gamma=1.0, variance="fixed_small")
    x0, noise = drawn()
    t = torch.tensor([0, 1, 2])
    mine, theirs = (
        Diffusion.from_config(config.model_copy(update={"min_snr_gamma": gamma})).losses(lambda x, t: x, x0, t, noise)
        for gamma in (1.0, 5.0)
    )
    torch.testing.assert_close(5 * mine["loss"], theirs["loss"])
