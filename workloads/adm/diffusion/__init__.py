"""The diffusion process of appendix C: schedules, posteriors, objectives, samplers and guidance.

diffusion = Diffusion(respacing="250")
images = diffusion.sample_loop(model, (16, 3, 64, 64), model_kwargs={"y": labels})
"""

from adm.diffusion.diffusion import Diffusion
from adm.diffusion.guidance import classifier_gradient
from adm.diffusion.interpolation import (
    angles,
    interpolate,
    interpolate_images,
    interpolated_classes,
    interpolated_guidance,
)
from adm.diffusion.results import BitsPerDim, Gaussian, Prediction, Step, VlbTerms
from adm.diffusion.schedules import beta_schedule
from adm.diffusion.timesteps import LossSecondMoment, TimestepSampler, Uniform, timestep_sampler
from adm.diffusion.upsampling import low_resolution, upsample_loop
from adm.respacing import space_timesteps

__all__ = [
    "BitsPerDim",
    "Diffusion",
    "Gaussian",
    "LossSecondMoment",
    "Prediction",
    "Step",
    "TimestepSampler",
    "Uniform",
    "VlbTerms",
    "angles",
    "beta_schedule",
    "classifier_gradient",
    "interpolate",
    "interpolate_images",
    "interpolated_classes",
    "interpolated_guidance",
    "low_resolution",
    "space_timesteps",
    "timestep_sampler",
    "upsample_loop",
]
