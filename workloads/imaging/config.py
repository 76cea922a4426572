"""The typed, frozen sections of a config that every image workload has: real images, and what samples are compared in.

No torch here: a sweep is validated and planned without it.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from assay.errors import FieldError
from assay.workload.fields import Bool, FilePath, Fraction, PositiveInt, Section, Str
from imaging.data_sources import DATA_SOURCES
from imaging.extractors import EXTRACTORS
from imaging.metrics import METRICS

Crop = Literal["centre", "random", "none"]


class DataConfig(Section):
    """Real images, and how they become squares of the model's size."""

    source: Annotated[Str, AfterValidator(DATA_SOURCES.checked)]
    """digits: scikit-learn's 1,797 images of 8×8. folder: image files. npz: arr_0 uint8 (N, H, W, C), with classes in
    arr_1 or labels. parquet: encoded images in a column, one file or a folder of them. lmdb: a folder as LSUN ships.
    Or another that is registered."""
    path: FilePath | None = None
    """The folder or file. A relative path starts where you stand when the sweep is planned, wherever the sweep file is.
    Every source but the digits needs it by the time it is opened."""
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
    """What to do with an image that cannot be decoded: stop, or take the next one in its place."""
    validation: Fraction = 0.0
    """Share of the images held out of classifier training, to measure its accuracy on."""

    @model_validator(mode="after")
    def _every_option_has_an_effect(self) -> DataConfig:
        source = DATA_SOURCES[self.source]
        if source.files is None and self.path is not None:
            raise FieldError(f"data.path is not used by the built-in {self.source}; leave it out", "path", "source")
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
"""Which pixels `imaging.data.decode` makes of encoded images. It is in the keys of what is made of them: raise it when
the pixels of the same bytes change."""
OPTIONS_OF_SOURCES = ("labels", "image_column", "label_column", "crop", "broken_images")
"""Options of DataConfig that have an effect on those sources alone which list them."""


MOST_GIB = 1e6
"""More than any machine has: no bound."""


ExtractorName = Annotated[Str, AfterValidator(EXTRACTORS.checked)]
MetricName = Annotated[Str, AfterValidator(METRICS.checked)]
OPTIONS_OF_EXTRACTORS = ("reference", "inception_weights", "inception_precision")
"""Options of EvaluateConfig that have an effect on those extractors alone which list them."""


class EvaluateConfig(Section):
    """What samples are compared with, and in which features (appendix J)."""

    num_samples: PositiveInt = 50_000
    num_reference: PositiveInt | None = None
    """How many images of the data set, chosen at random, the samples are compared with; None: all, as in the paper.
    Precision, recall and KID take 10,000 of them at most, as the published evaluator does."""
    reference: FilePath | None = None
    """A reference file of the published evaluator (npz) to compare with instead: its statistics, and all of its images
    for precision, recall and KID. For extractor inception."""
    extractor: ExtractorName = "inception"
    """pixels: of small images. inception: FID's network. Or another that is registered."""
    extractors: tuple[ExtractorName, ...] = ()
    """Several, in place of `extractor`; the samples are drawn once for all. Metrics that two of them report, such as
    precision, are the first one's; the others' have the extractor's name: precision_classifier."""
    inception_weights: FilePath | None = None
    """A file of weights. None: the published ones, from ADM_INCEPTION_WEIGHTS or ~/.cache/adm. With others a distance
    is no FID, and called fd_<extractor>."""
    inception_precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 is about twice as fast, and moves FID by 1% at most where both sides are in it."""
    metrics: tuple[MetricName, ...] = ()
    """Registered metrics to report besides those that every trial does."""
    fid_infinity: Bool = False
    """Also extrapolate the distance to infinitely many samples."""
    precision_recall_k: PositiveInt = 3
    max_gib: Annotated[float, Field(strict=True, gt=0, le=MOST_GIB)] = 1.0
    """Working memory of precision, recall, KID and neighbours, beyond the features. It changes the time, no figure."""

    @property
    def asked(self) -> tuple[str, ...]:
        """The extractors, the one first whose metrics have their plain names."""
        return self.extractors or (self.extractor,)

    @property
    def asked_at(self) -> str:
        """The option that names them."""
        return "extractors" if self.extractors else "extractor"

    def by(self, extractor: str) -> EvaluateConfig:
        """With one extractor alone, and without the options that are for others."""
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
