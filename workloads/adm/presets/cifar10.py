"""CIFAR-10: 32×32 photographs in ten classes, at a scale that a workstation trains in hours.

The architecture is the paper's, with widths that two cores can train. The data is a parquet file of image bytes and
labels; set data.path.
"""

from __future__ import annotations

from adm.config import ClassifierConfig, Config, DiffusionConfig, EvaluateConfig, ModelConfig, SampleConfig, TrainConfig
from imaging.config import DataConfig

CLASSES = 10


def config() -> Config:
    """A class-conditional model of ε and Σ, the classifier for guidance and evaluation, and how to train both."""
    return Config(
        data=DataConfig(source="parquet", flip=True, validation=0.05),
        model=ModelConfig(
            image_size=32,
            channels=32,
            num_res_blocks=1,
            channel_mult=(1, 2, 3),
            attention_resolutions=(8,),
            head_channels=32,
            num_classes=CLASSES,
        ),
        diffusion=DiffusionConfig(schedule="cosine"),
        train=TrainConfig(
            iterations=20_000, batch_size=64, learning_rate=1e-3, ema_rates=(0.999,), checkpoint_every=500
        ),
        classifier=ClassifierConfig(
            model=ModelConfig(
                kind="encoder",
                image_size=32,
                out_channels=CLASSES,
                channels=32,
                num_res_blocks=1,
                channel_mult=(1, 2, 4),
                attention_resolutions=(8,),
                head_channels=32,
                pool="attention",
            ),
            train=TrainConfig(
                iterations=5_000,
                batch_size=64,
                learning_rate=6e-4,
                weight_decay=0.05,
                ema_rates=(0.999,),
                checkpoint_every=500,
            ),
        ),
        sample=SampleConfig(steps=100, guidance_scale=1.0, batch_size=50),
        evaluate=EvaluateConfig(num_samples=10_000, num_reference=10_000, extractor="classifier"),
    )
