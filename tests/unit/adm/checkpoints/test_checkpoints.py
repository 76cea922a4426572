"""Checkpoints: round trips, and refusals that say which key and which preset."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from adm import checkpoints, presets
from adm.checkpoints import Checkpoint
from adm.checkpoints.fit import expected_shapes
from adm.config import ModelConfig
from adm.models import build
from assay.errors import AssayWarning, UserError

DIGITS = presets.load("digits").model
SMALL = ModelConfig(image_size=8, channels=32, channel_mult=(1, 2), num_res_blocks=1, attention_resolutions=(4,))


def weights(config: ModelConfig) -> dict[str, Tensor]:
    return build(config).state_dict()


def placeholder(name: str, path: str) -> Checkpoint:
    """A published checkpoint without its data: gigabytes of shapes."""
    shapes = expected_shapes(presets.load(name).model)
    return Checkpoint({key: torch.empty(shape, device="meta") for key, shape in shapes.items()}, None, Path(path))


@pytest.mark.parametrize("config", [DIGITS, SMALL], ids=["digits", "no_preset"])
def test_native_files_carry_their_config(tmp_path: Path, config: ModelConfig) -> None:
    saved = weights(config)
    checkpoints.save(tmp_path / "folder" / "model.safetensors", saved, config)
    loaded = checkpoints.load(tmp_path / "folder" / "model.safetensors")
    assert loaded.config == config
    assert set(loaded) == set(saved)
    rebuilt = loaded.build()
    assert rebuilt.config == config
    for key, value in rebuilt.state_dict().items():
        assert torch.equal(value, saved[key])
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["model.safetensors"]


def test_a_header_whose_length_starts_like_a_pickle_is_no_pickle(tmp_path: Path) -> None:
    for padding in range(0, 257, 8):  # lengths are multiples of 8, so one of them ends in 0x80
        save_file({"a": torch.zeros(1)}, tmp_path / "m.safetensors", {"padding": " " * padding})
        starts_like_a_pickle = (tmp_path / "m.safetensors").read_bytes()[:1] == b"\x80"
        assert set(checkpoints.load(tmp_path / "m.safetensors")) == {"a"}
        if starts_like_a_pickle:
            return
    pytest.fail("no such length was tried")


def test_a_checkpoint_is_a_state_dict(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "model.safetensors", weights(SMALL), SMALL)
    build(SMALL).load_state_dict(checkpoints.load(tmp_path / "model.safetensors"))


def test_builds_do_not_share_memory(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "model.safetensors", weights(SMALL), SMALL)
    loaded = checkpoints.load(tmp_path / "model.safetensors")
    one, other = loaded.build(), loaded.build()
    with torch.no_grad():
        one.time_embed[0].weight.zero_()
    assert other.time_embed[0].weight.any()
    assert other.time_embed[0].weight.requires_grad


@pytest.mark.parametrize("old_format", [False, True])
def test_published_files(tmp_path: Path, old_format: bool) -> None:
    path, saved = tmp_path / "model.pt", weights(DIGITS)
    if old_format:
        torch.save(saved, path, _use_new_zipfile_serialization=False)
    else:
        checkpoints.export_published(path, saved, DIGITS)
    loaded = checkpoints.load(path)
    assert list(loaded) == list(saved)
    assert loaded.config == DIGITS  # the one preset that has these shapes
    for key, value in loaded.build().state_dict().items():
        assert torch.equal(value, saved[key])


def test_weights_of_16_bits_become_float32(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "m.safetensors", {k: v.half() for k, v in weights(SMALL).items()}, SMALL)
    assert checkpoints.load(tmp_path / "m.safetensors").build().dtype == torch.float32


def test_a_file_no_preset_fits_needs_a_config(tmp_path: Path) -> None:
    checkpoints.export_published(tmp_path / "mine.pt", weights(SMALL), SMALL)
    loaded = checkpoints.load(tmp_path / "mine.pt")
    with pytest.raises(UserError, match="has no model config in it"):
        loaded.build()
    assert loaded.build(SMALL).config == SMALL


@pytest.mark.slow
@pytest.mark.parametrize(("file", "preset"), checkpoints.PUBLISHED.items())
def test_published_files_are_known_by_name(tmp_path: Path, file: str, preset: str, monkeypatch: Any) -> None:
    holder = placeholder(preset, file)
    monkeypatch.setattr(checkpoints, "_read", lambda path: (dict(holder), None))
    assert checkpoints.load(tmp_path / file).config == presets.load(preset).model


@pytest.mark.slow
def test_a_mismatch_names_every_key_and_the_preset_that_fits() -> None:
    uncond = placeholder("imagenet256_uncond", "x.pt")
    with pytest.raises(UserError) as caught:
        uncond.check(presets.load("imagenet256").model)
    text = str(caught.value)
    assert "label_emb.weight: missing, should be (1000, 1024)" in text
    assert "1 keys; it fits the preset imagenet256_uncond or lsun_bedroom_256 or" in text

    expected = expected_shapes(presets.load("classifier256").model)
    found = expected_shapes(presets.load("classifier512").model)
    with pytest.raises(UserError, match="it fits the preset classifier512") as caught:
        placeholder("classifier512", "x.pt").check(presets.load("classifier256").model)
    different = {key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)}
    assert {line.strip().partition(":")[0] for line in str(caught.value).splitlines()[1:]} == different


def test_the_other_qkv_order_is_refused_though_its_shapes_fit(tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"num_heads": 2})  # with one head both orders are the same
    new = config.model_copy(update={"qkv_order": "new"})
    checkpoints.save(tmp_path / "m.safetensors", weights(new), new)
    with pytest.raises(UserError) as caught:
        checkpoints.load(tmp_path / "m.safetensors").build(config)
    lines = str(caught.value).splitlines()[1:]
    assert len(lines) == sum(key.endswith(".qkv.weight") for key in expected_shapes(SMALL))
    assert all("qkv order new [3, heads, ch] in the file, legacy [heads, 3, ch] in the model" in line for line in lines)


@pytest.mark.slow
def test_the_published_64_model_in_the_legacy_order_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    holder = placeholder("imagenet64", "64x64_diffusion.pt")
    monkeypatch.setattr(checkpoints, "_read", lambda path: (dict(holder), None))
    config = presets.load("imagenet64").model
    loaded = checkpoints.load(tmp_path / "64x64_diffusion.pt")
    loaded.check(config)
    with pytest.raises(UserError, match="it fits the preset imagenet64:") as caught:
        loaded.check(config.model_copy(update={"qkv_order": "legacy"}))
    assert "middle_block.1.qkv.weight: qkv order new" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"num_heads": 4}, "middle_block.1.qkv.weight: 1 heads in the file, 4"), ({"rescale_skip": True}, "rescale_skip")],
)
def test_what_shapes_do_not_tell_is_compared(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    checkpoints.save(tmp_path / "m.safetensors", weights(SMALL), SMALL)
    with pytest.raises(UserError, match=message):
        checkpoints.load(tmp_path / "m.safetensors").build(SMALL.model_copy(update=change))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"head_channels": 16},
            r"middle_block\.1\.qkv\.weight: 2 heads in the preset digits, 4 in the model, and 3 more",
        ),
        (
            {"qkv_order": "new"},
            r"middle_block\.1\.qkv\.weight: qkv order legacy .* in the preset digits, new .* in the",
        ),
        ({"rescale_skip": True}, r"\(every residual: rescale_skip False in the preset digits, True in the model\)"),
    ],
)
def test_a_guess_by_shape_gives_way_to_a_config(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    """A .pt file of one's own training does not say which of these it has."""
    own = DIGITS.model_copy(update=change)
    checkpoints.export_published(tmp_path / "mine.pt", weights(own), own)
    loaded = checkpoints.load(tmp_path / "mine.pt")
    assert loaded.config == DIGITS
    loaded.check(DIGITS)
    with pytest.warns(AssayWarning, match=rf"mine\.pt does not contain its qkv order, heads.*{told}"):
        assert loaded.build(own).config == own


def test_a_published_name_on_weights_of_other_shapes_says_nothing(tmp_path: Path) -> None:
    own = DIGITS.model_copy(update={"head_channels": 16})
    checkpoints.export_published(tmp_path / "lsun_cat.pt", weights(own), own)
    with pytest.warns(AssayWarning, match="4 in the model"):
        checkpoints.load(tmp_path / "lsun_cat.pt").check(own)


def test_how_a_model_is_run_is_free_to_change(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "m.safetensors", weights(SMALL), SMALL)
    other = SMALL.model_copy(update={"implementation": "naive", "dropout": 0.1, "activation_checkpointing": True})
    assert checkpoints.load(tmp_path / "m.safetensors").build(other).config == other


def test_weights_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    for write in (checkpoints.save, checkpoints.export_published):
        with pytest.raises(UserError, match=r"does not fit the model in \d+ keys"):
            write(tmp_path / "m", weights(SMALL), DIGITS)
    assert not list(tmp_path.iterdir())


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("ran",))


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, how: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pt"
    if how == "torch":
        torch.save({"time_embed.0.weight": torch.zeros(1), "extra": Code()}, path)
    else:
        path.write_bytes(pickle.dumps({"extra": Code()}))
    with pytest.raises(UserError, match="refused: it is a pickle that holds more than tensors"):
        checkpoints.load(path)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint file"):
        checkpoints.load(tmp_path / "none.pt")
    for name, content in {"text.pt": b"hello there", "empty.pt": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="damaged or no checkpoint"):
            checkpoints.load(tmp_path / name)
    torch.save({"model": {"w": "a name"}, "step": 3}, tmp_path / "nested.pt")
    with pytest.raises(UserError, match="no tensor under model, step"):
        checkpoints.load(tmp_path / "nested.pt")
    torch.save(weights(SMALL), tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:1000])
    with pytest.raises(UserError, match="damaged"):
        checkpoints.load(tmp_path / "cut.pt")


def test_a_safetensors_file_of_others_is_read_too(tmp_path: Path) -> None:
    save_file(weights(DIGITS), tmp_path / "theirs.safetensors")
    assert checkpoints.load(tmp_path / "theirs.safetensors").config == DIGITS
