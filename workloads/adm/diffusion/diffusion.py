"""The class `Diffusion`: a process with its samplers, objectives and loops as methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adm.diffusion import loops, objectives, samplers
from adm.diffusion.process import Process
from adm.registries import LOSSES
from adm.respacing import Sections

if TYPE_CHECKING:
    from adm.config import DiffusionConfig


class Diffusion(Process):
    """A diffusion process of T steps (appendix C). Its methods are functions of adm.diffusion, bound to the process.

    Single steps: p_sample, ddim_sample, ddim_reverse. Complete runs: sample_loop, ddim_loop, ddim_reverse_loop.
    Objectives: losses, vlb_terms, prior_bpd, bits_per_dim. `t` indexes the respaced steps. Random steps take `noise=`,
    and draw it if it is not given.
    """

    p_sample = samplers.p_sample
    ddim_sample = samplers.ddim_sample
    ddim_reverse = samplers.ddim_reverse
    sample_loop = loops.sample_loop
    ddim_loop = loops.ddim_loop
    ddim_reverse_loop = loops.ddim_reverse_loop
    losses = objectives.losses
    vlb_terms = objectives.vlb_terms
    prior_bpd = objectives.prior_bpd
    bits_per_dim = objectives.bits_per_dim

    @classmethod
    def from_config(cls, diffusion: DiffusionConfig, steps: Sections | None = None) -> Diffusion:
        """The process of a config; `steps` is SampleConfig.steps, or None for all of them (training).

        A number is one section of evenly spaced steps from the first to the last, also for DDIM: the spacing of DDIM's
        authors is "ddimN".
        """
        return cls(
            schedule=diffusion.schedule,
            steps=diffusion.steps,
            respacing="" if steps is None else steps,
            mean=diffusion.mean,
            variance=diffusion.variance,
            loss=diffusion.loss,
            sigma_data=diffusion.sigma_data,
            **{name: getattr(diffusion, name) for name in LOSSES[diffusion.loss].options},
        )
