"""A workload small enough to read at a glance, and fixtures that load a sweep of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, model_validator

from assay.errors import FieldError, SpecError, UserError, did_you_mean
from assay.sweep import Sweep, load_sweep
from assay.workload import Budget, DeviceDays, ReportHints, Stage, TypedWorkload, Workload
from assay.workload.fields import Section

Positive = Annotated[int, Field(strict=True, ge=1)]


class Model(Section):
    norm: Literal["adagn", "add"] = "adagn"
    channels: Positive = 32
    heads: Positive = 4

    @model_validator(mode="after")
    def _divides(self) -> Model:
        if self.channels % self.heads:
            raise FieldError(f"channels {self.channels} is not a multiple of heads {self.heads}", "channels", "heads")
        return self


class Train(Section):
    batch_size: Positive = 8
    learning_rate: Annotated[float, Field(strict=True, gt=0)] = 1e-4
    schedule: Annotated[str, Field(strict=True)] = "linear"

    @model_validator(mode="after")
    def _is_odd(self) -> Train:
        if self.schedule == "odd" and self.batch_size % 2 == 0:
            raise FieldError(f"{self.batch_size} is even", "schedule", "batch_size")
        return self


class Sample(Section):
    steps: Positive | tuple[Positive, ...] | Annotated[str, Field(strict=True)] = 250
    guidance_scale: Annotated[float, Field(strict=True, ge=0)] = 0.0
    sampler: Literal["ddpm", "ddim"] = "ddpm"
    eta: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0


class Evaluate(Section):
    num_samples: Annotated[int, Field(strict=True, ge=1, le=50_000)] = 10_000


class Config(Section):
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    model: Model = Model()
    train: Train = Train()
    sample: Sample = Sample()
    evaluate: Evaluate = Evaluate()
    classifier: Annotated[bool, Field(strict=True)] = True

    @model_validator(mode="after")
    def _guided(self) -> Config:
        if self.sample.guidance_scale > 0 and not self.classifier:
            raise FieldError(
                "sample.guidance_scale needs a classifier; this base has none", "sample.guidance_scale", "classifier"
            )
        return self


class Tiny(TypedWorkload[Config]):
    """A workload of one small config, whose stage does nothing."""

    name = "tiny"
    config_type = Config
    bases: ClassVar = {"digits": Config(), "bare": Config(classifier=False)}
    report = ReportHints(metrics=("fid",), days=DeviceDays("V100"))

    def stages_of(self, config: Config) -> Sequence[Stage]:
        budget = Budget("evaluate.num_samples", config.evaluate.num_samples, "images")
        body = ("nothing:nothing",)
        return [Stage("evaluate", 1, "reduce", body, config=config.model_dump(mode="json"), budget=budget)]

    def metrics_of(self, config: Config) -> Sequence[str]:
        return ["fid", "precision", "recall"]


def find_tiny(name: str) -> Workload:
    if name != "tiny":
        raise UserError(f"unknown workload {name!r}{did_you_mean(name, ['tiny'])}")
    return Tiny()


HEAD = """\
version: 1
name: norms
workload: tiny
base: digits
metric: fid
mode: min
"""

Load = Callable[..., Sweep]
Lines = Callable[..., list[str]]


@pytest.fixture(scope="session")
def find_workload() -> Callable[[str], Workload]:
    return find_tiny


@pytest.fixture(scope="session")
def head() -> str:
    return HEAD


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Write a file `x.yaml` and load it; HEAD comes first unless the text has its own version."""
    monkeypatch.chdir(tmp_path)

    def load(body: str | bytes = "", profile: str | None = None, sets: Sequence[str] = ()) -> Sweep:
        content = body if isinstance(body, bytes) else (HEAD + body).encode()
        Path("x.yaml").write_bytes(content)
        return load_sweep("x.yaml", profile=profile, sets=sets, find_workload=find_tiny)

    return load


@pytest.fixture
def lines(load: Load) -> Lines:
    """The lines of the SpecError that a file earns."""

    def lines(*args: Any, **kwargs: Any) -> list[str]:
        with pytest.raises(SpecError) as caught:
            load(*args, **kwargs)
        return str(caught.value).splitlines()

    return lines
