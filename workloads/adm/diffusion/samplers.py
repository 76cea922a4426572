"""One step of each sampler: ancestral sampling, DDIM for any η, and DDIM in reverse, towards the noise."""

from __future__ import annotations

from torch import Tensor

from adm.diffusion.guidance import guided_mean, guided_prediction
from adm.diffusion.process import CondFn, DenoisedFn, Kwargs, Model, Process, drawn
from adm.diffusion.results import Step


def p_sample(
    process: Process,
    model: Model,
    x: Tensor,
    t: Tensor,
    clip_denoised: bool = True,
    denoised_fn: DenoisedFn | None = None,
    cond_fn: CondFn | None = None,
    model_kwargs: Kwargs | None = None,
    *,
    noise: Tensor | None = None,
    guidance_at: str = "x_t",
    temperature: float = 1.0,
    temperature_scales: str = "noise",
) -> Step:
    """x_{t−1} ~ N(μ_θ, Σ_θ), equation 7; with cond_fn, N(μ_θ + Σ_θ g, Σ_θ), equation 56. Algorithm 1.

    No noise is added at t=0. `temperature` τ multiplies the noise of each step, or divides ε_θ if `temperature_scales`
    is "epsilon" (appendix I). `guidance_at`: see guided_mean.
    """
    noise_scale, epsilon_temperature = _temperatures(temperature, temperature_scales)
    out = process.p_mean_variance(
        model, x, t, clip_denoised, denoised_fn, model_kwargs, epsilon_temperature=epsilon_temperature
    )
    mean = out.mean
    if cond_fn is not None:
        mean = guided_mean(process, cond_fn, out, x, t, model_kwargs, guidance_at)
    deviation = (0.5 * out.log_variance).exp() * noise_scale
    not_last = (t != 0).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    return Step(mean + not_last * deviation * drawn(noise, x), out.pred_xstart)


def ddim_sample(
    process: Process,
    model: Model,
    x: Tensor,
    t: Tensor,
    clip_denoised: bool = True,
    denoised_fn: DenoisedFn | None = None,
    cond_fn: CondFn | None = None,
    model_kwargs: Kwargs | None = None,
    eta: float = 0.0,
    *,
    noise: Tensor | None = None,
    temperature: float = 1.0,
    temperature_scales: str = "noise",
) -> Step:
    """x_{t−1} = √ᾱ_{t−1} x̂_0 + √(1 − ᾱ_{t−1} − σ²) ε̂ + σ ε, where σ = η √((1−ᾱ_{t−1})/(1−ᾱ_t)) √(1 − ᾱ_t/ᾱ_{t−1}).

    DDIM, Song et al. 2021, equation 12: deterministic at η=0, like DDPM at η=1. With cond_fn, ε̂ is that of equation 60.
    """
    noise_scale, epsilon_temperature = _temperatures(temperature, temperature_scales)
    out = process.p_mean_variance(
        model, x, t, clip_denoised, denoised_fn, model_kwargs, epsilon_temperature=epsilon_temperature
    )
    if cond_fn is not None:
        out = guided_prediction(process, cond_fn, out, x, t, model_kwargs)
    epsilon = process.epsilon_from_x0(x, t, out.pred_xstart)

    # In x's own precision, as in the published code: 1 − ᾱ cancels near the data, where float32 is off by 1e-4.
    a_bar, a_bar_prev = process.at("alphas_cumprod", t, x), process.at("alphas_cumprod_prev", t, x)
    sigma = eta * ((1 - a_bar_prev) / (1 - a_bar)).sqrt() * (1 - a_bar / a_bar_prev).sqrt()
    direction = (1 - a_bar_prev - sigma**2).clamp(min=0).sqrt()
    sample = a_bar_prev.sqrt() * out.pred_xstart + direction * epsilon
    if eta != 0.0:
        # σ is 0 at t=0, so the last step adds no noise.
        sample = sample + sigma * noise_scale * drawn(noise, x)
    return Step(sample, out.pred_xstart)


def ddim_reverse(
    process: Process,
    model: Model,
    x: Tensor,
    t: Tensor,
    clip_denoised: bool = True,
    denoised_fn: DenoisedFn | None = None,
    cond_fn: CondFn | None = None,
    model_kwargs: Kwargs | None = None,
) -> Step:
    """x_{t+1} = √ᾱ_{t+1} x̂_0 + √(1 − ᾱ_{t+1}) ε̂: DDIM's ODE towards the noise. Appendix H, the second equation.

    The step from t = T−1 goes to pure noise, ᾱ = 0, far from its neighbours; appendix H leaves it out.
    """
    out = process.p_mean_variance(model, x, t, clip_denoised, denoised_fn, model_kwargs)
    if cond_fn is not None:
        out = guided_prediction(process, cond_fn, out, x, t, model_kwargs)
    epsilon = process.epsilon_from_x0(x, t, out.pred_xstart)
    a_bar_next = process.at("alphas_cumprod_next", t, x)
    return Step(a_bar_next.sqrt() * out.pred_xstart + (1 - a_bar_next).sqrt() * epsilon, out.pred_xstart)


def _temperatures(temperature: float, scales: str) -> tuple[float, float]:
    """(factor of the noise, divisor of ε_θ). Appendix I. Raises ValueError for other values."""
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be positive")
    if scales == "noise":
        return temperature, 1.0
    if scales == "epsilon":
        return 1.0, temperature
    raise ValueError(f"temperature_scales is {scales!r}; allowed: noise, epsilon")
