"""scikit-learn's 1,797 digits of 8×8 pixels: the paper's architecture at a scale that a laptop trains in minutes."""

from __future__ import annotations

from typing import Literal

from adm.config import ClassifierConfig, Config, DiffusionConfig, EvaluateConfig, ModelConfig, SampleConfig, TrainConfig
from imaging.config import DataConfig

CLASSES = 10
ENGINE: Literal["torch"] = "torch"
"""Compiling DeepSpeed's operators for the first time takes a minute or more: longer than this training."""


def config() -> Config:
    """A class-conditional model of ε and Σ, the classifier for guidance and evaluation, and how to train both."""
    return Config(
        data=DataConfig(source="digits", validation=0.1),
        model=ModelConfig(
            image_size=8,
            in_channels=1,
            out_channels=2,
            channels=32,
            num_res_blocks=1,
            channel_mult=(1, 2),
            attention_resolutions=(4,),
            head_channels=32,
            num_classes=CLASSES,
        ),
        diffusion=DiffusionConfig(schedule="cosine"),
        train=TrainConfig(
            iterations=500, batch_size=64, learning_rate=1e-3, ema_rates=(0.99,), engine=ENGINE, checkpoint_every=100
        ),
        classifier=ClassifierConfig(
            model=ModelConfig(
                kind="encoder",
                image_size=8,
                in_channels=1,
                out_channels=CLASSES,
                channels=32,
                num_res_blocks=1,
                channel_mult=(1, 2),
                attention_resolutions=(4,),
                head_channels=32,
                pool="attention",
            ),
            train=TrainConfig(
                iterations=300,
                batch_size=64,
                learning_rate=1e-3,
                weight_decay=0.05,
                ema_rates=(0.99,),
                engine=ENGINE,
                checkpoint_every=100,
            ),
        ),
        sample=SampleConfig(steps=30, batch_size=125),
        evaluate=EvaluateConfig(num_samples=1000, num_reference=1797, extractor="classifier"),
    )


def tiny() -> Config:
    """A smaller version that trains in seconds to legible samples: the base of the studies' smoke profiles.

    It has one width at both resolutions, and learning rates at which few steps suffice. The schedule is linear, as in
    most of the paper's studies: guided DDIM with few steps fails at the noisy end of a cosine schedule.
    """
    c = config()
    assert c.classifier is not None
    narrow = {"channel_mult": (1.0, 1.0)}
    fast = {"iterations": 250, "batch_size": 32, "learning_rate": 2e-3, "ema_rates": (0.98,), "checkpoint_every": 50}
    return c.model_copy(
        update={
            "model": c.model.model_copy(update=narrow),
            "diffusion": DiffusionConfig(schedule="linear"),
            "train": c.train.model_copy(update=fast),
            "classifier": ClassifierConfig(
                model=c.classifier.model.model_copy(update=narrow),
                train=c.classifier.train.model_copy(update=fast),
            ),
            "sample": SampleConfig(steps=20, batch_size=100),
            "evaluate": EvaluateConfig(num_samples=100, num_reference=500, extractor="classifier"),
        }
    )
