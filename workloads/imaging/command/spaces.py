"""The feature spaces in which `adm-evaluate` compares images: a network, and what is called by it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from assay.errors import AssayWarning, UserError
from assay.text import first_line
from imaging.contents import sha256_of
from imaging.data import Images
from imaging.extractors import EXTRACTORS, FEATURES, inception_weights
from imaging.extractors.features import seen_by_inception
from imaging.extractors.inception import InceptionV3, Precision
from imaging.extractors.vision import NETWORKS
from imaging.extractors.vision_weights import VisionWeights, distance_name, features_name, find, verify

INCEPTION = "inception"


@dataclass(frozen=True, eq=False)
class Space:
    """A feature space."""

    extractor: str
    """Its name in EXTRACTORS."""
    network: str
    """The network and its weights."""
    features: str
    """The network, with its precision unless that is fp32. A distance requires the same name on both sides."""
    distance: str
    """The name of the Fréchet distance."""
    arithmetic: str
    device: str
    num_features: int
    extract: Callable[[Images], Mapping[str, Tensor]]

    @property
    def columns(self) -> tuple[str, ...]:
        return EXTRACTORS[self.extractor].columns

    @property
    def is_fid(self) -> bool:
        return self.network == inception_weights.PUBLISHED


def space_of_inception(network: InceptionV3) -> Space:
    return Space(
        INCEPTION,
        network.extractor,
        network.features_name,
        inception_weights.distance_name(network.extractor),
        network.precision,
        str(network.fc.weight.device),
        network.fc.in_features,
        lambda images: seen_by_inception(network, images),
    )


def inception_network(
    weights: str | os.PathLike[str], any_weights: bool, precision: Precision, device: str
) -> InceptionV3:
    """FID's network on a device. Warns of weights that FID is not defined by."""
    network = InceptionV3(weights, precision=precision, any_weights=any_weights)
    if not network.is_published:
        warnings.warn(
            f"these are not the weights that FID is defined by; distances are called fd_{network.extractor} and are "
            "not comparable with published ones",
            AssayWarning,
            stacklevel=1,
        )
    with _refused_device(device):
        return network.to(device)


def space_of_vision(published: VisionWeights, path: str | os.PathLike[str] | None, device: str) -> Space:
    """DINOv2's or CLIP's. A file that is given may have any weights of the network; else it is the published one."""
    file = find(published, path)
    if path is None:
        verify(published, file)
    network = NETWORKS[published.extractor].of_file(file)
    with _refused_device(device):
        network.to(device)
    name = features_name(published, sha256_of(file))
    return Space(
        published.extractor,
        name,
        name,
        distance_name(published, sha256_of(file)),
        "fp32",
        device,
        network.transformer.shape.num_features,
        lambda images: {FEATURES: network(images)},
    )


@contextmanager
def _refused_device(device: str) -> Iterator[None]:
    """Raise UserError for a device that is not there."""
    try:
        yield
    except (RuntimeError, AssertionError) as error:  # what PyTorch raises for a missing device
        raise UserError(f"--device {device}: {first_line(error)}") from error
