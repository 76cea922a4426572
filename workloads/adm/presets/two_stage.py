"""Two-stage sampling: a guided base model, and an upsampler for its images (ADM-G + ADM-U)."""

from __future__ import annotations

from collections.abc import Callable

from adm.config import Config, EvaluateConfig, UpsamplerConfig
from adm.presets import digits, tables


def imagenet64_to_256() -> Config:
    """Images of 256×256 pixels from the 64-pixel model and its classifier."""
    return _two_stages("imagenet64", "upsample_64_256")


def imagenet128_to_512() -> Config:
    """Images of 512×512 pixels from the 128-pixel model and a classifier of its own (table 12, footnote)."""
    c = _two_stages("imagenet128", "upsample_128_512")
    assert c.classifier is not None
    train = c.classifier.train.model_copy(update={"batch_size": 1024, "learning_rate": 6e-5})
    return c.model_copy(update={"classifier": c.classifier.model_copy(update={"train": train})})


def digits_4_to_8() -> Config:
    """The digits at 4×4 pixels, upsampled to 8×8: two-stage sampling in minutes."""
    c = digits.config()
    assert c.classifier is not None
    small = {"image_size": 4, "attention_resolutions": (2,)}
    large = c.model.model_copy(update={"kind": "super_res", "low_res_size": 4})
    return c.model_copy(
        update={
            "model": c.model.model_copy(update=small),
            "classifier": c.classifier.model_copy(update={"model": c.classifier.model.model_copy(update=small)}),
            "upsampler": UpsamplerConfig(model=large, diffusion=c.diffusion, train=c.train, steps=c.sample.steps),
            "sample": c.sample.model_copy(update={"guidance_scale": 1.0}),
            "evaluate": c.evaluate.model_copy(update={"extractor": "pixels"}),
        }
    )


def _two_stages(base: str, upsampler: str) -> Config:
    c, up = tables.config(base), tables.config(upsampler)
    # The classifier takes images of the base model's size, so it cannot extract features of the samples.
    return c.model_copy(
        update={
            "upsampler": UpsamplerConfig(model=up.model, diffusion=up.diffusion, train=up.train),
            "sample": c.sample.model_copy(update={"batch_size": up.sample.batch_size}),
            "evaluate": EvaluateConfig(extractor="inception"),
        }
    )


PRESETS: dict[str, Callable[[], Config]] = {
    "digits_4_to_8": digits_4_to_8,
    "imagenet64_to_256": imagenet64_to_256,
    "imagenet128_to_512": imagenet128_to_512,
}
