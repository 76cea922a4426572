"""DINOv2 and CLIP as extractors, with the published preprocessing of FD-DINOv2 and CMMD."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from assay.workload import StageContext
from imaging import weight_files
from imaging.data import Images
from imaging.extractors import FEATURES
from imaging.extractors.features import Features, as_rgb
from imaging.extractors.inception import without_tf32
from imaging.extractors.vision_transformer import Shape, VisionTransformer
from imaging.extractors.vision_weights import CLIP, DINOV2, VisionWeights, planned


@dataclass(frozen=True)
class Network:
    """A published network, and how images are made ready for it."""

    published: VisionWeights
    shape: Shape
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    is_cropped: bool
    """Whether the middle square of an image is used; else its sides are squeezed to be equal."""
    is_normalized: bool
    """Whether features have length 1."""

    def of_file(self, path: str | os.PathLike[str]) -> Extracting:
        """The network with the weights in a file. Raises UserError for other files."""
        weights, _ = weight_files.read(Path(path))
        return Extracting(self, VisionTransformer.of(self.shape, weights, f"{path}: "))


class Extracting:
    """A network that is ready for images."""

    def __init__(self, network: Network, transformer: VisionTransformer) -> None:
        self.network, self.transformer = network, transformer

    def to(self, device: str) -> Extracting:
        self.transformer.to(device)
        return self

    @torch.no_grad()
    def __call__(self, images: Images) -> Tensor:
        """uint8 (N, H, W, 1 or 3) → features (N, D), float32, on the network's device."""
        network, device = self.network, self.transformer.cls_token.device
        resized = torch.from_numpy(resized_bicubically(as_rgb(images), network.shape.side, network.is_cropped))
        x = resized.to(device).permute(0, 3, 1, 2).float().div_(255)
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (network.mean, network.std))
        with without_tf32(device):
            features = self.transformer((x - mean) / std)
        return functional.normalize(features, dim=1) if network.is_normalized else features


def resized_bicubically(images: Images, side: int, is_cropped: bool) -> Images:
    """uint8 (N, H, W, 3) → (N, side, side, 3), by Pillow's bicubic filter, which antialiases.

    As torchvision's Resize((224, 224), BICUBIC) in https://github.com/layer6ai-labs/dgm-eval
    (dgm_eval/models/dinov2.py), and with the middle square cropped before, as in
    https://github.com/google-research/google-research (cmmd/io_util.py).
    """
    height, width = images.shape[1:3]
    box = (0, 0, width, height)
    if is_cropped:
        shorter = min(height, width)
        left, top = (width - shorter) // 2, (height - shorter) // 2
        box = (left, top, left + shorter, top + shorter)
    return np.stack(
        [
            np.asarray(Image.fromarray(image).crop(box).resize((side, side), Image.Resampling.BICUBIC))
            for image in images
        ]
    )


NETWORKS = {
    network.published.extractor: network
    for network in (
        Network(
            DINOV2,
            Shape(1024, 24, 16, patch=14, side=224, grid=37, epsilon=1e-6, is_scaled=True),
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            is_cropped=False,
            is_normalized=False,
        ),
        Network(
            CLIP,
            Shape(1024, 24, 16, patch=14, side=336, grid=24, epsilon=1e-5, num_outputs=768),
            mean=(0.48145466, 0.4578275, 0.40821073),
            std=(0.26862954, 0.26130258, 0.27577711),
            is_cropped=True,
            is_normalized=True,
        ),
    )
}
"""Extractor → its network.

Both are ViT-L/14. DINOv2's features are its normalized class token at 224 pixels, as in Stein et al. (2023), "Exposing
flaws of generative model evaluation metrics", https://arxiv.org/abs/2306.04675. CLIP's are its image embeddings of
length 1 at 336 pixels, as in Jayasumana et al. (2024), "Rethinking FID", https://arxiv.org/abs/2401.09603.
"""


class _Vision(Features):
    """Features of one of NETWORKS."""

    name: str

    def __init__(self, ctx: StageContext) -> None:
        super().__init__(ctx)
        network = NETWORKS[self.name]
        self._network = network.of_file(planned(network.published, ctx.config)).to(ctx.device)

    def extract(self, images: Images) -> Mapping[str, Tensor]:
        return {FEATURES: self._network(images)}


class DINOv2(_Vision):
    """The class token of DINOv2's ViT-L/14 (1024), for FD-DINOv2."""

    name = DINOV2.extractor


class CLIPImage(_Vision):
    """CLIP's image embeddings by ViT-L/14 at 336 pixels (768), for CMMD."""

    name = CLIP.extractor
