"""Which file of weights DINOv2 and CLIP take, how an absent one is told of, and how features are named by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adm.workload import workload
from assay.errors import ConfigError, UserError
from assay.workload import Stage, topological
from imaging.config import EvaluateConfig
from imaging.extractors.vision_weights import CLIP, DINOV2, check_dinov2, find, identity_of_clip, identity_of_dinov2


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for published in (DINOV2, CLIP):
        monkeypatch.delenv(published.environment, raising=False)


@pytest.mark.parametrize("published", [DINOV2, CLIP])
def test_absent_weights_say_what_to_download_and_where_to_put_it(published: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        find(published)
    message = str(caught.value)
    assert f"{tmp_path}/.cache/adm/{published.file_name} does not exist" in message
    assert f"curl -L -o {tmp_path}/.cache/adm/{published.file_name} {published.url}" in message
    assert published.environment in message


def test_a_path_goes_before_the_environment_and_that_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached, named, given = DINOV2.cached, tmp_path / "named.pth", tmp_path / "given.pth"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert find(DINOV2) == cached
    monkeypatch.setenv(DINOV2.environment, str(named))
    with pytest.raises(UserError, match=r"named\.pth \(from ADM_DINOV2_WEIGHTS\) does not exist"):
        find(DINOV2)
    given.touch()
    assert find(DINOV2, given) == given


def test_features_are_named_by_their_weights(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"weights")
    published = identity_of_dinov2(EvaluateConfig(extractor="dinov2"))
    assert (published.features, published.distance) == ("dinov2-vitl14", "fd_dinov2")
    digest = "9a129038d9a0"  # sha256 of b"weights"
    other = identity_of_dinov2(EvaluateConfig(extractor="dinov2", dinov2_weights=str(file)))
    assert (other.features, other.distance) == (f"dinov2-vitl14-{digest}", f"fd_dinov2-{digest}")
    clip = identity_of_clip(EvaluateConfig(extractor="clip", clip_weights=str(file)))
    assert (clip.features, clip.distance) == (f"clip-vitl14-336-{digest}", "fd_clip")


def stages(**evaluate: Any) -> dict[str, Stage]:
    settings = {"evaluate.num_samples": 100, **{f"evaluate.{name}": value for name, value in evaluate.items()}}
    return {stage.name: stage for stage in topological(workload.stages(workload.resolve("digits", settings)))}


def test_the_key_has_the_weights_but_not_their_place(tmp_path: Path) -> None:
    keys = []
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(b"weights")
        keys.append(stages(extractor="clip", clip_weights=str(tmp_path / name))["features"].key)
    (tmp_path / "b.bin").write_bytes(b"others")
    keys.append(stages(extractor="clip", clip_weights=str(tmp_path / "b.bin"))["features"].key)
    assert keys[0] == keys[1] != keys[2]


def test_a_trial_that_cannot_have_them_is_refused_at_its_option() -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.clip_weights: clip-vitl14-336's weights: .* does not exist"):
        stages(extractor="clip")
    with pytest.raises(ConfigError, match=r"dinov2_weights 'w\.pth' has no effect on evaluate\.extractor clip"):
        stages(extractor="clip", dinov2_weights="w.pth")


def test_a_file_that_is_not_the_planned_one_is_refused(tmp_path: Path) -> None:
    DINOV2.cached.parent.mkdir(parents=True)
    DINOV2.cached.write_bytes(b"broken off")
    config = identity_of_dinov2(EvaluateConfig(extractor="dinov2")).config
    with pytest.raises(UserError, match=r"is not the published file of dinov2-vitl14: its sha256 is [0-9a-f]{64}"):
        check_dinov2(config)
    other = tmp_path / "other.pth"
    other.write_bytes(b"before")
    config = identity_of_dinov2(EvaluateConfig(extractor="dinov2", dinov2_weights=str(other))).config
    other.write_bytes(b"after")
    with pytest.raises(UserError, match="changed since the sweep was planned"):
        check_dinov2(config)
