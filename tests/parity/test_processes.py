"""The contract of every diffusion process: forward, loss and sampler, in closed form for Gaussian data N(M, S²).

A process is a schedule, what the network predicts, and how its timesteps are drawn in training.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_edm_euler import EDMEulerScheduler
from torch import Tensor

from adm.diffusion import Diffusion, timestep_sampler
from adm.diffusion.schedules import karras_sigma, karras_timestep
from adm.registries import MEANS, SAMPLERS, SCHEDULES

M, S = 0.3, 0.4
CORNERS = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=2)), dtype=torch.float64)
"""(x_0 − M)/S and ε of four images of one pixel, (4, 2). Second moments over them are those of the two Gaussians."""


@dataclass(frozen=True)
class Case:
    schedule: str
    mean: str
    timesteps: str = "uniform"
    options: dict[str, Any] = field(default_factory=dict)

    def process(self, respacing: str = "") -> Diffusion:
        return Diffusion(self.schedule, 1000, respacing, self.mean, "fixed_small", **self.options)


CASES = {
    "ADM": Case("linear", "epsilon"),
    "ADM at 64 pixels": Case("cosine", "epsilon"),
    "x0": Case("cosine", "x0"),
    "v": Case("linear", "v"),
    "zero terminal SNR": Case("linear_zero_snr", "v"),
    "zero terminal SNR, cosine": Case("cosine_zero_snr", "x0"),
    "EDM": Case("karras", "edm", "log_normal", {"sigma_data": 0.6}),
    "EDM on linear": Case("linear", "edm"),
    "v between EDM's steps": Case("karras", "v", "log_normal"),
}


def pixels(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


class Ideal:
    """The network that predicts E[x_0 | x_t], from what the process hands to it; `error` is added to its output."""

    def __init__(self, process: Diffusion, t: Tensor | None = None, error: float = 0.0) -> None:
        self.process, self.t, self.error = process, t, error

    def __call__(self, received: Tensor, timesteps: Tensor) -> Tensor:
        t = self._index(timesteps) if self.t is None else self.t
        x_t = received * self._received_per_x(t)
        x0 = expected_x0(self.process, x_t, t)
        return self.process.target(x0, x_t, t, self.process.epsilon_from_x0(x_t, t, x0)) + self.error

    def _index(self, timesteps: Tensor) -> Tensor:
        """The respaced index of what the network received as its timestep."""
        every = torch.arange(self.process.num_timesteps)
        received = self.process.original_timesteps(every)
        if MEANS[self.process.mean].is_preconditioned:
            received = sigma(self.process, every).flatten().log() / 4
        return (timesteps.double()[:, None] - received).abs().argmin(dim=1)

    def _received_per_x(self, t: Tensor) -> Tensor | float:
        if not MEANS[self.process.mean].is_preconditioned:
            return 1.0
        s = sigma(self.process, t)
        return (s**2 + self.process.sigma_data**2).sqrt() / (1 + s**2).sqrt()


def sigma(process: Diffusion, t: Tensor) -> Tensor:
    return process.at("sqrt_recipm1_alphas_cumprod", t, torch.ones(1, 1, 1, 1, dtype=torch.float64))


def expected_x0(process: Diffusion, x_t: Tensor, t: Tensor) -> Tensor:
    """E[x_0 | x_t] = M + √ᾱ S²/(ᾱ S² + 1 − ᾱ) (x_t − √ᾱ M)."""
    a_bar = process.at("alphas_cumprod", t, x_t)
    return M + a_bar.sqrt() * S**2 / (a_bar * S**2 + 1 - a_bar) * (x_t - a_bar.sqrt() * M)


def solvers(schedule: str) -> list[str]:
    """The deterministic samplers that evaluate the network at the steps alone, where `Ideal` knows the noise level."""
    at_steps = (name for name, entry in SAMPLERS.items() if not entry.takes_fractional_timesteps)
    is_noise = SCHEDULES[schedule].is_zero_terminal
    return [
        name
        for name in at_steps
        if SAMPLERS[name].is_deterministic(0.0) and not (is_noise and SAMPLERS[name].needs_signal)
    ]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
class TestEveryProcess:
    def timesteps(self, case: Case, count: int = 5) -> Tensor:
        return timestep_sampler(case.timesteps, 1000).sample(count, generator=torch.Generator().manual_seed(1))[0]

    def test_forward(self, case: Case) -> None:
        """x_t has mean √ᾱ M and variance ᾱ S² + 1 − ᾱ, also at the timesteps of a training; x_T is near N(0, 1)."""
        process = case.process()
        x0, noise = pixels(M + S * CORNERS[:, 0]), pixels(CORNERS[:, 1])
        for t in (*self.timesteps(case), torch.tensor(0), torch.tensor(999)):
            every = t.expand(4)
            a_bar = process.at("alphas_cumprod", every, x0)[0].item()
            x_t = process.q_sample(x0, every, noise)
            assert x_t.mean().item() == pytest.approx(a_bar**0.5 * M, abs=1e-12)
            assert x_t.var(correction=0).item() == pytest.approx(a_bar * S**2 + 1 - a_bar, rel=1e-10)
        assert x_t.mean().abs() < 0.01
        assert x_t.var(correction=0).item() == pytest.approx(1, abs=1e-3)

    def test_loss(self, case: Case) -> None:
        """The least loss is Var[x_0 | x_t] = S² (1−ᾱ)/(ᾱ S² + 1 − ᾱ), in units of the prediction; E[x_0 | x_t] has it,
        and an error of its own adds its square."""
        process = case.process()
        x0, noise = pixels(M + S * CORNERS[:, 0]), pixels(CORNERS[:, 1])
        for t in self.timesteps(case):
            every = t.expand(4)
            a_bar = process.at("alphas_cumprod", every, x0)[0].item()
            least = S**2 * (1 - a_bar) / (a_bar * S**2 + 1 - a_bar)
            in_units = least / process.x0_scale(every, x0)[0].item() ** 2
            for error in (0.0, 0.1):
                loss = process.losses(Ideal(process, every, error), x0, every, noise)["loss"]
                assert loss.mean().item() == pytest.approx(in_units + error**2, rel=1e-6)

    def test_sampler(self, case: Case) -> None:
        """DDIM at η = 0 follows x_0 = M + S (x_T − √ᾱ_T M)/√(ᾱ_T S² + 1 − ᾱ_T), ever closer with more steps."""
        x_T = pixels(torch.linspace(-2, 2, 5, dtype=torch.float64))
        errors = []
        for steps in ("125", "500"):
            process = case.process(steps)
            a_bar = process.alphas_cumprod[-1]
            exact = M + S * (x_T - a_bar**0.5 * M) / (a_bar * S**2 + 1 - a_bar) ** 0.5
            sampled = process.ddim_loop(Ideal(process), noise=x_T, clip_denoised=False)
            errors.append((sampled - exact).abs().max().item())
        assert errors[1] < 0.01
        assert errors[1] < 0.5 * errors[0]

    def test_every_solver(self, case: Case) -> None:
        """Every deterministic sampler that can start there follows the same curve."""
        x_T = pixels(torch.linspace(-2, 2, 5, dtype=torch.float64))
        process = case.process("60")
        a_bar = process.alphas_cumprod[-1]
        exact = M + S * (x_T - a_bar**0.5 * M) / (a_bar * S**2 + 1 - a_bar) ** 0.5
        for name in solvers(case.schedule):
            sampled = SAMPLERS[name].load()(process, Ideal(process), noise=x_T, clip_denoised=False)
            assert (sampled - exact).abs().max() < 0.06, name


def test_preconditioning_is_that_of_diffusers() -> None:
    theirs = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5, rho=7.0, num_train_timesteps=1000)
    process = Diffusion("karras", 1000, mean="edm", variance="fixed_small")
    generator = torch.Generator().manual_seed(0)
    x, output = torch.randn(2, 6, 3, 4, 4, generator=generator, dtype=torch.float64)
    t = torch.tensor([0, 1, 300, 500, 900, 999])
    s = sigma(process, t)
    received = []

    def network(x: Tensor, timesteps: Tensor) -> Tensor:
        received.extend([x, timesteps])
        return output

    x_t = x / (1 + s**2).sqrt()
    x0 = process.p_mean_variance(network, x_t, t, clip_denoised=False).pred_xstart
    for i in range(len(t)):
        torch.testing.assert_close(received[0][i], theirs.precondition_inputs(x[i], s[i]), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(received[1][i], theirs.precondition_noise(s[i]).squeeze(), rtol=1e-5, atol=1e-5)
        expected = theirs.precondition_outputs(x[i], output[i], s[i])
        torch.testing.assert_close(x0[i], expected, rtol=1e-5, atol=1e-5)


def test_the_karras_schedule_is_that_of_diffusers() -> None:
    theirs = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0)
    theirs.set_timesteps(1000)
    process = Diffusion("karras", 1000, mean="edm", variance="fixed_small")
    ours = sigma(process, torch.arange(1000)).flatten().flip(0)
    torch.testing.assert_close(ours, theirs.sigmas[:-1].double(), rtol=1e-5, atol=1e-5)


def test_log_normal_timesteps() -> None:
    t, weights = timestep_sampler("log_normal", 1000).sample(20_000, generator=torch.Generator().manual_seed(0))
    log_sigma = karras_sigma(t, 1000).log()
    assert log_sigma.mean().item() == pytest.approx(-1.2, abs=0.03)
    assert log_sigma.std().item() == pytest.approx(1.2, abs=0.03)
    assert (weights == 1).all()
    assert not (t == t.round()).any()
    torch.testing.assert_close(karras_timestep(karras_sigma(t, 1000), 1000), t)


def test_between_the_steps_there_are_noise_levels_but_no_steps() -> None:
    process = Diffusion("karras", 1000, mean="edm", variance="fixed_small")
    x0 = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    for name in ("sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod"):
        whole, real = (process.at(name, t, x0) for t in (torch.tensor([400]), torch.tensor([400.0])))
        torch.testing.assert_close(real, whole)
    with pytest.raises(ValueError, match="karras schedule has no posterior_variance between its steps"):
        process.at("posterior_variance", torch.tensor([0.5]), x0)
    with pytest.raises(ValueError, match="linear schedule has no alphas_cumprod between its steps"):
        Diffusion().at("alphas_cumprod", torch.tensor([0.5]), x0)
