"""Which file of weights Inception takes, and how each that is not the published one is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

import inception_by_rule
from assay.errors import UserError
from imaging import InceptionV3
from imaging.extractors import inception_weights
from imaging.extractors.inception_weights import FILE_NAME, URL, InceptionWeightsError


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(inception_weights.ENVIRONMENT, raising=False)
    return tmp_path


def cached(home: Path, content: bytes) -> Path:
    path = home / ".cache" / "adm" / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_absent_weights_say_what_to_download_and_where_to_put_it(empty_home: Path) -> None:
    network = InceptionV3()
    with pytest.raises(InceptionWeightsError) as caught:
        network(inception_by_rule.images(32))
    message = str(caught.value)
    assert str(empty_home / ".cache" / "adm" / FILE_NAME) in message
    assert URL in message
    assert "ADM_INCEPTION_WEIGHTS" in message


def test_a_path_goes_before_the_environment_and_that_before_the_cache(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cache, named, given = cached(empty_home, b"c"), empty_home / "named.pth", empty_home / "given.pth"
    assert inception_weights.find() == in_cache
    monkeypatch.setenv(inception_weights.ENVIRONMENT, str(named))
    with pytest.raises(InceptionWeightsError, match=r"named\.pth \(from ADM_INCEPTION_WEIGHTS\) does not exist"):
        inception_weights.find()
    named.write_bytes(b"n")
    assert inception_weights.find() == named
    with pytest.raises(InceptionWeightsError, match=r"given\.pth does not exist"):
        inception_weights.find(given)
    given.write_bytes(b"g")
    assert inception_weights.find(given) == given


def test_a_file_that_is_not_the_published_one_is_refused(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cached(empty_home, b"short")
    with pytest.raises(InceptionWeightsError, match="it has 5 bytes, and the published one 95,628,359; the download"):
        inception_weights.read(path)
    monkeypatch.setattr(inception_weights, "NUM_BYTES", 5)
    with pytest.raises(
        InceptionWeightsError, match=r"its sha256 is [0-9a-f]{64}, and the published one's 6726825d0af5"
    ):
        inception_weights.read(path)


@pytest.mark.slow
def test_the_published_file_gives_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file made by rule stands for the published one; after another state dict it is no longer called so."""
    weights = inception_by_rule.weights()
    path = tmp_path / "weights.pth"
    torch.save(weights, path)
    with pytest.raises(InceptionWeightsError, match="not the published file"):
        InceptionV3(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    other, made = InceptionV3(path, any_weights=True), InceptionV3(weights)
    assert not other.is_published
    assert other.extractor == f"inception-{digest[:12]}"
    assert made.extractor != InceptionV3({**weights, "fc.bias": weights["fc.bias"] + 1}).extractor
    monkeypatch.setattr(inception_weights, "NUM_BYTES", path.stat().st_size)
    monkeypatch.setattr(inception_weights, "SHA256", digest)
    network = InceptionV3(path)
    assert network.extractor == "inception-2015-12-05"
    network.load_state_dict(weights)
    assert network.extractor == made.extractor


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(UserError, match="565 of 566 keys are missing, unknown or of another shape"):
        InceptionV3({"fc.bias": torch.zeros(1008)})
    with pytest.raises(UserError, match="precision must be one of fp32, bf16; got 'fp16'"):
        InceptionV3(precision="fp16")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 8, 8),
        torch.zeros(1, 8, 8, 3, dtype=torch.uint8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.zeros(0, 3, 8, 8, dtype=torch.uint8),
    ],
    ids=["float", "NHWC", "one image", "none"],
)
def test_what_are_no_images_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(UserError, match=r"Inception takes images uint8 \(N, 3, H, W\), 0 to 255; got torch"):
        InceptionV3()(images)
