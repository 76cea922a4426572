"""The forward process q, its posterior, and the reverse process p_θ that a model parameterises.

Legend: x, x0, noise (N, C, H, W); t (N,) int64, an index into the *respaced* steps; models receive the original
timestep. Coefficients are tables in float64, cast once per device and dtype.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adm.diffusion.results import Gaussian, Prediction
from adm.diffusion.schedules import (
    Coefficients,
    beta_schedule,
    betas_between,
    between,
    relative_sigmas,
    respace_betas,
    timesteps_at,
)
from adm.registries import LOSSES, MEANS, VARIANCES
from adm.respacing import Sections, fractional_spacing, space_timesteps

Model = Callable[..., Tensor]
"""model(x, t, **model_kwargs) -> (N, C or 2C, H, W), with y= for classes and low_res= for upsampling."""
CondFn = Callable[..., Tensor]
"""cond_fn(x, t, **model_kwargs) -> ∇_x log p(y | x_t), already scaled, shaped like x."""
Kwargs = Mapping[str, Any]
DenoisedFn = Callable[[Tensor], Tensor]

PUBLISHED_MEANS = {"start_x": "x0", "xstart": "x0", "previous_x": "previous"}
"""Published code's name → the name in adm.registries.MEANS."""


class Process:
    """The parts of a diffusion process that samplers and objectives share."""

    def __init__(
        self,
        schedule: str = "linear",
        steps: int = 1000,
        respacing: Sections = "",
        mean: str = "epsilon",
        variance: str = "learned_range",
        loss: str = "mse",
        sigma_data: float = 0.5,
        **loss_options: Any,
    ) -> None:
        """`steps` is the number that the model was trained with; `respacing` (see space_timesteps) selects from them.

        `schedule`, `mean`, `variance` and `loss` are names in adm.registries; `mean` may also be a name of the
        published code (PUBLISHED_MEANS). `sigma_data` is the standard deviation of x_0, for mean edm. `loss_options`
        are those that the loss takes, such as min_snr_gamma. Raises ValueError for an unknown name.
        """
        self.mean = PUBLISHED_MEANS.get(mean, mean)
        self.variance = variance
        self.loss = loss
        self._mean: Any = MEANS[self.mean].load()
        self._is_posterior_mean = MEANS[self.mean].is_posterior_mean
        self._is_preconditioned = MEANS[self.mean].is_preconditioned
        self._variance: Callable[..., tuple[Tensor, Tensor]] = VARIANCES[variance].load()
        self._is_variance_learned = VARIANCES[variance].is_learned
        self.objective: Callable[..., dict[str, Tensor]] = partial(LOSSES[loss].load(), **loss_options)
        self.schedule = schedule
        self.sigma_data = sigma_data
        self.original_num_steps = steps
        self._trained_betas = beta_schedule(schedule, steps)
        self.timestep_map: npt.NDArray[np.int64] | npt.NDArray[np.float64]
        """The original timestep of each respaced index, (T,): whole numbers, unless the spacing is fractional."""
        self._tensors: dict[tuple[object, ...], Tensor] = {}
        if (fractional := fractional_spacing(steps, respacing)) is not None:
            ends = relative_sigmas(self._trained_betas)[[0, -1]]
            self._visit_sigmas(np.array(fractional.sigmas(*ends.tolist()), dtype=np.float64))
        else:
            kept = space_timesteps(steps, respacing)
            self.timestep_map = np.array(kept, dtype=np.int64)
            self.coefficients = Coefficients.of(respace_betas(self._trained_betas, kept))

    def _visit_sigmas(self, sigmas: npt.NDArray[np.float64]) -> None:
        """Let the steps be those with the relative noise levels `sigmas`, ascending, (T,). Raises ValueError for pure
        noise, which has none."""
        if not np.isfinite(sigmas).all():
            raise ValueError("a process that ends in pure noise has no noise levels between its last two steps")
        self.timestep_map = timesteps_at(self._trained_betas, sigmas)
        self.coefficients = Coefficients.of(betas_between(sigmas))
        self._tensors = {}

    def with_midpoints(self) -> Self:
        """This process with a step more between each two, halfway between them in λ: 2T − 1 steps."""
        sigmas = self.noise_scales / self.signal_scales
        refined = copy.copy(self)
        refined._visit_sigmas(np.insert(sigmas, range(1, len(sigmas)), np.sqrt(sigmas[1:] * sigmas[:-1])))
        refined.timestep_map[::2] = self.timestep_map  # exactly where they were, without rounding
        return refined

    @property
    def num_timesteps(self) -> int:
        """T: the number of steps after respacing."""
        return len(self.timestep_map)

    @property
    def betas(self) -> npt.NDArray[np.float64]:
        """β of the respaced process, float64 (T,)."""
        return self.coefficients.betas

    @property
    def alphas_cumprod(self) -> npt.NDArray[np.float64]:
        """ᾱ of the respaced process, float64 (T,)."""
        return self.coefficients.alphas_cumprod

    @property
    def signal_scales(self) -> npt.NDArray[np.float64]:
        """√ᾱ, the α of solvers: x_t = α x_0 + σ ε. float64 (T,)."""
        return self.coefficients.sqrt_alphas_cumprod

    @property
    def noise_scales(self) -> npt.NDArray[np.float64]:
        """√(1−ᾱ), the σ of solvers. float64 (T,)."""
        return self.coefficients.sqrt_one_minus_alphas_cumprod

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tensors": {}}  # tables on devices are not pickled

    # -- tables -------------------------------------------------------------------------------------------------------

    def at(self, name: str, t: Tensor, like: Tensor) -> Tensor:
        """The named coefficient at each t, (N, 1, 1, 1), in like's precision (at least float32) and on its device.

        Between steps, where t is not a whole number: see adm.diffusion.schedules.between.
        """
        dtype = like.dtype if like.dtype in (torch.float32, torch.float64) else torch.float32
        if t.is_floating_point():
            values = between(self.schedule, self.original_num_steps, name, t.double())
            return values.to(like.device, dtype).reshape(-1, *[1] * (like.ndim - 1))
        place = (name, like.device, dtype)
        if place not in self._tensors:
            table: npt.NDArray[np.float64] = getattr(self.coefficients, name)
            self._tensors[place] = torch.from_numpy(table).to(like.device, dtype)
        return self._tensors[place][t].reshape(-1, *[1] * (like.ndim - 1))

    def original_timesteps(self, t: Tensor) -> Tensor:
        """The timesteps that the model receives for respaced indices t: int64 (N,), or float64 between the steps."""
        if t.is_floating_point():
            return t
        place = ("timestep_map", t.device)
        if place not in self._tensors:
            self._tensors[place] = torch.from_numpy(self.timestep_map).to(t.device)
        return self._tensors[place][t]

    # -- q: from data to noise ----------------------------------------------------------------------------------------

    def q_mean_variance(self, x0: Tensor, t: Tensor) -> Gaussian:
        """q(x_t | x_0) = N(√ᾱ_t x_0, (1−ᾱ_t) I). Equation 2."""
        mean = self.at("sqrt_alphas_cumprod", t, x0) * x0
        variance = self.at("sqrt_one_minus_alphas_cumprod", t, x0) ** 2
        return Gaussian(mean, variance.expand_as(x0), self.at("log_one_minus_alphas_cumprod", t, x0).expand_as(x0))

    def q_sample(self, x0: Tensor, t: Tensor, noise: Tensor | None = None) -> Tensor:
        """x_t = √ᾱ_t x_0 + √(1−ᾱ_t) ε. Equation 3."""
        noise = drawn(noise, x0)
        return self.at("sqrt_alphas_cumprod", t, x0) * x0 + self.at("sqrt_one_minus_alphas_cumprod", t, x0) * noise

    def q_posterior(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Gaussian:
        """q(x_{t−1} | x_t, x_0) = N(μ̃_t, β̃_t I). Equations 4 to 6; the log variance is clipped at t=0, where β̃ is 0."""
        return Gaussian(
            self.q_posterior_mean(x0, x_t, t),
            self.at("posterior_variance", t, x_t).expand_as(x_t),
            self.at("posterior_log_variance_clipped", t, x_t).expand_as(x_t),
        )

    def q_posterior_mean(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """μ̃_t(x_t, x_0) = √ᾱ_{t−1} β_t/(1−ᾱ_t) x_0 + √α_t (1−ᾱ_{t−1})/(1−ᾱ_t) x_t. Equation 4."""
        return self.at("posterior_mean_x0", t, x_t) * x0 + self.at("posterior_mean_xt", t, x_t) * x_t

    # -- conversions between the three parameterisations --------------------------------------------------------------

    def x0_from_epsilon(self, x_t: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
        """x_0 = √(1/ᾱ_t) x_t − √(1/ᾱ_t − 1) ε: equation 3 solved for x_0."""
        scale, noise_scale = "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod"
        return self.at(scale, t, x_t) * x_t - self.at(noise_scale, t, x_t) * epsilon

    def epsilon_from_x0(self, x_t: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        """ε = (√(1/ᾱ_t) x_t − x_0) / √(1/ᾱ_t − 1): equation 3 solved for ε."""
        scaled = self.at("sqrt_recip_alphas_cumprod", t, x_t) * x_t
        return (scaled - x0) / self.at("sqrt_recipm1_alphas_cumprod", t, x_t)

    def x0_from_previous(self, x_t: Tensor, t: Tensor, previous: Tensor) -> Tensor:
        """Equation 4 solved for x_0, given μ̃."""
        scale, x_scale = "posterior_x0_from_previous", "posterior_xt_from_previous"
        return self.at(scale, t, x_t) * previous - self.at(x_scale, t, x_t) * x_t

    def target(self, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The training target of the network's prediction, by the process's `mean`."""
        return self._mean.target(self, x0, x_t, t, noise)

    def x0_scale(self, t: Tensor, like: Tensor) -> Tensor:
        """Error of x̂_0 per error of the network's prediction, (N, 1, 1, 1)."""
        return self._mean.x0_scale(self, t, like)

    # -- p: from noise to data ----------------------------------------------------------------------------------------

    def p_mean_variance(
        self,
        model: Model,
        x: Tensor,
        t: Tensor,
        clip_denoised: bool = True,
        denoised_fn: DenoisedFn | None = None,
        model_kwargs: Kwargs | None = None,
        *,
        epsilon_temperature: float = 1.0,
    ) -> Prediction:
        """p_θ(x_{t−1} | x_t) = N(μ_θ, Σ_θ). Equations 7 and 13, through the predicted x_0.

        `denoised_fn` and then `clip_denoised` (to [-1, 1]) are applied to that x_0. `epsilon_temperature` τ divides ε_θ
        (appendix I, the second method).
        """
        output, v = self.evaluate(model, x, t, model_kwargs)
        x0 = self._mean.x0(self, output, x, t)
        if epsilon_temperature != 1.0:
            x0 = self.x0_from_epsilon(x, t, self.epsilon_from_x0(x, t, x0) / epsilon_temperature)
        if denoised_fn is not None:
            x0 = denoised_fn(x0)
        if clip_denoised:
            x0 = x0.clamp(-1, 1)
        # A network that predicts the posterior mean does not need x_0 for it.
        is_mean = self._is_posterior_mean and epsilon_temperature == 1.0
        mean = output if is_mean else self.q_posterior_mean(x0, x, t)
        variance, log_variance = self._variance(self, v, x, t)
        return Prediction(mean, variance, log_variance, x0)

    def evaluate(
        self, model: Model, x_t: Tensor, t: Tensor, model_kwargs: Kwargs | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The network's output for x_t, as `split` returns it. This alone calls the network."""
        x, timesteps = self.inputs(x_t, t)
        return self.split(model(x, timesteps, **(model_kwargs or {})), x_t)

    def inputs(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x and the timesteps (N,) as the network receives them."""
        if self._is_preconditioned:
            x, timesteps = self._mean.inputs(self, x_t, t)
            return x, timesteps
        return x_t, self.original_timesteps(t)

    def split(self, output: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The network's output as (mean part, v or None), in x's precision; v exists if the variance is learned."""
        channels = x.shape[1]
        expected = channels * (2 if self._is_variance_learned else 1)
        if output.shape != (x.shape[0], expected, *x.shape[2:]):
            raise ValueError(
                f"the model returned {tuple(output.shape)} for x of {tuple(x.shape)}; variance {self.variance!r} "
                f"needs {expected} channels and otherwise x's shape"
            )
        output = output.to(x.dtype)
        if expected == channels:
            return output, None
        return output[:, :channels], output[:, channels:]


def drawn(noise: Tensor | None, like: Tensor) -> Tensor:
    """`noise` itself, or standard normal noise shaped like `like`. Raises ValueError for noise of another shape."""
    if noise is None:
        return torch.randn_like(like)
    if noise.shape != like.shape:
        raise ValueError(f"noise has shape {tuple(noise.shape)}, but must be shaped like x, {tuple(like.shape)}")
    return noise.to(like.device, like.dtype)
