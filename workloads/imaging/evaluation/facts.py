"""What a config says of an evaluation: its extractors and metrics, and the images that samples are compared with.

Stages, checks and error messages are made from these. Does not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from assay.errors import UserError
from assay.look import once_a_look
from assay.workload import JSON, ReportHints, load_attribute
from imaging.config import DECODER, DataConfig, EvaluateConfig
from imaging.data_sources import DATA_SOURCES
from imaging.extractors import EXTRACTORS, SPATIAL, Extractor, Identity
from imaging.metrics import INFINITY, METRICS, STANDARD, Metric
from imaging.paths import is_there, whole

RGB = 3
ASSUMED_IMAGES = 50_000
"""Number of images to plan with if the data set is not on this machine. The sweep has to run where it is."""


class Evaluated(Protocol):
    """The parts of a workload's config that determine how its samples are evaluated."""

    @property
    def data(self) -> DataConfig: ...
    @property
    def evaluate(self) -> EvaluateConfig: ...
    @property
    def image_size(self) -> int:
        """Pixels per side of samples, and of the images that they are compared with."""

    @property
    def channels(self) -> int:
        """Channels of samples."""


@dataclass(frozen=True)
class _View:
    """A config reduced to one of its extractors."""

    data: DataConfig
    evaluate: EvaluateConfig
    image_size: int
    channels: int


def by_extractor(c: Evaluated) -> list[Evaluated]:
    """One config per extractor, as most functions here expect."""
    return [_View(c.data, c.evaluate.by(name), c.image_size, c.channels) for name in c.evaluate.asked]


def extractor(c: Evaluated) -> Extractor:
    return EXTRACTORS[c.evaluate.extractor]


def identity(c: Evaluated) -> Identity:
    """The identity of the features. Raises UserError for a file of weights that is missing or wrong."""
    name, function = c.evaluate.extractor, extractor(c).identity
    if function is None:
        return Identity(features=name, distance=f"fd_{name}")
    return load_attribute(function)(c.evaluate)


def extraction(c: Evaluated) -> dict[str, JSON]:
    """The parts of the config that the features of an image depend on."""
    version = extractor(c).version
    return {
        "extractor": c.evaluate.extractor,
        **({"extractor_version": version} if version > 1 else {}),
        **identity(c).config,
    }


def metrics(c: Evaluated) -> list[str]:
    """Names of the metrics that the trial reports."""
    return [name for names in names_by_extractor(c) for name in names.values()]


def names_by_extractor(c: Evaluated) -> list[dict[str, str]]:
    """Per extractor, metric → the trial's name for it, which ends in the extractor's name if an earlier extractor
    reports the same metric."""
    trial_names: list[dict[str, str]] = []
    for view in by_extractor(c):
        taken = {name for names in trial_names for name in names.values()}
        reported = reported_names(view)
        trial_names.append({name: f"{name}_{view.evaluate.extractor}" if name in taken else name for name in reported})
    return trial_names


def reported_names(c: Evaluated) -> list[str]:
    distance = identity(c).distance
    return [
        reported.format(distance=distance) for name in metrics_in(c) for reported in METRICS[name].reports or (name,)
    ]


def replicated_names(c: Evaluated) -> list[str]:
    """The metrics that have jackknife replicates if there are enough samples."""
    distance = identity(c).distance
    return [name.format(distance=distance) for metric in metrics_in(c) for name in METRICS[metric].replicated]


def leading_metrics() -> tuple[str, ...]:
    """Metrics that reports show first: the distances, precision and recall, and those of other packages."""
    others = [
        reported
        for name, metric in METRICS.items()
        if name not in (*STANDARD, INFINITY)
        for reported in metric.reports or (name,)
    ]
    return ("fid", "sfid", *(f"fd_{name}" for name in EXTRACTORS), "precision", "recall", *others)


def hints(**own: Any) -> ReportHints:
    """How reports show an evaluation of images, with a workload's own hints besides."""
    shared = ReportHints(
        metrics=leading_metrics(),
        count="num_samples",
        item_unit="images",
        short_units={"images": "img"},
        sample_grid="samples.png",
        # Trials of all image workloads are ranked together if these are equal.
        comparable=("num_samples", "num_reference", "num_reference_images", "extractor", "reference"),
    )
    return replace(shared, **own)


def metrics_in(c: Evaluated) -> list[str]:
    """Metrics in this extractor's features: the standard and the requested ones whose inputs are available."""
    own = [name for name, metric in METRICS.items() if metric.extractor == c.evaluate.extractor]
    names = [*STANDARD, *own, *([INFINITY] if c.evaluate.fid_infinity else []), *c.evaluate.metrics]
    return [name for name in dict.fromkeys(names) if missing_input(c, METRICS[name]) is None]


def missing_input(c: Evaluated, metric: Metric) -> str | None:
    """What a metric needs but this trial does not have, as the end of a sentence; None: nothing."""
    if metric.extractor not in (None, c.evaluate.extractor):
        return f"the features of evaluate.extractor {metric.extractor}"
    for column in metric.columns:
        if column not in extractor(c).columns:
            return f"{column}, which evaluate.extractor {c.evaluate.extractor} does not compute"
    imported = imported_file(c)
    if imported is None or imported.num_images is not None or metric.against == "nothing":
        return None
    if metric.against == "statistics" and (SPATIAL not in metric.columns or imported.has_spatial):
        return None
    return f"images (arr_0), which evaluate.reference {c.evaluate.reference} does not have"


def num_images(data: DataConfig) -> int | None:
    """Number of images of a data set; None if it is not on this machine. Raises UserError if it is not a data set."""
    if (known := DATA_SOURCES[data.source].num_images) is not None:
        return known
    from imaging import data as imaging_data  # here, so that planning a sweep of the digits does not import NumPy

    return imaging_data.num_images(data)


def data_section(data: DataConfig) -> dict[str, JSON]:
    """The section "data" in the config of a stage that reads images, without the options for training.

    A random crop is an augmentation of training; elsewhere the image is its centre.
    """
    section = data.for_key(exclude={"validation", "validation_path", "flip"})
    if data.crop == "random":
        section["crop"] = "centre"
    if DATA_SOURCES[data.source].is_encoded:
        section["decoder"] = DECODER
    if DATA_SOURCES[data.source].is_resized_once and data.crop != "none":
        section["resized"] = "once"
    if data.path is None:
        return section
    from imaging.data import planned_data  # here, so that planning a sweep of the digits does not import NumPy

    return {**section, **planned_data(data)}


def data_check(data: DataConfig, check: str = "imaging.data:check") -> str | None:
    """Import path of the check of a stage that reads the data; None: there are no files to check."""
    return check if DATA_SOURCES[data.source].files is not None else None


def reference_images(c: Evaluated, data: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """Config for reading the images that samples are compared with; None: there are only statistics."""
    imported = imported_file(c)
    if imported is None:
        order = "stored" if c.evaluate.num_reference is None else "shuffled"
        return {"data": dict(data), "image_size": c.image_size, "channels": c.channels, "order": order}
    if imported.num_images is None:
        return None
    from imaging.data import planned_data

    npz = DataConfig(source="npz", path=str(imported.path), crop="none")
    section = {"source": npz.source, "crop": npz.crop, **planned_data(npz)}
    return {"data": section, "image_size": c.image_size, "channels": RGB, "order": "stored"}


def num_reference(c: Evaluated) -> int:
    """Number of images of the data set that samples are compared with."""
    if c.evaluate.num_reference is not None:
        return c.evaluate.num_reference
    return num_images(c.data) or ASSUMED_IMAGES


@dataclass(frozen=True)
class ImportedFile:
    """Facts about an imported reference file."""

    path: Path
    sha256: str
    num_images: int | None
    """How many images it has; None: only statistics."""
    has_spatial: bool


def weights_file(path: str, field: str) -> dict[str, JSON]:
    """The config of a stage that loads weights: their absolute path and sha256, null if there is no file on this
    machine. Raises UserError, naming the `field`, if it cannot be read."""
    from imaging.contents import file_sha256  # here, so that planning without files needs no NumPy

    try:
        file = whole(path)
        return {"checkpoint": str(file), "sha256": file_sha256(file) if is_there(file) and not file.is_dir() else None}
    except UserError as error:
        raise UserError(f"{field}: {error}") from error


def imported_file(c: Evaluated) -> ImportedFile | None:
    """The facts about evaluate.reference. Raises UserError for a file that is absent or not a reference."""
    if c.evaluate.reference is None:
        return None
    path = whole(c.evaluate.reference)
    if not is_there(path):
        raise UserError(f"{path} does not exist; leave it out to compare with the data")
    return _inspected(path)


@once_a_look
def _inspected(path: Path) -> ImportedFile:
    # The checksum makes a changed file another reference.
    from imaging.contents import file_sha256
    from imaging.npz import IMAGES, names_in, opened
    from imaging.reference.files import SPATIAL
    from imaging.reference.npz_images import NpzImages

    sha256 = file_sha256(path)
    with opened(path) as archive:
        names = names_in(archive)
    num_images = len(NpzImages.open(path)) if IMAGES in names else None
    return ImportedFile(path, sha256, num_images, set(SPATIAL) <= set(names))
