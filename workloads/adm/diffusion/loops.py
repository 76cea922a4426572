"""Complete runs of a sampler: plain loops over t, which can be stepped through in a debugger.

A loop in adm.registries.SAMPLERS is called as loop(process, model, noise=…, step_noise=…, model_kwargs=…, progress=…)
with the options that its entry lists, and with cond_fn if images are guided; it returns x_0.

`noise` is x_T. `step_noise(t)` returns the noise of the step at respaced index t, shaped like x; if None, noise is
drawn. `start` is the first index (default T−1), and `noise` the x there. `progress(done, total)` is called after each
step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from adm.diffusion.process import CondFn, Model, Process
from adm.diffusion.samplers import ddim_reverse, ddim_sample, p_sample

StepNoise = Callable[[int], Tensor]
Progress = Callable[[int, int], None]
Loop = Callable[..., Tensor]
"""A complete run of a sampler, such as sample_loop."""


@torch.no_grad()
def sample_loop(
    process: Process,
    model: Model,
    shape: Sequence[int] | None = None,
    noise: Tensor | None = None,
    *,
    step_noise: StepNoise | None = None,
    start: int | None = None,
    progress: Progress | None = None,
    device: torch.device | str | None = None,
    **options: Any,
) -> Tensor:
    """x_0 by ancestral sampling from x_T, (N, C, H, W). Algorithm 1. `options` are those of p_sample."""
    x = initial(model, shape, noise, device)
    for t, fresh in descending(process, x, start, step_noise, progress):
        x = p_sample(process, model, x, t, noise=fresh, **options).sample
    return x


@torch.no_grad()
def ddim_loop(
    process: Process,
    model: Model,
    shape: Sequence[int] | None = None,
    noise: Tensor | None = None,
    *,
    eta: float = 0.0,
    step_noise: StepNoise | None = None,
    start: int | None = None,
    progress: Progress | None = None,
    device: torch.device | str | None = None,
    **options: Any,
) -> Tensor:
    """x_0 by DDIM from x_T, (N, C, H, W). Algorithm 2. `options` are those of ddim_sample."""
    x = initial(model, shape, noise, device)
    for t, fresh in descending(process, x, start, step_noise if eta != 0.0 else None, progress):
        x = ddim_sample(process, model, x, t, eta=eta, noise=fresh, **options).sample
    return x


@torch.no_grad()
def ddim_reverse_loop(
    process: Process,
    model: Model,
    x0: Tensor,
    *,
    num_steps: int | None = None,
    cond_fn: CondFn | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Tensor:
    """The latents of images, (N, C, H, W): x at index `num_steps`. Appendix H. `options` are those of ddim_reverse.

    `num_steps` defaults to T−1 (249 of 250): the last step jumps to pure noise and spoils reconstructions. Decode with
    ddim_loop(model, noise=latent), adding start=num_steps if it is smaller.
    """
    total = process.num_timesteps - 1 if num_steps is None else num_steps
    if not 0 <= total <= process.num_timesteps:
        raise ValueError(f"num_steps is {total}; the process has {process.num_timesteps} steps")
    x = x0
    for index in range(total):
        t = torch.full((x.shape[0],), index, dtype=torch.int64, device=x.device)
        x = ddim_reverse(process, model, x, t, cond_fn=cond_fn, **options).sample
        if progress is not None:
            progress(index + 1, total)
    return x


def descending(
    process: Process,
    x: Tensor,
    start: int | None = None,
    step_noise: StepNoise | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The respaced steps of a run from `start` to 0: t (N,), and the step's noise if `step_noise` is given.

    Raises ValueError if the process has no step `start`.
    """
    first = process.num_timesteps - 1 if start is None else start
    if not 0 <= first < process.num_timesteps:
        raise ValueError(f"start is {first}; the process has steps 0 to {process.num_timesteps - 1}")
    for index in range(first, -1, -1):
        t = torch.full((x.shape[0],), index, dtype=torch.int64, device=x.device)
        # The step at 0 adds no noise, so none is requested.
        yield t, step_noise(index) if step_noise is not None and index > 0 else None
        if progress is not None:
            progress(first - index + 1, first + 1)


def initial(
    model: Model, shape: Sequence[int] | None, noise: Tensor | None, device: torch.device | str | None
) -> Tensor:
    """x_T: `noise`, or standard normal noise of `shape`; on `device`, by default the model's."""
    if device is None and isinstance(model, torch.nn.Module):
        device = next((parameter.device for parameter in model.parameters()), None)
    if noise is not None:
        if shape is not None and tuple(shape) != tuple(noise.shape):
            raise ValueError(f"noise has shape {tuple(noise.shape)}, but shape is {tuple(shape)}")
        return noise if device is None else noise.to(device)
    if shape is None:
        raise ValueError("a sampling loop needs noise, or a shape to draw it: (N, C, H, W)")
    return torch.randn(*shape, device=device)
