"""The protocol of a workload, and how installed ones are found."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from inspect import get_annotations
from typing import Any, Literal, Protocol, runtime_checkable

from assay.errors import AssayWarning, UserError, did_you_mean
from assay.text import first_line
from assay.workload.hints import PrintedTable, ReportHints
from assay.workload.stage import JSON, Stage


@dataclass(frozen=True)
class Smoke:
    """A trial of a few seconds that includes every kind of stage of the workload."""

    base: str
    config: Mapping[str, JSON] = field(default_factory=dict)
    """Dotted overrides of that preset."""


@dataclass(frozen=True)
class Starter:
    """The study that `assay init` writes for whoever begins: about a minute on a laptop."""

    description: str
    """What it asks, in a sentence."""
    base: str
    metric: str
    mode: Literal["min", "max"]
    config: Mapping[str, JSON] = field(default_factory=dict)
    """Dotted overrides of that preset, for all trials."""
    arms: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    """Label → dotted overrides."""
    parameters: Mapping[str, Sequence[JSON]] = field(default_factory=dict)
    """Dotted path → the values that every arm runs with."""


@runtime_checkable
class PrintsTables(Protocol):
    """A workload whose presets are also shown as tables."""

    def tables(self) -> Sequence[PrintedTable]: ...


@runtime_checkable
class HasCommands(Protocol):
    """A workload with commands of its own, such as `assay NAME FILE`."""

    commands: Mapping[str, str]
    """Name → import path of the command, a function with Typer's annotations."""


class Workload(Protocol):
    """The object that an entry point in `assay.workloads` refers to."""

    name: str
    seed_path: str
    """The config path that replicate seeds set."""
    report: ReportHints

    def presets(self) -> Sequence[str]: ...

    def resolve(self, base: str, overrides: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """The full config of a preset with dotted overrides, as plain JSON values.

        Raises ConfigError with every problem, each at the dotted path that the user wrote.
        """

    def paths(self, base: str) -> Sequence[str]:
        """Every dotted path of a config: the candidates of `did you mean`."""

    def stages(self, config: Mapping[str, JSON]) -> Sequence[Stage]:
        """The leaves of the stage graph of one resolved config; the last leaf's metrics are the trial's."""

    def metrics(self, config: Mapping[str, JSON]) -> Sequence[str]:
        """The metrics that this config's trial reports, for `metric:` and plots of a sweep.

        A trial fails if its last stage does not return the metric that the sweep ranks by; others may be missing, if
        they depend on the device.
        """


def load_attribute(path: str) -> Any:
    """The object at "module:attribute". Raises UserError if there is none; errors of the module pass through."""
    name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise UserError(f"{path!r}: there is no module {error.name}") from None
    except ValueError:
        raise UserError(f'{path!r}: allowed: "module:attribute"') from None
    if not hasattr(module, attribute):
        raise UserError(f"{path!r}: the module {name} has no {attribute or 'attribute without a name'}")
    return getattr(module, attribute)


def workload_names() -> list[str]:
    return sorted(point.name for point in entry_points(group="assay.workloads"))


def package_of(workload: str) -> str:
    """The installed package of a workload: "assay" for its own."""
    point = next((point for point in entry_points(group="assay.workloads") if point.name == workload), None)
    if point is None:
        return "no installed package"
    return "an unnamed package" if point.dist is None else point.dist.name


def load_workload(name: str) -> Workload:
    """The installed workload of that name. Raises UserError listing those there are, or what it lacks."""
    for point in entry_points(group="assay.workloads"):
        if point.name == name:
            return _loaded(point)
    raise UserError(f"unknown workload {name!r}{did_you_mean(name, workload_names())}")


def installed_presets() -> dict[Workload, Sequence[str]]:
    """Each installed workload and the names of its presets. One that cannot be imported, or cannot list them, is left
    out with a warning (AssayWarning), since others do not need it."""
    presets: dict[Workload, Sequence[str]] = {}
    for name in workload_names():
        try:
            workload = load_workload(name)
            presets[workload] = list(workload.presets())
        except UserError as error:
            warnings.warn(str(error), AssayWarning, stacklevel=2)
        except Exception as error:  # a workload may raise anything
            reason = first_line(error, with_type=True)
            warnings.warn(f"workload {name!r} cannot list its presets: {reason}", AssayWarning, stacklevel=2)
    return presets


def _loaded(point: EntryPoint) -> Workload:
    package = f" of the package {point.dist.name}" if point.dist is not None else ""
    label = f"workload {point.name!r} ({point.value}{package})"
    try:
        workload = point.load()
    except (Exception, SystemExit) as error:  # importing a module may raise anything
        raise UserError(f"{label} cannot be imported: {first_line(error, with_type=True)}") from error
    if isinstance(workload, type):
        raise UserError(f"{label} is a class; allowed: an instance of it")
    members = [*get_annotations(Workload), *(name for name in vars(Workload) if not name.startswith("_"))]
    if missing := [member for member in members if not hasattr(workload, member)]:
        raise UserError(f"{label} lacks {', '.join(missing)}, which every workload has")
    return workload
