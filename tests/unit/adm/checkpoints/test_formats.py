"""`assay export` and `assay import`: a stored training's weights in other formats, and weights from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from adm import checkpoints
from adm.config import ModelConfig
from adm.models import build
from assay.cli import main
from assay.errors import UserError
from assay.home import Home
from assay.store import Store
from stored_stages import COST, train_stage

MODEL = ModelConfig(image_size=8, channels=32, channel_mult=(1, 2), num_res_blocks=1, attention_resolutions=(4,))


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of a stored training, with two averages of the weights."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    store, stage = Store(Home.default().store_url), train_stage(10)
    with store.staging() as output:
        for name in ("model.safetensors", "model_ema_0.9.safetensors"):
            checkpoints.save(output / name, build(MODEL).state_dict(), MODEL)
        store.commit(stage, output, {}, COST)
    return stage.key


def stored(key: str, name: str = "model.safetensors") -> checkpoints.Checkpoint:
    result = Store(Home.default().store_url).get(key)
    assert result is not None
    return checkpoints.load(result.file(name))


@pytest.mark.parametrize(
    ("name", "output"), [("published", "a.pt"), ("diffusers", "a"), ("safetensors", "a.safetensors")]
)
def test_a_training_is_exported(key: str, name: str, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", key[:8], "--format", name, "-o", output]) == 0
    assert f"model.safetensors of train {key[:8]}" in capsys.readouterr().out
    if name == "diffusers":
        assert sorted(file.name for file in Path(output).iterdir()) == [
            "config.json",
            "diffusion_pytorch_model.safetensors",
        ]
        assert main(["import", output, "--format", name, "-o", "back.safetensors"]) == 0
        output = "back.safetensors"
        assert "model:\n  image_size: 8" in capsys.readouterr().out
    weights = checkpoints.load(output)
    assert all(torch.equal(value, weights[name]) for name, value in stored(key).items())


def test_another_average_is_exported(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = "model_ema_0.9.safetensors"
    assert main(["export", key, "--format", "safetensors", "--file", file, "-o", "x.safetensors", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["file"] == file
    assert torch.equal(checkpoints.load("x.safetensors")["out.0.weight"], stored(key, file)["out.0.weight"])


def test_what_cannot_be_is_refused_by_name(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*command: str) -> str:
        assert main(list(command)) == 2
        return capsys.readouterr().err.replace("\n", " ")

    assert "there is no such format; allowed: published (a .pt file" in refused(
        "export", key, "--format", "x", "-o", "o"
    )
    assert "has no file x; it has model.safetensors" in refused(
        "export", key, "--format", "published", "--file", "x", "-o", "o"
    )
    assert "no stored stage has a key that starts with ffff" in refused(
        "export", "ffff", "--format", "published", "-o", "o"
    )
    Path("o").write_text("mine")
    assert "o exists" in refused("export", key, "--format", "published", "-o", "o")
    assert "nowhere: there is no such file or folder" in refused(
        "import", "nowhere", "--format", "diffusers", "-o", "p"
    )
    assert "has no config.json; allowed: the folder of a network" in refused(
        "import", "home", "--format", "diffusers", "-o", "p"
    )


def test_a_folder_is_no_checkpoint_but_can_become_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="is a folder, and a checkpoint is a file: convert it with assay import"):
        checkpoints.load(tmp_path)
