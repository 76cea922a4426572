"""The solvers against diffusers' schedulers, over the same noise levels and with the same network.

Which levels a run visits is not compared where definitions differ. In its multistep schedulers, diffusers' `linspace`
leaves out step 0, where ours keeps both ends, and its Karras spacing rounds the timesteps but not σ (except for cosine
schedules), so its network is told a noise level up to half a step off, where ours gets the fractional timestep. Its
single-step scheduler takes every other step of a grid as the middle of a step, where ours halves λ. Its Euler and Heun
start from σ_max ε, where ours start from x_T/α. Hence the levels, and x_T, are given to it here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from adm.diffusion import Diffusion
from adm.diffusion.schedules import beta_schedule, relative_sigmas
from adm.registries import SAMPLERS

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
TOLERANCE = 1e-5
SHAPE = (2, 3, 8, 8)
X_T = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


BETAS = beta_schedule("linear", 1000)


def network(x: Tensor, t: Tensor) -> Tensor:
    """ε̂ of an x̂_0 that is bent, and depends on the timestep."""
    sigma = torch.from_numpy(np.exp(np.interp(t.numpy(), np.arange(1000), np.log(relative_sigmas(BETAS)))))
    sigma = sigma.reshape(-1, 1, 1, 1)
    alpha = (1 + sigma**2) ** -0.5
    x0 = torch.tanh(alpha * x + 0.1 * torch.sin(3 * x) * torch.cos(t.reshape(-1, 1, 1, 1) / 300))
    return (x / alpha - x0) / sigma


def guest(kind: Any, process: Diffusion, **options: Any) -> Any:
    """diffusers' scheduler, made to visit the levels of `process` in double precision."""
    scheduler = kind(trained_betas=BETAS, prediction_type="epsilon", **options)
    scheduler.set_timesteps(process.num_timesteps)
    sigmas = (process.noise_scales / process.signal_scales)[::-1]
    timesteps = process.timestep_map[::-1].astype(np.float64)
    if kind is HeunDiscreteScheduler:  # a level but the first occurs twice, as an end and as a start
        sigmas, timesteps = np.repeat(sigmas, 2)[1:], np.repeat(timesteps, 2)[1:]
    scheduler.sigmas = torch.tensor([*sigmas, 0.0], dtype=torch.float64)
    if kind is HeunDiscreteScheduler:
        scheduler.sigmas = torch.cat([scheduler.sigmas, scheduler.sigmas[-1:]])
    scheduler.timesteps = torch.tensor(timesteps.copy(), dtype=torch.float64)
    return scheduler


def run(scheduler: Any, x: Tensor, noises: list[Tensor] | None = None) -> Tensor:
    for index, t in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(x, t)
        added = {} if noises is None else {"variance_noise": noises[index]}
        x = scheduler.step(network(scaled, t.repeat(len(x))), t, x, **added).prev_sample
    return x


def ours(name: str, process: Diffusion, **options: Any) -> Tensor:
    return SAMPLERS[name].load()(process, network, noise=X_T, clip_denoised=False, **options)


def compared(name: str, images: Tensor, theirs: Tensor) -> None:
    difference = (images - theirs).abs().max().item()
    print(f"{name}: largest difference {difference:.1e} of images up to {images.abs().max():.2f}")
    assert difference < TOLERANCE


@pytest.fixture(params=["20", "5,4,3,2", "karras20"])
def process(request: pytest.FixtureRequest) -> Diffusion:
    return Diffusion(respacing=request.param, variance="fixed_small")


def test_dpmpp_2m(process: Diffusion) -> None:
    theirs = guest(DPMSolverMultistepScheduler, process, algorithm_type="dpmsolver++", final_sigmas_type="zero")
    compared("dpmpp_2m", ours("dpmpp_2m", process), run(theirs, X_T))


def test_dpmpp_sde_2m(process: Diffusion) -> None:
    theirs = guest(DPMSolverMultistepScheduler, process, algorithm_type="sde-dpmsolver++", final_sigmas_type="zero")
    generator = torch.Generator().manual_seed(1)
    noises = [torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(process.num_timesteps)]
    images = ours("dpmpp_sde_2m", process, step_noise=lambda index: noises[process.num_timesteps - 1 - index])
    compared("dpmpp_sde_2m", images, run(theirs, X_T, noises))


def test_dpmpp_2s(process: Diffusion) -> None:
    halved = process.with_midpoints()
    theirs = guest(DPMSolverSinglestepScheduler, halved, algorithm_type="dpmsolver++", final_sigmas_type="zero")
    theirs.order_list = [1, 2] * (process.num_timesteps - 1) + [1]
    compared("dpmpp_2s", ours("dpmpp_2s", process), run(theirs, X_T))


@pytest.mark.parametrize(("name", "order"), [("unipc", 2), ("unipc_3", 3)])
def test_unipc(process: Diffusion, name: str, order: int) -> None:
    theirs = guest(UniPCMultistepScheduler, process, solver_order=order, solver_type="bh2", final_sigmas_type="zero")
    compared(name, ours(name, process), run(theirs, X_T))


@pytest.mark.parametrize(("name", "kind"), [("edm_euler", EulerDiscreteScheduler), ("edm_heun", HeunDiscreteScheduler)])
def test_edm(process: Diffusion, name: str, kind: Any) -> None:
    theirs = guest(kind, process)
    compared(name, ours(name, process), run(theirs, X_T / process.signal_scales[-1]))


def test_karras_levels() -> None:
    """The σ, and the fractional timesteps by interpolation of log σ."""
    process = Diffusion(respacing="karras12", variance="fixed_small")
    theirs = EulerDiscreteScheduler(trained_betas=BETAS, use_karras_sigmas=True)
    theirs.alphas_cumprod = torch.from_numpy(np.cumprod(1 - BETAS))  # theirs in float32 is off by 8e-5 near the data
    theirs.set_timesteps(12)
    sigmas = (process.noise_scales / process.signal_scales)[::-1]
    np.testing.assert_allclose(theirs.sigmas[:-1].numpy(), sigmas, rtol=TOLERANCE)
    np.testing.assert_allclose(theirs.timesteps.numpy(), process.timestep_map[::-1], atol=1e-3)
    assert 0 < process.timestep_map[5] % 1 < 1
