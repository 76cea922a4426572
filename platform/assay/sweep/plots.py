"""The section of a sweep that requests a plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from assay.sweep.expressions import Expression
from assay.sweep.fields import Name, Section, SomeNames, Text
from assay.sweep.lines import Path
from assay.sweep.objectives import Objective
from assay.sweep.plot_kinds import KEYS, METRICS, PLOT_KINDS, AxisName, Key, PlotKind, Takes
from assay.text import with_article


class Plot(Section):
    kind: Annotated[Text, AfterValidator(PLOT_KINDS.checked)]
    """How it is drawn."""
    x: Name | SomeNames | None = Field(default=None, validate_default=True)
    """A config path, the scheduler's budget (a point per rung), arm, a metric, or seconds or device-days, also of the
    stages of one name, as in train.seconds. Or arithmetic of one of these, as in 1 - sample.temperature. Kinds that
    show trials take config paths and arm."""
    y: Name | SomeNames | None = Field(default=None, validate_default=True)
    """A metric, or several, each in a panel of its own; of a contour plot, a config path or arm."""
    z: Name | SomeNames | None = Field(default=None, validate_default=True)
    """The metric that colours show, or several."""
    log: tuple[AxisName, ...] = ()
    """The axes that are logarithmic."""

    @field_validator("x", "y", "z")
    @classmethod
    def _is_taken_by_the_kind(cls, value: str | tuple[str, ...] | None, info: ValidationInfo) -> Any:
        kind = info.data.get("kind")
        if kind is not None and (problem := PLOT_KINDS[kind].problem(kind, cast(Key, info.field_name), value)):
            raise ValueError(problem)
        return value

    @field_validator("x")
    @classmethod
    def _is_arithmetic_of_numbers(cls, x: str | tuple[str, ...] | None, info: ValidationInfo) -> Any:
        kind = info.data.get("kind")
        is_names = kind is not None and PLOT_KINDS[kind].x == "names"
        if is_names and isinstance(x, str) and Expression.of(x).body is not None:
            raise ValueError(f"got {x!r}, but a {kind} plot has names along x; allowed: {Expression.of(x).name}")
        return x

    @field_validator("log")
    @classmethod
    def _is_of_the_kind(cls, log: tuple[AxisName, ...], info: ValidationInfo) -> tuple[AxisName, ...]:
        kind = info.data.get("kind")
        allowed = log if kind is None else PLOT_KINDS[kind].log
        if others := [axis for axis in log if axis not in allowed]:
            axes, plot = ", ".join(allowed) or "no axis", f"{with_article(str(kind))} plot"
            raise ValueError(f"got {', '.join(others)}, which cannot be logarithmic in {plot}; allowed: {axes}")
        return log

    @property
    def facts(self) -> PlotKind:
        return PLOT_KINDS[self.kind]

    @property
    def along(self) -> str:
        """The x of a plot of series."""
        assert isinstance(self.x, str), "its kind needs one x"
        return self.x

    @property
    def of_x(self) -> Expression:
        """What x of a plot of series is of the name in it."""
        return Expression.of(self.along)

    def with_objectives(self, objectives: Sequence[Objective]) -> Plot:
        """With the objectives that it leaves out, if its kind takes them: y is the first, and x the next."""
        if self.facts.x != "objective":
            return self
        y = self.y or objectives[0].name
        return self.model_copy(update={"y": y, "x": self.x or next(o.name for o in objectives if o.name != y)})

    def names(self, key: Key) -> tuple[str, ...]:
        """The names under a key; empty if it is left out."""
        value = {"x": self.x, "y": self.y, "z": self.z}[key]
        return () if value is None else (value,) if isinstance(value, str) else value

    @property
    def entries(self) -> Iterator[tuple[Path, Takes, str]]:
        """Each name in it: its place in the plot, what is taken there, and the name."""
        for key in KEYS:
            for number, name in enumerate(self.names(key)):
                place: Path = (key,) if isinstance(vars(self)[key], str) else (key, number)
                if (takes := self.facts.takes(key)) is not None:
                    yield place, takes, name

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it names."""
        return tuple(name for _, takes, name in self.entries if takes in METRICS)
