"""The paper's models: tables 11 (diffusion), 12 (classifiers), 13 (upsamplers) and 14 (guided sampling).

All have 1000 diffusion steps, learned Σ, BigGAN up/downsampling, AdaGN, and attention at 32, 16 and 8 pixels.
"""

from __future__ import annotations

from typing import Any

from adm.config import ClassifierConfig, Config, DiffusionConfig, EvaluateConfig, ModelConfig, SampleConfig, TrainConfig
from imaging.config import DataConfig

IMAGENET_CLASSES = 1000

RAW_WEIGHTS = (0.0,)
"""The averages of a training that keeps the latest weights alone."""

MULT = {
    64: (1, 2, 3, 4),
    128: (1, 1, 2, 3, 4),
    256: (1, 1, 2, 2, 4, 4),
    512: (0.5, 1, 1, 2, 2, 4, 4),
}
"""Channels multiple by image size (tables 11 and 12)."""


def unet(image_size: int, **options: Any) -> ModelConfig:
    """The model of a column of table 11."""
    return ModelConfig(image_size=image_size, channel_mult=MULT[image_size], **{"channels": 256, **options})


def upsampler(low_res_size: int, image_size: int, **heads: Any) -> ModelConfig:
    """The model of a column of table 13. Like 64 → 256, 128 → 512 has six resolutions: the paper found no need for a
    seventh."""
    return ModelConfig(
        kind="super_res",
        image_size=image_size,
        low_res_size=low_res_size,
        channels=192,
        channel_mult=MULT[256],
        num_classes=IMAGENET_CLASSES,
        **heads,
    )


def classifier(image_size: int, depth: int, **training: Any) -> ClassifierConfig:
    """A column of table 12.

    Three things are not in the table, but in the published classifier_train.py and the command that comes with it: it
    takes random crops, where the diffusion models are trained on centre crops; the learning rate is annealed to 0 (for
    128×128, and is meant to be adapted to the other sizes); and it saves the weights as they are, without an average.
    """
    model = ModelConfig(
        kind="encoder",
        image_size=image_size,
        out_channels=IMAGENET_CLASSES,
        channels=128,
        num_res_blocks=depth,
        channel_mult=MULT[image_size],
        head_channels=64,
    )
    train = TrainConfig(anneal_iterations="iterations", ema_rates=RAW_WEIGHTS, **training)
    return ClassifierConfig(model=model, train=train, crop="random")


# Tables 11 and 13. Only the 64×64 model's published weights have the new qkv order.
CONDITIONAL = {"num_classes": IMAGENET_CLASSES}
MODELS = {
    "imagenet64": unet(
        64, channels=192, num_res_blocks=3, head_channels=64, dropout=0.1, qkv_order="new", **CONDITIONAL
    ),
    "imagenet128": unet(128, num_heads=4, **CONDITIONAL),
    "imagenet256": unet(256, head_channels=64, **CONDITIONAL),
    "imagenet256_uncond": unet(256, head_channels=64),
    "imagenet512": unet(512, head_channels=64, **CONDITIONAL),
    "lsun_bedroom_256": unet(256, head_channels=64, dropout=0.1),
    "lsun_cat_256": unet(256, head_channels=64, dropout=0.1),
    "lsun_horse_256": unet(256, head_channels=64, dropout=0.1),
    "lsun_horse_nodropout_256": unet(256, head_channels=64),
    "upsample_64_256": upsampler(64, 256, num_heads=4),
    "upsample_128_512": upsampler(128, 512, head_channels=64),
}
TRAIN = {
    "imagenet64": TrainConfig(iterations=540_000, batch_size=2048, learning_rate=3e-4),
    "imagenet128": TrainConfig(iterations=4_360_000, batch_size=256),
    "imagenet256": TrainConfig(iterations=1_980_000, batch_size=256),
    # Table 11 does not have the unconditional model; arXiv's table 4 says 2M iterations.
    "imagenet256_uncond": TrainConfig(iterations=2_000_000, batch_size=256),
    "imagenet512": TrainConfig(iterations=1_940_000, batch_size=256),
    "lsun_bedroom_256": TrainConfig(iterations=500_000, batch_size=256),
    "lsun_cat_256": TrainConfig(iterations=200_000, batch_size=256),
    "lsun_horse_256": TrainConfig(iterations=250_000, batch_size=256),
    "lsun_horse_nodropout_256": TrainConfig(iterations=250_000, batch_size=256),
    "upsample_64_256": TrainConfig(iterations=500_000, batch_size=256),
    "upsample_128_512": TrainConfig(iterations=1_050_000, batch_size=256),
}

# Table 12.
CLASSIFIERS = {
    "classifier64": classifier(64, depth=4, iterations=300_000, batch_size=1024, learning_rate=6e-4, weight_decay=0.2),
    "classifier128": classifier(
        128, depth=2, iterations=300_000, batch_size=256, learning_rate=3e-4, weight_decay=0.05
    ),
    "classifier256": classifier(
        256, depth=2, iterations=500_000, batch_size=256, learning_rate=3e-4, weight_decay=0.05
    ),
    "classifier512": classifier(
        512, depth=2, iterations=500_000, batch_size=256, learning_rate=3e-4, weight_decay=0.05
    ),
}

# Table 14: gradient scales by the number of sampling steps. The unconditional model has arXiv's table 4's better scale.
GUIDANCE_250_STEPS = {
    "imagenet64": 1.0,
    "imagenet128": 0.5,
    "imagenet256": 1.0,
    "imagenet256_uncond": 10.0,
    "imagenet512": 4.0,
}
AT_A_TIME = {"imagenet512": 8, "upsample_128_512": 16}
"""How many images of 512×512 pixels are drawn at a time, so that they fit a V100 of 32 GB; otherwise 64."""
GUIDANCE_DDIM_25_STEPS = {"imagenet128": 1.25, "imagenet256": 2.5, "imagenet512": 9.0}

NAMES = (*MODELS, *CLASSIFIERS)


def config(name: str) -> Config:
    """The complete config of a model or a classifier of the paper. The data is a folder of images: set data.path.

    All of it is trained on. To measure the accuracy of a classifier, set data.validation_path as well.
    """
    if name in CLASSIFIERS:
        network = CLASSIFIERS[name]
        return Config(
            data=DataConfig(source="folder", flip=True, crop="random"),
            model=network.model,
            diffusion=_diffusion(network.model),
            train=network.train,
            evaluate=EvaluateConfig(extractor="inception"),
        )
    model = MODELS[name]
    guided = name in GUIDANCE_250_STEPS
    return Config(
        data=DataConfig(source="folder", flip=True),
        model=model,
        diffusion=_diffusion(model),
        train=TRAIN[name],
        classifier=CLASSIFIERS[f"classifier{model.image_size}"] if guided else None,
        # LSUN's figures use all 1000 steps; appendix L sweeps shorter schedules.
        sample=SampleConfig(
            steps=1000 if name.startswith("lsun") else 250,
            guidance_scale=GUIDANCE_250_STEPS.get(name, 0.0),
            labels="drawn",  # as in the published classifier_sample.py and image_sample.py
            # Only this model's published sampling command has --use_fp16 False.
            precision="fp32" if name == "imagenet512" else "auto",
            batch_size=AT_A_TIME.get(name, 64),
        ),
        evaluate=EvaluateConfig(extractor="inception"),
    )


def _diffusion(model: ModelConfig) -> DiffusionConfig:
    return DiffusionConfig(schedule="cosine" if model.image_size == 64 else "linear")
