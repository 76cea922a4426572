"""Where Inception's weights are, and whether they are the published ones. Nothing is downloaded.

FID is defined by one file of weights: distances in the features of others are no FID. So its checksum is verified, and
files with another are refused unless the caller says that any will do. No torch here until a file is read, so that a
sweep is planned without it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import NotHere, UserError
from assay.workload import JSON
from imaging.contents import file_sha256, sha256_of
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
"""Names the file, for a machine that keeps it elsewhere than in the cache."""
CACHE = Path("~/.cache/adm")
PUBLISHED = "inception-2015-12-05"
"""How the extractor is called when its weights are the published ones."""


class InceptionWeightsError(UserError):
    """The weights are absent, damaged, or others than the published ones."""


class NoInceptionWeights(InceptionWeightsError, NotHere):
    """There is no file where the weights should be."""


def find(path: str | os.PathLike[str] | None = None) -> Path:
    """The file of weights: `path`, else what ADM_INCEPTION_WEIGHTS names, else the one in ~/.cache/adm.

    Raises InceptionWeightsError, saying what to download, from where, and where to put it. Reads nothing.
    """
    if path is not None:
        return _existing(Path(path).expanduser(), "")
    if named := os.environ.get(ENVIRONMENT):
        return _existing(Path(named).expanduser(), f", which {ENVIRONMENT} names,")
    return _existing((CACHE / FILE_NAME).expanduser(), "")


def planned(config: Mapping[str, Any]) -> Path:
    """The file of Inception's weights that a stage was planned with. Raises UserError where there is another or none.

    Without a path it is wherever this machine keeps the published one.
    """
    path = find(config["weights"])
    if config["weights"] is None:
        verify(path)
    elif sha256_of(path) != config["sha256"]:
        raise UserError(f"{path} is not the file of weights that this was planned with: it has changed. Run again")
    return path


def refuse_relative() -> None:
    """Raise InceptionWeightsError where ADM_INCEPTION_WEIGHTS starts where the user stands: stages run elsewhere."""
    named = os.environ.get(ENVIRONMENT)
    if named and not Path(named).expanduser().is_absolute():
        raise InceptionWeightsError(
            f"{ENVIRONMENT} is {named!r}, allowed: a whole path, as every machine and process finds it"
        )


def how_to_get() -> str:
    """A command that puts the published file where `find` looks, for messages."""
    cached = (CACHE / FILE_NAME).expanduser()
    return (
        f"download them ({NUM_BYTES / 1e6:.0f} MB, once): mkdir -p {cached.parent} && curl -L -o {cached} {URL} "
        f"(or keep the file anywhere, and name it in {ENVIRONMENT})"
    )


def _existing(path: Path, why: str) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        raise InceptionWeightsError(f"Inception's weights: {path}{why} is a folder; {how_to_get()}")
    raise NoInceptionWeights(f"Inception's weights: {path}{why} does not exist; {how_to_get()}")


def read(path: Path, *, any_weights: bool = False) -> dict[str, Tensor]:
    """The state dict in a file of torch.save, without running code that it may hold. Verified unless any will do.

    Raises:
        InceptionWeightsError: the checksum is not that of the published file.
        UserError: the file is damaged, or holds something else than named tensors.
    """
    from imaging import weight_files

    if not any_weights:
        verify(path)
    return weight_files.read(path)[0]


def verify(path: Path) -> None:
    """Raise InceptionWeightsError unless the file is the published one. Reads it, unless `contents` knows it."""
    found = path.stat()
    if found.st_size != NUM_BYTES:
        short = "; the download broke off" if found.st_size < NUM_BYTES else ""
        raise InceptionWeightsError(
            f"{path} is not the published file of Inception's weights: it has {found.st_size:,} bytes, and the "
            f"published one {NUM_BYTES:,}{short}. Download it again: curl -L -o {path} {URL}"
        )
    if (digest := sha256_of(path)) != SHA256:
        raise InceptionWeightsError(
            f"{path} is not the published file of Inception's weights: its sha256 is {digest}, and the published "
            f"one's {SHA256}. Download it again: curl -L -o {path} {URL}"
        )


def extractor_name(sha256: str) -> str:
    """What features are called, by the checksum of the file of weights."""
    return PUBLISHED if sha256 == SHA256 else f"inception-{sha256[:12]}"


def features_name(extractor: str, precision: str) -> str:
    """`extractor`, with the precision where it is not fp32: a distance needs both sides to be called the same."""
    return extractor if precision == "fp32" else f"{extractor}-{precision}"


def distance_name(extractor: str) -> str:
    """What a Fréchet distance in these features is called: FID is only ever that of the published weights."""
    return "fid" if extractor == PUBLISHED else f"fd_{extractor}"


def tensors_name(weights: Mapping[str, Tensor]) -> str:
    """What features are called whose weights came from no file: a digest of the tensors."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(key.encode())
        digest.update(weights[key].detach().cpu().contiguous().numpy().tobytes())
    return f"inception-{digest.hexdigest()[:12]}"


def identity(evaluate: EvaluateConfig) -> Identity:
    """What Inception's features are by its weights and its precision. Raises UserError where there is no such file.

    Without a path the weights are the published ones, wherever a machine keeps them.
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
