"""The registry of extractors, which compute the features in which images are compared. Imports no torch.

Another package adds one by an entry point in the group "imaging.extractors" that names an `Extractor`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from assay.registry import Registry
from assay.workload import JSON

FEATURES, SPATIAL, LOGITS = "features", "spatial", "logits"
"""Columns of features. All extractors have the first, which distances, precision, recall and KID are computed in."""


@dataclass(frozen=True)
class Identity:
    """What the features of an extractor are, where that depends on its options and on files."""

    config: dict[str, JSON] = field(default_factory=dict)
    """What of it belongs in the config, and so in the key, of stages that extract features."""
    features: str = ""
    """The name of the features. A distance requires the same name on both sides."""
    distance: str = ""
    """The name of the Fréchet distance in them."""


@dataclass(frozen=True)
class Extractor:
    """The facts about an extractor."""

    body: str
    """Import path of a subclass of `imaging.extractors.features.Features`: images in, columns of features out."""
    columns: tuple[str, ...] = (FEATURES,)
    network: str | None = None
    """Name of the stage input that has its network, if that is one of the trial's own; None: it needs none."""
    most_values: int | None = None
    """Largest number of pixels × channels of an image; None: no limit."""
    identity: str | None = None
    """Import path of a function of an EvaluateConfig that returns the `Identity`, and raises UserError where a file
    is not as it must be; None: features are called as the extractor is, and a distance fd_<name>."""
    weights_option: str = ""
    """Which option of the section evaluate names its weights, for what `identity` has to say."""
    options: tuple[str, ...] = ()
    """Options of the section evaluate that have an effect on this extractor alone."""
    version: int = 1
    """Increase it when the same images get other features: it is in the keys of stages."""
    memory: str | None = None
    """Import path of a function of an EvaluateConfig, and of the stage of its `network` by that name, that returns
    (bytes held on the device, bytes per image processed at a time), or None if it cannot tell. It imports no torch."""
    check: str | None = None
    """Import path of a function that checks its files on the machine of a stage, before anything is computed."""


EXTRACTORS: Registry[Extractor] = Registry("extractor", "imaging.extractors")
EXTRACTORS.register("pixels", Extractor("imaging.extractors.features:Pixels", most_values=4096))
EXTRACTORS.register(
    "inception",
    Extractor(
        "imaging.extractors.features:Inception",
        columns=(FEATURES, SPATIAL, LOGITS),
        identity="imaging.extractors.inception_weights:identity",
        weights_option="inception_weights",
        options=("reference", "inception_weights", "inception_precision"),
        memory="imaging.extractors.memory:of_inception",
        check="imaging.evaluation.checks:statistics",
    ),
)
EXTRACTORS.register(
    "dinov2",
    Extractor(
        "imaging.extractors.vision:DINOv2",
        identity="imaging.extractors.vision_weights:identity_of_dinov2",
        weights_option="dinov2_weights",
        options=("dinov2_weights",),
        memory="imaging.extractors.memory:of_dinov2",
        check="imaging.extractors.vision_weights:check_dinov2",
    ),
)
EXTRACTORS.register(
    "clip",
    Extractor(
        "imaging.extractors.vision:CLIPImage",
        identity="imaging.extractors.vision_weights:identity_of_clip",
        weights_option="clip_weights",
        options=("clip_weights",),
        memory="imaging.extractors.memory:of_clip",
        check="imaging.extractors.vision_weights:check_clip",
    ),
)
