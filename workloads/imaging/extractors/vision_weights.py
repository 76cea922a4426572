"""Finds the weights of the vision transformers that images are compared in. Downloads nothing, and imports no torch.

A trial's key has the sha256 of the file. DINOv2's published file is recognised by the checksum that
https://github.com/finegrain-ai/refiners (src/refiners/conversion/models/dinov2.py) records for it. CLIP's weights are
published in several files, so features are named by the checksum of the file that is given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import NotHere, UserError
from imaging.contents import file_sha256, refuse_changed
from imaging.extractors import Identity
from imaging.paths import is_there, whole

if TYPE_CHECKING:
    from imaging.config import EvaluateConfig

CACHE = Path("~/.cache/adm")
SHOWN_DIGITS = 12


@dataclass(frozen=True)
class VisionWeights:
    """The published weights of a network."""

    extractor: str
    """Its name in EXTRACTORS, and of its part of a stage's config."""
    network: str
    """What the network is called in messages, and how its features' name begins."""
    file_name: str
    """Name of the file in the cache."""
    url: str
    environment: str
    """Environment variable with the path of the file, if it is not in the cache."""
    sha256: str | None = None
    """Of the published file; None: not known from a source that can be cited."""

    @property
    def option(self) -> str:
        """The option of the section evaluate that names a file."""
        return f"{self.extractor}_weights"

    @property
    def cached(self) -> Path:
        return (CACHE / self.file_name).expanduser()

    @property
    def how_to_get(self) -> str:
        """A command that downloads the file to the cache, for messages."""
        return (
            f"download them (1 to 2 GB, once): mkdir -p {self.cached.parent} && curl -L -o {self.cached} {self.url} "
            f"(or keep the file elsewhere, and set evaluate.{self.option} or {self.environment} to its path)"
        )


DINOV2 = VisionWeights(
    "dinov2",
    "dinov2-vitl14",
    "dinov2_vitl14_pretrain.pth",
    "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
    "ADM_DINOV2_WEIGHTS",
    "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
)
CLIP = VisionWeights(
    "clip",
    "clip-vitl14-336",
    "clip-vit-large-patch14-336.bin",
    "https://huggingface.co/openai/clip-vit-large-patch14-336/resolve/main/pytorch_model.bin",
    "ADM_CLIP_WEIGHTS",
)
PUBLISHED = {DINOV2.extractor: DINOV2, CLIP.extractor: CLIP}
"""Extractor → its published weights."""


class VisionWeightsError(UserError):
    """The weights are absent or not the planned ones."""


class NoVisionWeights(VisionWeightsError, NotHere):
    """The file of weights does not exist."""


def find(published: VisionWeights, path: str | os.PathLike[str] | None = None) -> Path:
    """The file of weights: `path`, else the one in the environment variable, else the one in ~/.cache/adm.

    Raises VisionWeightsError with a download command if it does not exist. Does not read it.
    """
    named = os.environ.get(published.environment)
    file = Path(path or named or published.cached).expanduser()
    if file.is_file():
        return file
    origin = f" (from {published.environment})" if named and path is None else ""
    problem = "is a folder" if file.is_dir() else "does not exist"
    message = f"{published.network}'s weights: {file}{origin} {problem}; {published.how_to_get}"
    raise (VisionWeightsError if file.is_dir() else NoVisionWeights)(message)


def planned(published: VisionWeights, config: Mapping[str, Any]) -> Path:
    """The file that a stage was planned with; `config` is that of the stage. Raises UserError if it is absent, or
    another one."""
    given = config[published.extractor]
    path = find(published, given["weights"])
    if given["weights"] is None and given["sha256"] == published.sha256:
        verify(published, path)
    else:
        refuse_changed(path, given["sha256"])
    return path


def verify(published: VisionWeights, path: Path) -> None:
    """Raise VisionWeightsError unless the file is the published one, if that has a known checksum."""
    if published.sha256 is not None and (digest := file_sha256(path)) != published.sha256:
        raise VisionWeightsError(
            f"{path} is not the published file of {published.network}: its sha256 is {digest}, and the published one's "
            f"{published.sha256}. Download it again: curl -L -o {path} {published.url}, or name another file in "
            f"evaluate.{published.option}"
        )


def features_name(published: VisionWeights, sha256: str) -> str:
    """Name of the features by these weights. A distance requires the same name on both sides."""
    return published.network if sha256 == published.sha256 else f"{published.network}-{sha256[:SHOWN_DIGITS]}"


def distance_name(published: VisionWeights, sha256: str) -> str:
    """Name of the Fréchet distance in these features: with other than the published weights it has their digest."""
    is_other = published.sha256 is not None and sha256 != published.sha256
    return f"fd_{published.extractor}{f'-{sha256[:SHOWN_DIGITS]}' if is_other else ''}"


def identity_of_dinov2(evaluate: EvaluateConfig) -> Identity:
    return _identity(DINOV2, evaluate.dinov2_weights)


def identity_of_clip(evaluate: EvaluateConfig) -> Identity:
    return _identity(CLIP, evaluate.clip_weights)


def _identity(published: VisionWeights, given: str | None) -> Identity:
    """Without a path the weights are the published ones, wherever they are on a machine; if their checksum is not
    known, they have to be on this one, too. Raises UserError for a file that is absent."""
    named = os.environ.get(published.environment)
    if given is None and named and not Path(named).expanduser().is_absolute():
        raise VisionWeightsError(
            f"{published.environment} is {named!r}, allowed: an absolute path, which every machine and process can find"
        )
    path = None if given is None else whole(given)
    if path is not None:
        sha256 = file_sha256(path if is_there(path) and path.is_file() else find(published, path))
    else:
        sha256 = published.sha256 or file_sha256(find(published))
    return Identity(
        {published.extractor: {"weights": None if path is None else str(path), "sha256": sha256}},
        features_name(published, sha256),
        distance_name(published, sha256),
    )


def check_dinov2(config: Mapping[str, Any]) -> None:
    """Check that DINOv2's weights are available, and are weights of that network. Raises UserError."""
    _check(DINOV2, config)


def check_clip(config: Mapping[str, Any]) -> None:
    """Check that CLIP's weights are available, and are weights of that network. Raises UserError."""
    _check(CLIP, config)


def _check(published: VisionWeights, config: Mapping[str, Any]) -> None:
    path = planned(published, config)
    if config[published.extractor]["sha256"] != published.sha256:  # the published file is known to hold the network
        from imaging.extractors.vision import NETWORKS

        NETWORKS[published.extractor].of_file(path)
