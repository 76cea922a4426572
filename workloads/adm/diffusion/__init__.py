"""The diffusion process of appendix C, its objectives, samplers and guidance.

>>> diffusion = Diffusion(respacing="250")
>>> images = diffusion.sample_loop(model, (16, 3, 64, 64), model_kwargs={"y": labels})  # doctest: +SKIP
"""

from adm.diffusion.diffusion import Diffusion
from adm.diffusion.guidance import classifier_gradient
from adm.diffusion.respacing import space_timesteps
from adm.diffusion.schedules import beta_schedule

__all__ = ["Diffusion", "beta_schedule", "classifier_gradient", "space_timesteps"]
