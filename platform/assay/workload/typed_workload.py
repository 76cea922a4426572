"""A base class for workloads with a pydantic config: presets, dotted paths, overrides and error messages.

class Config(Section):
    seed: Seed = 0
    model: Model = Model()
    train: Train = Train()

class Dit(TypedWorkload[Config]):
    name = "dit"
    config_type = Config
    bases = {"small": Config(), "large": Config(model=Model(width=512))}
    report = ReportHints(metrics=("accuracy", "calibration"))

    def stages_of(self, config: Config) -> Sequence[Stage]: ...

workload = Dit()
"""

from __future__ import annotations

import types
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from assay.errors import ConfigError, ConfigProblem, UserError, did_you_mean
from assay.look import a_look
from assay.workload.hints import ReportHints
from assay.workload.protocol import Smoke, Starter
from assay.workload.stage import JSON, Stage
from assay.workload.typed import annotation_of, config_problems

C = TypeVar("C", bound=BaseModel)


class TypedWorkload(ABC, Generic[C]):
    """Implements `Workload` over a pydantic model. Authors define `name`, `config_type`, `bases`, `report` and
    `stages_of`; the rest has defaults."""

    name: str
    config_type: type[C]
    """Sections are models of their own (`assay.workload.fields.Section`); a section that may be null is optional."""
    bases: Mapping[str, C]
    """Preset → its config. If presets take time to make, override `presets` and `preset` instead."""
    report: ReportHints
    seed_path: str = "seed"
    smoke: Smoke | None = None
    starter: Starter | None = None
    """None: `assay init` writes a study of the smoke trial over two seeds."""

    @abstractmethod
    def stages_of(self, config: C) -> Sequence[Stage]:
        """The leaves of the stage graph; the last leaf's metrics are the trial's."""

    def metrics_of(self, config: C) -> Sequence[str]:
        """The metrics that this config's trial returns; by default those that the report shows first."""
        return self.report.metrics

    def problems_of(self, config: C) -> Iterable[ConfigProblem]:
        """Every problem that the model's own validators cannot see, at its dotted path."""
        return ()

    def presets(self) -> Sequence[str]:
        return list(self.bases)

    def preset(self, base: str) -> C:
        """The config of a preset. Raises UserError with the closest match."""
        if base not in self.bases:
            raise UserError(f"unknown preset {base!r}{did_you_mean(base, self.bases)}")
        return self.bases[base]

    def paths(self, base: str) -> Sequence[str]:
        return _leaves(self.config_type)

    @a_look()
    def resolve(self, base: str, overrides: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """The preset with overrides, as JSON values. Setting a section to null removes it: {"classifier": None}."""
        values = self.preset(base).model_dump(mode="json")
        known, required = _settable(self.config_type), _required_sections(self.config_type)
        # A required section cannot be null: the model reports what it must be.
        unknown = [p for p, value in overrides.items() if p not in known and not (value is None and p in required)]
        if unknown:
            raise ConfigError([ConfigProblem(p, f"unknown config path{did_you_mean(p, known)}") for p in unknown])
        for path, value in overrides.items():
            _set(values, path.split("."), value)
        try:
            config = self.config_type.model_validate(values)
        except ValidationError as error:
            raise ConfigError(config_problems(error, self.config_type)) from error
        if problems := list(self.problems_of(config)):
            raise ConfigError(problems)
        return config.model_dump(mode="json")

    @a_look()
    def metrics(self, config: Mapping[str, JSON]) -> Sequence[str]:
        return self.metrics_of(self.config_type.model_validate(config))

    @a_look()
    def stages(self, config: Mapping[str, JSON]) -> Sequence[Stage]:
        return self.stages_of(self.config_type.model_validate(config))


# Cached: a sweep resolves thousands of configs with the same paths.


@cache
def _leaves(model: type[BaseModel]) -> list[str]:
    """Every dotted path to a value."""
    return list(dict.fromkeys(field.path for field in fields_below(model) if not field.sections))


@cache
def _settable(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(field.path for field in fields_below(model) if field.is_settable)


@cache
def _required_sections(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(field.path for field in fields_below(model) if not field.is_settable)


class FieldBelow(NamedTuple):
    """A value or a section of a config."""

    path: str
    """Dotted."""
    owner: type[BaseModel]
    """The model that it is a field of."""
    sections: list[type[BaseModel]]
    """The models that it may be; none for a value."""
    is_settable: bool
    """Whether it is a value, or a section that may be something else, such as null."""

    @property
    def annotation(self) -> Any:
        return annotation_of(self.owner.model_fields[self.path.rpartition(".")[2]])


def fields_below(model: type[BaseModel], prefix: str = "") -> Iterator[FieldBelow]:
    """Every value and section of a model."""
    for name, field in model.model_fields.items():
        sections = _sections(field.annotation)
        yield FieldBelow(f"{prefix}{name}", model, sections, sections != [field.annotation])
        for section in sections:
            yield from fields_below(section, f"{prefix}{name}.")


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field may be: one, several of a union, or none."""
    if get_origin(annotation) is Annotated:
        return _sections(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [section for choice in get_args(annotation) for section in _sections(choice)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _set(values: dict[str, Any], path: Sequence[str], value: JSON) -> None:
    for index, name in enumerate(path[:-1]):
        if not isinstance(values.get(name), dict):
            where = ".".join(path[: index + 1])
            raise ConfigError([ConfigProblem(".".join(path), f"this base has no {where}; use a base that has one")])
        values = values[name]
    values[path[-1]] = value
