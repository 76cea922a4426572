"""The solvers of the probability-flow ODE, on data whose ODE has a known solution: a Gaussian and a mixture of three.

An image's error is that where the run leaves step 0, after which all of them take x̂_0: that last step is not refined by
more steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor

from adm.diffusion import Diffusion, classifier_gradient
from adm.diffusion.levels import DATA, levels
from adm.diffusion.schedules import beta_schedule, relative_sigmas
from adm.registries import SAMPLERS, SCHEDULES
from guest_pieces.heun import heun_loop

WEIGHTS, MEANS, DEVIATIONS = torch.tensor([[0.3, 0.5, 0.2], [-1.0, 0.3, 1.2], [0.4, 0.6, 0.3]], dtype=torch.float64)
"""Of the mixture; its parts overlap."""
DEVIATION = 0.5
"""Of the Gaussian, around 0."""
X_T = torch.linspace(-2, 2, 9, dtype=torch.float64).reshape(-1, 1, 1, 1)
LOG_SIGMAS = np.log(relative_sigmas(beta_schedule("linear", 1000)))
SOLVERS = {name: sampler for name, sampler in SAMPLERS.items() if sampler.is_deterministic(eta=0)}
COUNTS = [24, 48, 96]


def scales(t: Tensor) -> tuple[Tensor, Tensor]:
    """α and σ at fractional timesteps, (N, 1, 1, 1)."""
    sigma = torch.from_numpy(np.exp(np.interp(t.numpy(), np.arange(1000), LOG_SIGMAS))).reshape(-1, 1, 1, 1)
    alpha = (1 + sigma**2) ** -0.5
    return alpha, alpha * sigma


def gaussian(x: Tensor, t: Tensor) -> Tensor:
    """E[x_0 | x_t] of the Gaussian."""
    alpha, sigma = scales(t)
    return alpha * DEVIATION**2 * x / (alpha**2 * DEVIATION**2 + sigma**2)


def gaussian_flow(x: Tensor, alpha: float, sigma: float, alpha_0: float, sigma_0: float) -> Tensor:
    """Where the ODE takes x: it keeps x in units of the marginal's deviation."""
    return x * math.sqrt((alpha_0**2 * DEVIATION**2 + sigma_0**2) / (alpha**2 * DEVIATION**2 + sigma**2))


def mixture(x: Tensor, t: Tensor) -> Tensor:
    """E[x_0 | x_t] of the mixture."""
    alpha, sigma = (part[..., None] for part in scales(t))
    variance = alpha**2 * DEVIATIONS**2 + sigma**2
    away = x[..., None] - alpha * MEANS
    share = (WEIGHTS.log() - variance.log() / 2 - away**2 / (2 * variance)).softmax(-1)
    return (share * (MEANS + alpha * DEVIATIONS**2 / variance * away)).sum(-1)


def mixture_flow(x: Tensor, alpha: float, sigma: float, alpha_0: float, sigma_0: float) -> Tensor:
    """In one dimension, the ODE keeps quantiles."""

    def share_below(value: float, alpha: float, sigma: float) -> float:
        deviations = (alpha**2 * DEVIATIONS**2 + sigma**2).sqrt()
        return float((WEIGHTS * torch.special.ndtr((value - alpha * MEANS) / deviations)).sum())

    def moved(value: float) -> float:
        share = share_below(value, alpha, sigma)
        return float(brentq(lambda to: share_below(to, alpha_0, sigma_0) - share, -20, 20, xtol=1e-14))

    return torch.tensor([moved(value) for value in x.flatten().tolist()], dtype=x.dtype).reshape(x.shape)


def process(steps: str = "karras20", **options: Any) -> Diffusion:
    return Diffusion(respacing=steps, **{"mean": "x0", "variance": "fixed_small", **options})


def run(name: str, diffusion: Diffusion, model: Any, x: Tensor = X_T, **options: Any) -> Tensor:
    return SAMPLERS[name].load()(diffusion, model, noise=x, **{"clip_denoised": False, **options})


def order(errors: list[float]) -> float:
    """The slope of a line through the logarithms of errors and step counts, with the sign of an order."""
    return -float(np.polyfit(np.log(COUNTS), np.log(errors), 1)[0])


@pytest.mark.parametrize(
    ("model", "flow"), [(gaussian, gaussian_flow), (mixture, mixture_flow)], ids=["gaussian", "mixture"]
)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ddim", 1),
        ("edm_euler", 1),
        ("edm_heun", 2),
        ("dpmpp_2m", 2),
        ("dpmpp_2s", 2),
        ("unipc", 3),
        ("unipc_3", 4),
    ],
)
def test_orders_of_convergence(name: str, expected: int, model: Any, flow: Callable[..., Tensor]) -> None:
    errors = []
    for count in COUNTS:
        diffusion = process(f"karras{count}")
        first, *_, last, _ = levels(diffusion)
        x = flow(X_T, first.alpha, first.sigma, last.alpha, last.sigma)
        exact = model(x, torch.zeros(len(x)))
        errors.append((run(name, diffusion, model) - exact).abs().max().item())
    print(f"{name}: order {order(errors):.2f}, errors {', '.join(f'{error:.1e}' for error in errors)}")
    assert order(errors) == pytest.approx(expected, abs=0.35)


def test_the_sde_converges_in_distribution() -> None:
    """For Gaussian data an image is linear in x_T and in each step's noise, so its variance is known exactly."""
    errors = []
    for count in COUNTS:
        diffusion = process(f"karras{count}")
        unit = torch.eye(count, dtype=torch.float64).reshape(count, count, 1, 1, 1)  # row 0: x_T, row i: step i's noise
        images = run("dpmpp_sde_2m", diffusion, gaussian, unit[0], step_noise=lambda index, unit=unit: unit[index])
        variance = (images**2).sum().item()
        *_, last, _ = levels(diffusion)
        marginal = last.alpha**2 * DEVIATION**2 + last.sigma**2
        exact = (last.alpha * DEVIATION**2) ** 2 / marginal  # of x̂_0
        errors.append(abs(variance - exact))
    print(f"dpmpp_sde_2m: weak order {order(errors):.2f}, errors {errors}")
    assert order(errors) > 1.7


@pytest.mark.parametrize("name", SAMPLERS.names())
@pytest.mark.parametrize("steps", ["2", "7", "karras7"])
def test_plans_count_its_evaluations_exactly(name: str, steps: str) -> None:
    evaluated = []

    def counted(x: Tensor, t: Tensor) -> Tensor:
        evaluated.append(t)
        return gaussian(x, t)

    diffusion, done = process(steps), []
    run(name, diffusion, counted, progress=lambda step, total: done.append((step, total)))
    total = diffusion.num_timesteps
    assert len(evaluated) == SAMPLERS[name].evaluations(total)
    assert done == [(step, total) for step in range(1, total + 1)]


def test_the_network_is_told_fractional_timesteps_where_it_is_asked_between_steps() -> None:
    told: list[float] = []

    def asked(x: Tensor, t: Tensor) -> Tensor:
        told.append(t[0].item())
        return gaussian(x, t)

    run("dpmpp_2s", process("3"), asked)
    assert told[::2] == [999, 500, 0]
    sigmas = np.exp(np.interp(told, np.arange(1000), LOG_SIGMAS))
    np.testing.assert_allclose(sigmas[1::2] ** 2, sigmas[:-1:2] * sigmas[2::2])  # halfway in λ
    run("edm_heun", whole := process("3"), asked)
    assert whole.original_timesteps(torch.arange(3)).dtype == torch.int64


def test_karras_spacing() -> None:
    diffusion = process("karras5")
    sigmas = diffusion.noise_scales / diffusion.signal_scales
    np.testing.assert_allclose(np.diff(sigmas ** (1 / 7), 2), 0, atol=1e-12)
    np.testing.assert_allclose(np.log(sigmas)[[0, -1]], LOG_SIGMAS[[0, -1]])
    np.testing.assert_allclose(diffusion.timestep_map[[0, -1]], [0, 999], atol=1e-9)
    np.testing.assert_allclose(np.interp(diffusion.timestep_map, np.arange(1000), LOG_SIGMAS), np.log(sigmas))
    for name in ("ddpm", "ddim"):  # all samplers take it
        assert run(name, diffusion, gaussian, step_noise=lambda index: 0 * X_T).isfinite().all()


@pytest.mark.parametrize("steps", ["10", "5,3,2", "karras10"])
def test_euler_is_ddim_and_heun_agrees_with_another(steps: str) -> None:
    diffusion = process(steps)
    torch.testing.assert_close(run("edm_euler", diffusion, mixture), run("ddim", diffusion, mixture))
    theirs = heun_loop(
        diffusion,
        mixture,
        noise=X_T,
        step_noise=lambda index: X_T,
        model_kwargs={},
        progress=lambda done, total: None,
        clip_denoised=False,
    )
    torch.testing.assert_close(run("edm_heun", diffusion, mixture), theirs)


@pytest.mark.parametrize("name", SOLVERS)
def test_what_the_network_predicts_does_not_matter(name: str) -> None:
    def epsilon(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = scales(t)
        return (x - alpha * mixture(x, t)) / sigma

    by_epsilon = run(name, process(mean="epsilon"), epsilon)
    torch.testing.assert_close(by_epsilon, run(name, process(), mixture), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_classifier_guides_every_one_of_them(name: str) -> None:
    """Guided by the likelihood of an observation y = x_t + noise of variance v, at x_t: towards y, by equation 60."""

    def classifier(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([x.flatten(1), 0 * x.flatten(1)], dim=1)

    labels = torch.zeros(len(X_T), dtype=torch.int64)
    options: dict[str, Any] = {"model_kwargs": {"y": labels}}

    def model(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return mixture(x, t)

    plain = run(name, process(), model, **options)
    no_gradient = run(name, process(), model, **options, cond_fn=classifier_gradient(classifier, 0.0))
    guided = run(name, process(), model, **options, cond_fn=classifier_gradient(classifier, 1.0))
    torch.testing.assert_close(no_gradient, plain)
    assert (guided > plain).all()


@pytest.mark.parametrize("name", [*SOLVERS, "dpmpp_sde_2m"])
def test_an_image_does_not_depend_on_its_batch_and_keeps_its_precision(name: str) -> None:
    x = X_T.float()

    def draw(rows: list[int]) -> Tensor:
        return run(name, process("6"), lambda x, t: mixture(x.double(), t), x[rows], step_noise=lambda _: x[rows] / 2)

    together = draw([0, 1, 2, 3])
    assert together.dtype == torch.float32
    torch.testing.assert_close(torch.cat([draw([0]), draw([1, 2, 3])]), together)


def test_levels_end_in_the_data() -> None:
    *steps, last = levels(process("4"))
    assert [level.index for level in steps] == [3, 2, 1, 0]
    assert last is DATA
    assert [level.log_snr for level in steps] == sorted(level.log_snr for level in steps)
    assert last.log_snr == math.inf


def test_a_process_of_one_step() -> None:
    for name in SOLVERS:
        torch.testing.assert_close(run(name, process("1"), gaussian), gaussian(X_T, torch.zeros(9)))


@pytest.mark.parametrize("schedule", [name for name, schedule in SCHEDULES.items() if schedule.is_zero_terminal])
def test_those_that_need_no_signal_start_from_pure_noise(schedule: str) -> None:
    """In float32: where x_T has no trace of x_0, only its mean can be told, and nothing may cancel."""

    def certain(x: Tensor, t: Tensor) -> Tensor:
        return torch.full_like(x, 0.5)

    diffusion, x = process("10", schedule=schedule), X_T.float()
    for name, sampler in SAMPLERS.items():
        if not sampler.needs_signal:
            images = run(name, diffusion, certain, x, step_noise=lambda index: x)
            torch.testing.assert_close(images, certain(x, x), rtol=0, atol=1e-5)
    infinite = process("10", schedule=schedule)
    infinite.coefficients.sqrt_alphas_cumprod[-1] = 0.0
    with np.errstate(divide="ignore"), pytest.raises(ValueError, match="ends in pure noise"):
        infinite.with_midpoints()


def test_facts_say_what_they_do() -> None:
    assert SAMPLERS["edm_heun"].evaluations(20) == SAMPLERS["dpmpp_2s"].evaluations(20) == 39
    assert SAMPLERS["unipc"].evaluations(20) == SAMPLERS["dpmpp_2m"].evaluations(20) == 20


def test_a_spline_puts_steps_where_its_weights_are() -> None:
    def log_sigmas(steps: str) -> Any:
        diffusion = process(steps)
        return np.log(diffusion.noise_scales / diffusion.signal_scales)

    even = log_sigmas("spline41:1,1,1,1")
    np.testing.assert_allclose(even, np.linspace(LOG_SIGMAS[0], LOG_SIGMAS[-1], 41))  # evenly in λ
    near_the_data = log_sigmas("spline41:5,3,1,1")
    parts = np.linspace(LOG_SIGMAS[0], LOG_SIGMAS[-1], 5)
    np.testing.assert_allclose(near_the_data[[0, 20, 32, 36, 40]], parts)  # 20, 12, 4 and 4 of 40 intervals
    assert (np.diff(near_the_data) > 0).all()
    for steps, told in (
        ("spline10", "needs 2 weights or more"),
        ("spline10:3", "needs 2 weights or more"),
        ("spline10:3,0", "integers above 0"),
        ("karras10:3,2", "does not take"),
        ("spline1:1,1", "allowed: 2 to 1000"),
    ):
        with pytest.raises(ValueError, match=told):
            process(steps)
