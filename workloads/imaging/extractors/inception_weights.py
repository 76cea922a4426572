"""Finds Inception's weights, and verifies that they are the published ones. Downloads nothing.

FID is defined by one file of weights: distances with other weights are not FID. So files with another checksum are
refused unless the caller allows any weights. torch is imported only to read a file, so planning does not import it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import NotHere, UserError
from assay.workload import JSON
from imaging.contents import file_sha256, refuse_changed, sha256_of
from imaging.extractors import Identity
from imaging.paths import is_there, whole

if TYPE_CHECKING:
    from torch import Tensor

    from imaging.config import EvaluateConfig

FILE_NAME = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE_NAME}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
NUM_BYTES = 95_628_359
ENVIRONMENT = "ADM_INCEPTION_WEIGHTS"
"""Environment variable with the path of the file, if it is not in the cache."""
CACHE = Path("~/.cache/adm")
PUBLISHED = "inception-2015-12-05"
"""Name of the extractor with the published weights."""


class InceptionWeightsError(UserError):
    """The weights are absent, damaged, or not the published ones."""


class NoInceptionWeights(InceptionWeightsError, NotHere):
    """The file of weights does not exist."""


def find(path: str | os.PathLike[str] | None = None) -> Path:
    """The file of weights: `path`, else the one in ADM_INCEPTION_WEIGHTS, else the one in ~/.cache/adm.

    Raises InceptionWeightsError with a download command if it does not exist. Does not read it.
    """
    if path is not None:
        return _existing(Path(path).expanduser(), "")
    if named := os.environ.get(ENVIRONMENT):
        return _existing(Path(named).expanduser(), f" (from {ENVIRONMENT})")
    return _existing((CACHE / FILE_NAME).expanduser(), "")


def planned(config: Mapping[str, Any]) -> Path:
    """The file of Inception's weights that a stage was planned with. Raises UserError if it changed or is absent.

    Without a path in the config it is this machine's copy of the published file.
    """
    path = find(config["weights"])
    if config["weights"] is None:
        verify(path)
    else:
        refuse_changed(path, config["sha256"])
    return path


def refuse_relative() -> None:
    """Raise InceptionWeightsError for a relative ADM_INCEPTION_WEIGHTS: stages run in other folders."""
    named = os.environ.get(ENVIRONMENT)
    if named and not Path(named).expanduser().is_absolute():
        raise InceptionWeightsError(
            f"{ENVIRONMENT} is {named!r}, allowed: an absolute path, which every machine and process can find"
        )


def how_to_get() -> str:
    """A command that downloads the published file to the cache, for messages."""
    cached = (CACHE / FILE_NAME).expanduser()
    return (
        f"download them ({NUM_BYTES / 1e6:.0f} MB, once): mkdir -p {cached.parent} && curl -L -o {cached} {URL} "
        f"(or keep the file elsewhere, and set {ENVIRONMENT} to its path)"
    )


def _existing(path: Path, origin: str) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        raise InceptionWeightsError(f"Inception's weights: {path}{origin} is a folder; {how_to_get()}")
    raise NoInceptionWeights(f"Inception's weights: {path}{origin} does not exist; {how_to_get()}")


def read(path: Path, *, any_weights: bool = False) -> dict[str, Tensor]:
    """The state dict in a file of torch.save; does not run code in the file. Verifies the file unless `any_weights`.

    Raises:
        InceptionWeightsError: the checksum is not that of the published file.
        UserError: the file is damaged, or is not a dict of named tensors.
    """
    from imaging import weight_files

    if not any_weights:
        verify(path)
    return weight_files.read(path)[0]


def verify(path: Path) -> None:
    """Raise InceptionWeightsError unless the file is the published one. Reads it unless its hash is cached."""
    num_bytes = path.stat().st_size
    if num_bytes != NUM_BYTES:
        hint = "; the download was interrupted" if num_bytes < NUM_BYTES else ""
        raise InceptionWeightsError(
            f"{path} is not the published file of Inception's weights: it has {num_bytes:,} bytes, and the "
            f"published one {NUM_BYTES:,}{hint}. Download it again: curl -L -o {path} {URL}"
        )
    if (digest := sha256_of(path)) != SHA256:
        raise InceptionWeightsError(
            f"{path} is not the published file of Inception's weights: its sha256 is {digest}, and the published "
            f"one's {SHA256}. Download it again: curl -L -o {path} {URL}"
        )


def extractor_name(sha256: str) -> str:
    """Name of the extractor with the weights of this checksum."""
    return PUBLISHED if sha256 == SHA256 else f"inception-{sha256[:12]}"


def features_name(extractor: str, precision: str) -> str:
    """`extractor`, with the precision unless it is fp32. A distance requires the same name on both sides."""
    return extractor if precision == "fp32" else f"{extractor}-{precision}"


def distance_name(extractor: str) -> str:
    """Name of the Fréchet distance in these features: FID only with the published weights."""
    return "fid" if extractor == PUBLISHED else f"fd_{extractor}"


def tensors_name(weights: Mapping[str, Tensor]) -> str:
    """Name of the extractor with weights that are not from a file: a digest of the tensors."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(key.encode())
        digest.update(weights[key].detach().cpu().contiguous().numpy().tobytes())
    return f"inception-{digest.hexdigest()[:12]}"


def identity(evaluate: EvaluateConfig) -> Identity:
    """The identity of Inception's features: its weights and precision. Raises UserError for a path without a file.

    Without a path the weights are the published ones, wherever they are on a machine.
    """
    if evaluate.inception_weights is None:
        refuse_relative()
        path, sha256 = None, SHA256
    else:
        path = whole(evaluate.inception_weights)
        sha256 = file_sha256(path if is_there(path) else find(path))
    weights: dict[str, JSON] = {
        "weights": None if path is None else str(path),
        "sha256": sha256,
        "precision": evaluate.inception_precision,
    }
    name = extractor_name(sha256)
    return Identity({"inception": weights}, features_name(name, evaluate.inception_precision), distance_name(name))
