"""Files that are given as checkpoints: what is taken for what was meant, and what is said of files that are none."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from adm import checkpoints, models, presets
from adm.checkpoints import checks
from adm.config import ModelConfig
from adm.workload import workload
from asked_checks import refuse
from assay.errors import AssayWarning, UserError
from assay.execution import inline
from assay.store import Store
from assay.workload import topological

MODEL = presets.load("tiny_digits").model


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return models.build(MODEL).state_dict()


def under(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in weights.items()}


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "net.diffusion."])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_prefix_of_every_key_is_left_out_and_told(
    tmp_path: Path, weights: dict[str, Tensor], prefix: str, suffix: str
) -> None:
    path = tmp_path / f"m{suffix}"
    save: Callable[..., object] = torch.save if suffix == ".pt" else save_file
    save(under(prefix, weights), str(path))
    with pytest.warns(AssayWarning, match=f"m{suffix}: leaves out '{prefix}', with which every key begins"):
        loaded = checkpoints.load(path)
    loaded.check(MODEL)
    assert loaded.keys() == weights.keys()


def test_a_file_of_before_pytorch_1_6_is_no_different(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    torch.save(under("module.", weights), tmp_path / "m.pt", _use_new_zipfile_serialization=False)
    with pytest.warns(AssayWarning, match=r"leaves out 'module\.'"):
        checkpoints.load(tmp_path / "m.pt").check(MODEL)


def test_the_one_set_of_weights_beside_an_optimizer_is_taken(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    optimizer = {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}
    torch.save({"state_dict": under("model.", weights), "epoch": 3, "optimizer": optimizer}, tmp_path / "m.pt")
    with pytest.warns(AssayWarning, match=r"takes the weights under 'state_dict' and leaves out 'model\.'"):
        checkpoints.load(tmp_path / "m.pt").check(MODEL)


def test_of_several_sets_of_weights_none_is_chosen(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    torch.save({"model": weights, "ema": weights}, tmp_path / "m.pt")
    with pytest.raises(UserError, match="holds several sets of weights, model, ema: save the one that is meant alone"):
        checkpoints.load(tmp_path / "m.pt")


def test_a_prefix_of_some_keys_is_named(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    torch.save({**under("model.", weights), **under("ema.", weights)}, tmp_path / "m.pt")
    with pytest.raises(UserError, match=r"its keys that start with 'model\.' and 'ema\.' do: save only them"):
        checkpoints.load(tmp_path / "m.pt").check(MODEL)


class Code:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("exit 1",)


def bytes_of(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def cut_off(path: Path) -> None:
    torch.save(models.build(MODEL).state_dict(), path)
    path.write_bytes(path.read_bytes()[:5000])


def npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, arr_0=np.zeros(3))


def empty_zip(path: Path) -> None:
    zipfile.ZipFile(path, "w").close()


NO_CHECKPOINTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (bytes_of(b""), "it is empty; copy or download it again"),
    "a page": (bytes_of(b"<html>Not found</html>"), "neither safetensors nor a file of torch.save"),
    "cut off": (cut_off, "is damaged: its end is missing"),
    "an npz file": (npz, r"is no checkpoint: it is a zip file of arr_0\.npy, and not one of torch\.save"),
    "an empty zip": (empty_zip, "it is a zip file of nothing"),
    "code": (bytes_of(pickle.dumps(Code())), "can run code when it is read. Save the state dict alone"),
    "arguments": (
        lambda path: torch.save({"model": {}, "args": Namespace(a=1)}, path),
        r"a pickle that holds more than tensors \(argparse\.Namespace\), and such a file can run code",
    ),
    "a module": (lambda path: torch.save(torch.nn.Linear(2, 2), path), r"\(torch\.nn\.modules\.linear\.Linear\)"),
    "a list": (lambda path: torch.save([1], path), "holds a list, not a state dict of named tensors"),
    "numbers": (lambda path: torch.save({"a": 1, "b": 2}, path), "is no state dict: no tensor under a, b"),
    "another network": (
        lambda path: torch.save(torch.nn.Linear(2, 2).state_dict(), path),
        r"does not fit the model in \d+ keys; it fits no preset",
    ),
}


@pytest.mark.parametrize("case", NO_CHECKPOINTS)
@pytest.mark.parametrize("section", ["train", "classifier.train"])
def test_what_is_no_checkpoint_is_refused_before_anything_is_computed(tmp_path: Path, case: str, section: str) -> None:
    write, told = NO_CHECKPOINTS[case]
    path = tmp_path / "m.pt"
    write(path)
    stages = topological(workload.stages(workload.resolve("tiny_digits", {f"{section}.checkpoint": str(path)})))
    with pytest.raises(UserError) as refusal:
        refuse(stages)
    refused = str(refusal.value)
    first, *keys = refused.splitlines()
    assert first.startswith(f"load: {section}.checkpoint: {path}")
    assert len(keys) <= 6
    assert "Weights only" not in refused
    assert re.search(told, first)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda weights: weights.to("meta"), "has no values, only a shape"),
        (lambda weights: weights.int(), r"has torch\.int32, .*; allowed: dense tensors of floating-point numbers"),
        (lambda weights: weights.to(torch.complex64), r"has torch\.complex64"),
        (lambda weights: weights.to_sparse(), r"torch\.sparse_coo; allowed: dense"),
        (lambda weights: weights * torch.nan, "has infinite or NaN values"),
    ],
)
def test_weights_that_fit_and_are_none_are_refused(
    tmp_path: Path, weights: dict[str, Tensor], change: Callable[[Tensor], Tensor], told: str
) -> None:
    """Shapes do not tell: a cast would take them, or the first step fail."""
    path = tmp_path / "m.pt"
    first = next(iter(weights))
    torch.save({**weights, first: change(weights[first])}, path)
    config = {"checkpoint": str(path), "model": MODEL.model_dump(mode="json")}
    with pytest.raises(UserError, match=rf"train\.checkpoint: .*{re.escape(first)} .*{told}"):
        checks.model(config)


def test_a_link_that_leads_nowhere_is_told_with_the_setting_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "m.pt").symlink_to("m.pt")
    config = workload.resolve("tiny_digits", {"train.checkpoint": str(tmp_path / "m.pt")})
    with pytest.raises(UserError, match=r"train\.checkpoint: .*m\.pt is a link that leads back to itself"):
        workload.stages(config)


def test_a_checkpoint_that_cannot_be_read_is_told_when_it_is_planned(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, told in (("folder", "is a folder: name a file in it"), ("absent", "there is no such file")):
        config = workload.resolve("tiny_digits", {"train.checkpoint": str(tmp_path / name)})
        with pytest.raises(UserError, match=rf"^train\.checkpoint '.*{name}'.*{told}"):
            workload.stages(config)


SMALL: dict[str, Any] = {
    "data.source": "digits",
    "data.crop": "centre",
    "data.validation": 0.1,
    "diffusion.steps": 40,
    "model.image_size": 8,
    "model.in_channels": 1,
    "model.channels": 32,
    "model.head_channels": 32,
    "model.channel_mult": [1.0],
    "model.num_res_blocks": 1,
    "model.attention_resolutions": [],
}
KINDS: dict[str, dict[str, Any]] = {
    "classifier64": {"model.out_channels": 10},
    "upsample_64_256": {
        "model.low_res_size": 4,
        "model.out_channels": 2,
        "model.num_classes": None,
        "data.flip": False,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("base", KINDS)
def test_a_network_from_a_file_is_measured_where_it_is_all_there_is(tmp_path: Path, base: str) -> None:
    """Its trial reports what a training's reports."""
    config = workload.resolve(base, {**SMALL, **KINDS[base], "train.checkpoint": str(tmp_path / "m.pt")})
    torch.save(models.build(ModelConfig(**config["model"])).state_dict(), tmp_path / "m.pt")
    stages, store = topological(workload.stages(config)), Store(tmp_path / "store")
    assert [stage.name for stage in stages] == ["load", "measure"]
    assert refuse(stages) == []
    for stage in stages:
        inline.execute(stage, store, 1, lambda event: None)
    result = store.get(stages[-1].key)
    assert result is not None
    assert set(workload.metrics(config)) <= set(result.metrics)
    assert result.metrics["loss"] > 0
    assert result.metrics["num_images"] == (179 if base == "classifier64" else 1000)
