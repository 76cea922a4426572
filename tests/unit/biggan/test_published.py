"""Published weights are checked before they are used, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import biggan
from assay.errors import NotHere, UserError
from biggan import checks, published
from biggan.config import GeneratorConfig
from biggan_by_rule import weights_of

SMALL = GeneratorConfig(channel_width=8, z_dim=4, num_classes=3, layers=((True, 16, 1),), n_stats=3)
CONV = "generator.layers.0.conv_0.weight_orig"


@pytest.fixture
def weights() -> dict[str, Tensor]:
    return weights_of(biggan.BigGAN(SMALL))


@pytest.fixture
def path(tmp_path: Path, weights: dict[str, Tensor]) -> Path:
    torch.save(weights, tmp_path / "weights.bin")
    return tmp_path / "weights.bin"


def test_weights_that_fit_are_taken(weights: dict[str, Tensor]) -> None:
    model = biggan.load_published(biggan.BigGAN(SMALL), weights)
    assert torch.equal(model.state_dict()[CONV], weights[CONV])


def test_every_difference_is_named(weights: dict[str, Tensor]) -> None:
    del weights["embeddings.weight"]
    weights["discriminator.weight"] = torch.zeros(1)
    weights[CONV] = torch.zeros(2, 2)
    with pytest.raises(UserError) as refused:
        biggan.load_published(biggan.BigGAN(SMALL), weights)
    assert str(refused.value).splitlines() == [
        "the state dict does not fit the generator in 3 keys:",
        "  embeddings.weight: missing, should be (4, 3)",
        "  discriminator.weight: not in the model, (1,) in the file",
        f"  {CONV}: (2, 2) in the file, (32, 128, 1, 1) in the model",
    ]


def test_of_many_differences_the_first_are_named() -> None:
    with pytest.raises(UserError, match=r"the state dict does not fit the generator in \d+ keys") as refused:
        biggan.load_published(biggan.BigGAN(SMALL), {})
    assert "more" in str(refused.value).splitlines()[-1]
    assert len(str(refused.value).splitlines()) == 7


def test_what_is_no_tensor_is_named(weights: dict[str, Tensor]) -> None:
    with pytest.raises(
        UserError, match=r"the state dict contains something other than tensors under embeddings\.weight"
    ):
        biggan.load_published(biggan.BigGAN(SMALL), {**weights, "embeddings.weight": [1.0]})  # type: ignore[dict-item]


def test_a_file_is_read(path: Path, weights: dict[str, Tensor]) -> None:
    assert published.read(path, SMALL).keys() == weights.keys()


def test_a_file_that_could_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "module.bin"
    torch.save(torch.nn.Linear(1, 1), path)
    with pytest.raises(UserError, match="it is a pickle that holds more than tensors"):
        published.read(path, SMALL)


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.bin"
    path.write_text("<html>not found</html>")
    with pytest.raises(UserError, match=r"neither safetensors nor a file of torch\.save"):
        published.read(path, SMALL)


def test_weights_that_are_no_numbers_are_refused(path: Path, weights: dict[str, Tensor]) -> None:
    weights[CONV][0] = torch.nan
    torch.save(weights, path)
    with pytest.raises(UserError, match=f"{CONV} has infinite or NaN values"):
        published.read(path, SMALL)


def stage(path: Path, sha256: str | None) -> dict[str, object]:
    return {"checkpoint": str(path), "sha256": sha256, "generator": SMALL.model_dump(mode="json")}


def test_a_file_that_is_not_here_may_be_there_where_stages_run(tmp_path: Path) -> None:
    with pytest.raises(NotHere, match=r"generator\.weights: .*absent\.bin does not exist; download it from https://"):
        checks.weights(stage(tmp_path / "absent.bin", None))


def test_a_file_that_the_plan_did_not_see_is_refused(path: Path) -> None:
    with pytest.raises(UserError, match="was not on the machine that planned the sweep"):
        checks.weights(stage(path, None))


def test_a_file_of_another_generator_is_refused_before_anything_runs(path: Path) -> None:
    other = {**stage(path, "0" * 64), "generator": SMALL.model_copy(update={"z_dim": 5}).model_dump(mode="json")}
    with pytest.raises(UserError, match=r"generator\.weights: .*weights\.bin does not fit the generator in \d+ keys"):
        checks.weights(other)
