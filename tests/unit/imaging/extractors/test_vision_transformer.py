"""Our vision transformers, against transformers' Dinov2Model and CLIPVisionModelWithProjection, and their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

from allocated import peak_of
from assay.errors import UserError
from imaging.extractors import memory
from imaging.extractors.vision import NETWORKS, Extracting, resized_bicubically
from imaging.extractors.vision_transformer import Shape, VisionTransformer, published_keys

DINO = Shape(64, 3, 4, patch=14, side=56, grid=4, epsilon=1e-6, is_scaled=True)
CLIP = Shape(64, 3, 4, patch=14, side=56, grid=4, epsilon=1e-5, num_outputs=24)
TOLERANCE = 1e-4


def randomized(model: nn.Module) -> nn.Module:
    """With values of size 1 in every tensor, so that each matters, and no bias or scale stays as it was initialized."""
    generator = torch.Generator().manual_seed(0)
    for key, values in model.state_dict().items():
        size = values.numel() / values.shape[0] if values.ndim > 1 and "embed" not in key else 4
        values.copy_(torch.randn(values.shape, generator=generator) / size**0.5 + (".norm" in key or "_norm" in key))
    return model.eval()


def dinov2() -> nn.Module:
    about = {"hidden_size": DINO.width, "num_hidden_layers": DINO.depth, "num_attention_heads": DINO.heads}
    return randomized(Dinov2Model(Dinov2Config(**about, image_size=56, patch_size=14)))


def clip() -> nn.Module:
    about = {"hidden_size": CLIP.width, "num_hidden_layers": CLIP.depth, "num_attention_heads": CLIP.heads}
    config = CLIPVisionConfig(**about, intermediate_size=256, image_size=56, patch_size=14, projection_dim=24)
    return randomized(CLIPVisionModelWithProjection(config))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_dinov2_is_the_same_function_as_that_of_transformers(images: Tensor) -> None:
    theirs = dinov2()
    expected = theirs(images).pooler_output
    ours = VisionTransformer.of(DINO, theirs.state_dict())(images)
    assert expected.abs().mean() > 0.1
    assert (ours - expected).abs().max() < TOLERANCE * expected.abs().max()


@torch.no_grad()
def test_clip_is_the_same_function_as_that_of_transformers(images: Tensor) -> None:
    theirs = clip()
    expected = theirs(images).image_embeds
    ours = VisionTransformer.of(CLIP, theirs.state_dict())(images)
    assert expected.abs().mean() > 0.1
    assert (ours - expected).abs().max() < TOLERANCE * expected.abs().max()


@torch.no_grad()
def test_positions_are_interpolated_as_published_which_is_not_what_transformers_does(images: Tensor) -> None:
    """DINOv2 learnt 37 × 37 positions, of which 16 × 16 are made; here 6 × 6 become 4 × 4."""
    theirs = dinov2()
    state = theirs.state_dict()
    learnt = torch.randn(1, 1 + 6**2, 64, generator=torch.Generator().manual_seed(2))
    square = learnt[:, 1:].view(1, 6, 6, 64).permute(0, 3, 1, 2)
    small = functional.interpolate(square, scale_factor=(4.1 / 6, 4.1 / 6), mode="bicubic").flatten(2).mT
    state["embeddings.position_embeddings"] = torch.cat([learnt[:, :1], small], dim=1)
    theirs.load_state_dict(state)
    shape = Shape(64, 3, 4, patch=14, side=56, grid=6, epsilon=1e-6, is_scaled=True)
    ours = VisionTransformer.of(shape, {**state, "embeddings.position_embeddings": learnt})
    expected = theirs(images).pooler_output
    assert (ours(images) - expected).abs().max() < TOLERANCE * expected.abs().max()
    to_size = functional.interpolate(square, size=(4, 4), mode="bicubic").flatten(2).mT
    assert (to_size - small).abs().max() > 0.01


def as_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """DINOv2's weights in transformers' layout, under the keys of dinov2_vitl14_pretrain.pth."""
    published = {"cls_token": state["embeddings.cls_token"], "pos_embed": state["embeddings.position_embeddings"]}
    published["mask_token"] = state["embeddings.mask_token"]
    for kind in ("weight", "bias"):
        published[f"patch_embed.proj.{kind}"] = state[f"embeddings.patch_embeddings.projection.{kind}"]
        published[f"norm.{kind}"] = state[f"layernorm.{kind}"]
        for layer in range(DINO.depth):
            theirs, ours = f"encoder.layer.{layer}", f"blocks.{layer}"
            parts = [state[f"{theirs}.attention.{part}_proj.{kind}"] for part in "qkv"]
            published[f"{ours}.attn.qkv.{kind}"] = torch.cat(parts)
            published[f"{ours}.attn.proj.{kind}"] = state[f"{theirs}.attention.o_proj.{kind}"]
            for name in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                published[f"{ours}.{name}.{kind}"] = state[f"{theirs}.{name}.{kind}"]
    for layer in range(DINO.depth):
        for index in (1, 2):
            gamma = state[f"encoder.layer.{layer}.layer_scale{index}.lambda1"]
            published[f"blocks.{layer}.ls{index}.gamma"] = gamma
    return published


def as_openai(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """CLIP's weights in transformers' layout, under the keys of OpenAI's model, in fp16 as there, with some text."""
    names = {"class_embedding": "embeddings.class_embedding", "conv1.weight": "embeddings.patch_embedding.weight"}
    names["positional_embedding"] = "embeddings.position_embedding.weight"
    for kind in ("weight", "bias"):
        names |= {f"ln_pre.{kind}": f"pre_layrnorm.{kind}", f"ln_post.{kind}": f"post_layernorm.{kind}"}
        for layer in range(CLIP.depth):
            theirs, ours = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
            names |= {f"{ours}.ln_{index}.{kind}": f"{theirs}.layer_norm{index}.{kind}" for index in (1, 2)}
            names |= {f"{ours}.mlp.c_fc.{kind}": f"{theirs}.mlp.fc1.{kind}"}
            names |= {f"{ours}.mlp.c_proj.{kind}": f"{theirs}.mlp.fc2.{kind}"}
            names |= {f"{ours}.attn.out_proj.{kind}": f"{theirs}.self_attn.out_proj.{kind}"}
    published = {f"visual.{name}": state[f"vision_model.{key}"] for name, key in names.items()}
    for layer in range(CLIP.depth):
        for kind in ("weight", "bias"):
            parts = [state[f"vision_model.encoder.layers.{layer}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            published[f"visual.transformer.resblocks.{layer}.attn.in_proj_{kind}"] = torch.cat(parts)
    published["visual.proj"] = state["visual_projection.weight"].T
    text = {"transformer.resblocks.0.ln_1.weight": torch.ones(8), "logit_scale": torch.tensor(4.6)}
    return {key: values.half() for key, values in {**published, **text, "text_projection": torch.ones(2, 2)}.items()}


def test_the_keys_of_every_published_file_are_understood() -> None:
    state = dinov2().state_dict()
    own = VisionTransformer.of(DINO, state).state_dict()
    other = VisionTransformer.of(DINO, as_published(state)).state_dict()
    assert all(torch.equal(own[key], other[key]) for key in own)
    state = clip().state_dict()
    text = {"text_model.embeddings.position_ids": torch.arange(3), "logit_scale": torch.tensor(4.6)}
    own = VisionTransformer.of(CLIP, {**state, **text, "text_projection.weight": torch.ones(2, 2)}).state_dict()
    other = VisionTransformer.of(CLIP, as_openai(state)).state_dict()
    assert all(torch.equal(own[key].half(), other[key].half()) for key in own)
    assert published_keys(as_published(dinov2().state_dict())).keys() == VisionTransformer(DINO).state_dict().keys()


def test_other_weights_are_refused_with_what_is_wrong() -> None:
    state = as_published(dinov2().state_dict())
    del state["norm.bias"]
    with pytest.raises(
        UserError, match=r"file\.pth: these are not weights of this network: 2 of \d+ .*: norm\.bias, x"
    ):
        VisionTransformer.of(DINO, {**state, "x": torch.ones(1)}, "file.pth: ")


def test_images_are_resized_and_normalized_as_published() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), dtype=np.uint8)
    squeezed = Image.fromarray(images[1]).resize((56, 56), Image.Resampling.BICUBIC)
    assert np.array_equal(resized_bicubically(images, 56, is_cropped=False)[1], np.asarray(squeezed))
    middle = Image.fromarray(images[1][:, 10:50]).resize((56, 56), Image.Resampling.BICUBIC)
    assert np.array_equal(resized_bicubically(images, 56, is_cropped=True)[1], np.asarray(middle))


@torch.no_grad()
def test_an_extractor_normalizes_its_images_and_clips_features() -> None:
    theirs, images = clip(), np.random.default_rng(0).integers(0, 256, (2, 56, 56, 3), dtype=np.uint8)
    network = NETWORKS["clip"]
    small = type(network)(network.published, CLIP, network.mean, network.std, is_cropped=True, is_normalized=True)
    features = Extracting(small, VisionTransformer.of(CLIP, theirs.state_dict()))(images)
    x = (images / 255 - network.mean) / network.std
    expected = theirs(torch.tensor(x, dtype=torch.float32).permute(0, 3, 1, 2)).image_embeds
    assert (features - functional.normalize(expected, dim=1)).abs().max() < TOLERANCE
    assert torch.allclose(features.norm(dim=1), torch.ones(2))


def test_a_file_of_weights_is_read(tmp_path: Path) -> None:
    network = NETWORKS["dinov2"]
    small = type(network)(network.published, DINO, network.mean, network.std, is_cropped=False, is_normalized=False)
    torch.save(as_published(dinov2().state_dict()), tmp_path / "dinov2.pth")
    grey = small.of_file(tmp_path / "dinov2.pth")(np.full((2, 8, 8, 1), 7, dtype=np.uint8))
    assert grey.shape == (2, 64)


def test_the_memory_of_a_plan_counts_their_weights_exactly() -> None:
    for name, network in NETWORKS.items():
        with torch.device("meta"):
            state = VisionTransformer(network.shape).state_dict()
        assert sum(values.numel() for values in state.values()) == memory.VISION_VALUES[name]


@pytest.mark.parametrize("name", list(NETWORKS))
def test_what_an_image_takes_is_counted_within_a_tenth(name: str) -> None:
    """By one block of the published width: the others take the same memory again."""
    full = NETWORKS[name].shape
    shape = Shape(full.width, 1, full.heads, 14, full.side, full.grid, full.epsilon, full.is_scaled, full.num_outputs)
    network, x = VisionTransformer(shape), torch.zeros(2, 3, full.side, full.side)
    per_image = memory._of_vision(name)[1]
    with torch.no_grad():
        assert 2 * per_image == pytest.approx(peak_of(lambda: network(x)), rel=0.1)
