"""The typed, frozen config sections of every image workload: the real images, and the evaluation of samples.

Imports no torch: a sweep is validated and planned without it.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from assay.errors import FieldError
from assay.workload.fields import ADDED, Bool, FilePath, Fraction, PositiveInt, Section, Str
from imaging.data_sources import DATA_SOURCES
from imaging.extractors import EXTRACTORS
from imaging.metrics import METRICS, Arithmetic

Crop = Literal["centre", "random", "none"]


class DataConfig(Section):
    """Real images, and how they are cropped to squares of the model's size."""

    source: Annotated[Str, AfterValidator(DATA_SOURCES.checked)]
    """digits: scikit-learn's 1,797 images of 8×8. folder: image files. npz: arr_0 uint8 (N, H, W, C), with classes in
    arr_1 or labels. parquet: encoded images in a column, one file or a folder of them. lmdb: a folder as LSUN ships.
    Or another that is registered."""
    path: FilePath | None = None
    """The folder or file. A relative path starts in the current folder when the sweep is planned, not in the folder of
    the sweep file. Every source but the digits needs it when it is opened."""
    labels: Literal["basename", "subfolder"] = "basename"
    """folder: the class is the basename before "_", or the subfolder; classes in sorted order."""
    image_column: Str = "image"
    """parquet: binary, or a struct with the binary field "bytes"."""
    label_column: Str | None = "label"
    """parquet: integers from 0. None, or a missing column: no classes, for unconditional models."""
    crop: Crop = "centre"
    """centre: shrink the shorter side to the size, keep the middle. random: shrink it to 1 to 1/0.8 of the size, keep a
    random window; training only. none: images have that size already."""
    flip: Bool = False
    """Mirror half of the training images, left to right."""
    broken_images: Literal["error", "skip"] = "error"
    """What to do with an image that cannot be decoded: stop, or use the next image instead."""
    validation: Fraction = 0.0
    """Share of the images held out of the classifier's training, to measure its accuracy."""
    validation_path: FilePath | None = None
    """Images to measure the classifier's accuracy on, stored as those of data.path and with the same classes. It is
    trained on all of data.path then."""

    @property
    def has_validation(self) -> bool:
        """Whether there are images to measure a classifier's accuracy on."""
        return self.validation > 0 or self.validation_path is not None

    @property
    def of_validation(self) -> DataConfig | None:
        """The images of validation_path, as data of their own; None if there is none."""
        if self.validation_path is None:
            return None
        return self.model_copy(update={"path": self.validation_path, "validation_path": None})

    @model_validator(mode="after")
    def _every_option_has_an_effect(self) -> DataConfig:
        source = DATA_SOURCES[self.source]
        for name in ("path", "validation_path") if source.files is None else ():
            if getattr(self, name) is not None:
                raise FieldError(f"data.{name} is not used by the built-in {self.source}; leave it out", name, "source")
        if self.validation_path is not None and self.validation:
            raise FieldError(
                f"data.validation {self.validation} has no effect with data.validation_path; set it to 0",
                "validation",
                "validation_path",
            )
        for name in OPTIONS_OF_SOURCES:
            value = getattr(self, name)
            if name not in source.options and value != type(self).model_fields[name].default:
                users = ", ".join(other for other in DATA_SOURCES if name in DATA_SOURCES[other].options)
                raise FieldError(
                    f"data.{name} {value!r} has no effect on data.source {self.source}: it is for {users}; "
                    "leave it out",
                    name,
                    "source",
                )
        return self


DECODER = 1
"""Version of `imaging.data.decode`, in the keys of stages that read encoded images: increase it when the same bytes
give other pixels."""
OPTIONS_OF_SOURCES = ("labels", "image_column", "label_column", "crop", "broken_images")
"""Options of DataConfig that have an effect only on sources that list them."""


MOST_GIB = 1e6
"""More memory than any machine has, which means no limit."""


ExtractorName = Annotated[Str, AfterValidator(EXTRACTORS.checked)]
MetricName = Annotated[Str, AfterValidator(METRICS.checked)]
OPTIONS_OF_EXTRACTORS = ("reference", "inception_weights", "inception_precision", "dinov2_weights", "clip_weights")
"""Options of EvaluateConfig that have an effect only on extractors that list them."""


class EvaluateConfig(Section):
    """The reference that samples are compared with, and the features in which they are (appendix J)."""

    num_samples: PositiveInt = 50_000
    num_reference: PositiveInt | None = None
    """Number of random images of the data set that the samples are compared with; None: all, as in the paper.
    Precision, recall and KID use at most 10,000 of them, as in the published evaluator."""
    reference: FilePath | None = None
    """A reference file of the published evaluator (npz), used instead of the data: its statistics, and all of its
    images for precision, recall and KID. For the extractor inception."""
    extractor: ExtractorName = "inception"
    """pixels: for small images. inception: FID's network. dinov2: for FD-DINOv2. clip: for CMMD. Or another registered
    one."""
    extractors: tuple[ExtractorName, ...] = ()
    """Several extractors, instead of `extractor`; the samples are drawn once for all. If two of them report the same
    metric, such as precision, the first has the plain name, and the other's ends in the extractor's name:
    precision_classifier."""
    inception_weights: FilePath | None = None
    """A file of weights. None: the published ones, from ADM_INCEPTION_WEIGHTS or ~/.cache/adm. With other weights a
    distance is not FID, and is called fd_<extractor>."""
    inception_precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 is about twice as fast, and changes FID by at most 1% if both sides are in bf16."""
    dinov2_weights: Annotated[FilePath | None, ADDED] = None
    """dinov2: a file of weights of DINOv2's ViT-L/14. None: the published file, from ADM_DINOV2_WEIGHTS or
    ~/.cache/adm. With other weights the distance is called fd_dinov2-<digest>."""
    clip_weights: Annotated[FilePath | None, ADDED] = None
    """clip: a file of weights of CLIP's ViT-L/14 at 336 pixels, as OpenAI or Hugging Face name its tensors. None: from
    ADM_CLIP_WEIGHTS or ~/.cache/adm."""
    metrics: tuple[MetricName, ...] = ()
    """Registered metrics to report besides the standard ones: density_coverage; authpct, the percentage of samples that
    are no copies of the reference, which should be the training images. cmmd comes with the extractor clip."""
    fid_infinity: Bool = False
    """Also extrapolate the distance to infinitely many samples."""
    precision_recall_k: PositiveInt = 3
    density_coverage_k: Annotated[PositiveInt, ADDED] = 5
    """The neighbour that balls of density and coverage extend to."""
    precision_recall_arithmetic: Arithmetic = "float32"
    """float32 gives the result of float64. float16 rounds as the published evaluator does, which changes the second
    decimal: for comparison with its figures only."""
    max_gib: Annotated[float, Field(strict=True, gt=0, le=MOST_GIB)] = 1.0
    """Working memory of precision, recall, KID and neighbours, beyond the features. It does not change results."""

    @property
    def asked(self) -> tuple[str, ...]:
        """The extractors. The first one's metrics have the plain names."""
        return self.extractors or (self.extractor,)

    @property
    def asked_at(self) -> str:
        """The option that names them."""
        return "extractors" if self.extractors else "extractor"

    def by(self, extractor: str) -> EvaluateConfig:
        """This section with one extractor alone, and without options for others."""
        foreign = [name for name in OPTIONS_OF_EXTRACTORS if name not in EXTRACTORS[extractor].options]
        defaults = {name: type(self).model_fields[name].default for name in foreign}
        return self.model_copy(update={"extractor": extractor, "extractors": (), **defaults})

    @model_validator(mode="after")
    def _extractors_differ(self) -> EvaluateConfig:
        if twice := [name for name, count in Counter(self.extractors).items() if count > 1]:
            raise FieldError(f"evaluate.extractors names {', '.join(twice)} twice; leave one out", "extractors")
        return self

    @model_validator(mode="after")
    def _every_option_has_an_effect(self) -> EvaluateConfig:
        for name in OPTIONS_OF_EXTRACTORS:
            value, users = getattr(self, name), [each for each in EXTRACTORS if name in EXTRACTORS[each].options]
            if not {*users} & {*self.asked} and value != type(self).model_fields[name].default:
                raise FieldError(
                    f"evaluate.{name} {value!r} has no effect on evaluate.{self.asked_at} {', '.join(self.asked)}: it "
                    f"is for {', '.join(users)}; leave it out",
                    name,
                    self.asked_at,
                )
        return self
