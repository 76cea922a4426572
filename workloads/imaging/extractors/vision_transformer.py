"""Vision transformers, whose class token is an image's features: Dosovitskiy et al. (2020),
https://arxiv.org/abs/2010.11929, with the variations of DINOv2 (https://arxiv.org/abs/2304.07193) and CLIP
(https://arxiv.org/abs/2103.00020).

Keys are those of DINOv2's published files; `published_keys` translates CLIP's. Legend: N images, T tokens, D width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.errors import UserError
from imaging.blank import blank

LISTED = 3
"""Keys that a refusal names."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a vision transformer, and the variations of DINOv2 and CLIP."""

    width: int
    depth: int
    heads: int
    patch: int
    """Pixels per side of a patch, which becomes a token."""
    side: int
    """Pixels per side of an image."""
    grid: int
    """Patches per side for which there are learnt positions. They are interpolated if images have others."""
    epsilon: float
    """Of layer normalization."""
    is_scaled: bool = False
    """DINOv2: each branch is multiplied by a learnt vector before it is added."""
    num_outputs: int | None = None
    """CLIP: features are a linear map of the class token, of this size. It also normalizes before the first block, has
    no bias in its patches' map, and uses x · sigmoid(1.702 x) for GELU."""

    @property
    def is_clip(self) -> bool:
        return self.num_outputs is not None

    @property
    def num_features(self) -> int:
        return self.num_outputs or self.width


class Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).reshape(n, tokens, width))


class MLP(nn.Module):
    def __init__(self, width: int, is_clip: bool) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.is_clip = is_clip

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x) if self.is_clip else functional.gelu(x))


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.width, shape.epsilon)
        self.attn = Attention(shape.width, shape.heads)
        self.ls1 = Scale(shape.width) if shape.is_scaled else nn.Identity()
        self.norm2 = nn.LayerNorm(shape.width, shape.epsilon)
        self.mlp = MLP(shape.width, shape.is_clip)
        self.ls2 = Scale(shape.width) if shape.is_scaled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class Patches(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, shape.width, shape.patch, shape.patch, bias=not shape.is_clip)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """Normalized images (N, 3, side, side) to features (N, num_features). In evaluation mode, without gradients."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + shape.grid**2, shape.width))
        self.patch_embed = Patches(shape)
        self.norm_pre = nn.LayerNorm(shape.width, shape.epsilon) if shape.is_clip else nn.Identity()
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width, shape.epsilon)
        self.head = nn.Linear(shape.width, shape.num_outputs, bias=False) if shape.num_outputs else nn.Identity()
        self.eval().requires_grad_(False)

    @classmethod
    def of(cls, shape: Shape, weights: Mapping[str, Tensor], origin: str = "") -> VisionTransformer:
        """The network with weights under any published keys, in fp32. Raises UserError, with `origin` as prefix, if a
        key or a shape differs."""
        with blank():
            network = cls(shape)
        own, given = network.state_dict(), published_keys(weights)
        wrong = [key for key in own if key not in given or given[key].numel() != own[key].numel()]
        wrong += [key for key in given if key not in own]
        if wrong:
            raise UserError(
                f"{origin}these are not weights of this network: {len(wrong)} of {len(own)} tensors are missing, "
                f"unknown or of another size: {', '.join(wrong[:LISTED])}{', …' if len(wrong) > LISTED else ''}"
            )
        network.load_state_dict({key: given[key].float().reshape(own[key].shape) for key in own}, assign=True)
        return network.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1) + self.positions()
        x = self.norm_pre(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))

    def positions(self) -> Tensor:
        """Positions (1, T, D) for images of `side`: interpolated bicubically, without antialiasing, with the ratio
        (patches + 0.1) / grid, as in https://github.com/facebookresearch/dinov2 (dinov2/models/vision_transformer.py).

        transformers' Dinov2Model interpolates to the size instead, and so gives other features at 224 pixels.
        """
        grid, patches = self.shape.grid, self.shape.side // self.shape.patch
        if patches == grid:
            return self.pos_embed
        of_class, of_patches = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        square = of_patches.view(1, grid, grid, -1).permute(0, 3, 1, 2)
        ratio = (patches + 0.1) / grid
        resized = functional.interpolate(square, scale_factor=(ratio, ratio), mode="bicubic")
        return torch.cat([of_class, resized.flatten(2).transpose(1, 2)], dim=1)


RENAMED = {
    # CLIP in transformers' keys: https://huggingface.co/openai/clip-vit-large-patch14-336
    "vision_model.": (
        (r"^vision_model\.", ""),
        (r"^embeddings\.class_embedding$", "cls_token"),
        (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
        (r"^embeddings\.patch_embedding\.", "patch_embed.proj."),
        (r"^pre_layrnorm\.", "norm_pre."),
        (r"^encoder\.layers\.", "blocks."),
        (r"\.layer_norm([12])\.", r".norm\1."),
        (r"\.self_attn\.out_proj\.", ".attn.proj."),
        (r"\.self_attn\.([qkv])_proj\.", r".attn.\1."),
        (r"^post_layernorm\.", "norm."),
        (r"^visual_projection\.", "head."),
    ),
    # CLIP in OpenAI's keys: https://github.com/openai/CLIP (clip/model.py)
    "transformer.resblocks.": (
        (r"^visual\.", ""),
        (r"^class_embedding$", "cls_token"),
        (r"^positional_embedding$", "pos_embed"),
        (r"^conv1\.", "patch_embed.proj."),
        (r"^ln_pre\.", "norm_pre."),
        (r"^transformer\.resblocks\.", "blocks."),
        (r"\.ln_([12])\.", r".norm\1."),
        (r"\.attn\.in_proj_", ".attn.qkv."),
        (r"\.attn\.out_proj\.", ".attn.proj."),
        (r"\.mlp\.c_fc\.", ".mlp.fc1."),
        (r"\.mlp\.c_proj\.", ".mlp.fc2."),
        (r"^ln_post\.", "norm."),
    ),
    # DINOv2 in transformers' keys: https://huggingface.co/facebook/dinov2-large
    "encoder.layer.": (
        (r"^dinov2\.", ""),
        (r"^embeddings\.cls_token$", "cls_token"),
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"^embeddings\.mask_token$", "mask_token"),
        (r"^encoder\.layer\.", "blocks."),
        (r"\.attention\.output\.dense\.", ".attn.proj."),
        (r"\.attention\.o_proj\.", ".attn.proj."),
        (r"\.attention\.attention\.(query|key|value)\.", lambda match: f".attn.{match[1][0]}."),
        (r"\.attention\.([qkv])_proj\.", r".attn.\1."),
        (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
        (r"^layernorm\.", "norm."),
    ),
}
"""What published keys contain → substitutions that make them ours, in order."""
UNUSED = re.compile(r"^(mask_token$|text_model\.|text_projection|logit_scale|.*\.position_ids$)")
"""Tensors of published files that image features do not depend on."""


def published_keys(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the keys of `VisionTransformer`, from those of any published file. Does not check them."""
    names = {key: key for key in weights}
    if any(key.startswith("visual.") for key in weights):  # all other keys of such a file are the text encoder's
        names = {key: key for key in weights if key.startswith("visual.")}
    layout = next((marker for marker in RENAMED if any(marker in key for key in names)), None)
    for pattern, replacement in RENAMED[layout] if layout else ():
        names = {key: re.sub(pattern, replacement, name) for key, name in names.items()}
    ours = {name: weights[key] for key, name in names.items() if not UNUSED.match(name) and not UNUSED.match(key)}
    if "proj" in ours:  # OpenAI's is used as x @ proj
        ours["head.weight"] = ours.pop("proj").T
    for name in [name for name in ours if ".attn.q." in name]:
        parts = [name.replace(".attn.q.", f".attn.{part}.") for part in "qkv"]
        if all(part in ours for part in parts):
            ours[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat([ours.pop(part) for part in parts])
    return ours
