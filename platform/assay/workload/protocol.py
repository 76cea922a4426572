"""What a workload implements, and how an installed one is found."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from inspect import get_annotations
from typing import Any, Protocol, runtime_checkable

from assay.errors import AssayWarning, UserError, did_you_mean
from assay.text import first_line
from assay.workload.hints import PrintedTable, ReportHints
from assay.workload.stage import JSON, Stage


@dataclass(frozen=True)
class Smoke:
    """A trial that takes seconds, in which every kind of stage that the workload has is computed."""

    base: str
    config: Mapping[str, JSON] = field(default_factory=dict)
    """Dotted overrides of that preset."""


@runtime_checkable
class PrintsTables(Protocol):
    """A workload whose presets are also shown as tables."""

    def tables(self) -> Sequence[PrintedTable]: ...


class Workload(Protocol):
    """The entry point `assay.workloads` names an object like this."""

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
        """Every dotted path a config has: what `did you mean` chooses from."""

    def stages(self, config: Mapping[str, JSON]) -> Sequence[Stage]:
        """The leaves of the stage graph of one resolved config; the last leaf's metrics are the trial's."""

    def metrics(self, config: Mapping[str, JSON]) -> Sequence[str]:
        """The metrics this config's trial reports: what `metric:` and plots of a sweep may name. One called
        `num_samples` is the N that tables show beside the others.

        A trial fails whose last stage does not return the one that the sweep ranks by; others may be lacking, where the
        device decides.
        """


def load_attribute(path: str) -> Any:
    """The object at "module:attribute". Raises UserError where there is none; a module's own errors are its own."""
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
    """What was installed to have a workload: "assay", for its own."""
    point = next((point for point in entry_points(group="assay.workloads") if point.name == workload), None)
    if point is None:
        return "no package that is installed"
    return "an unnamed package" if point.dist is None else point.dist.name


def load_workload(name: str) -> Workload:
    """The installed workload of that name. Raises UserError that lists those there are, or says what it lacks."""
    for point in entry_points(group="assay.workloads"):
        if point.name == name:
            return _loaded(point)
    raise UserError(f"unknown workload {name!r}{did_you_mean(name, workload_names())}")


def installed_presets() -> dict[Workload, Sequence[str]]:
    """Each installed workload and the names of its presets. One that cannot be imported, or cannot list them, is left
    out, and warned of (AssayWarning): it is no trouble of the others'."""
    presets: dict[Workload, Sequence[str]] = {}
    for name in workload_names():
        try:
            workload = load_workload(name)
            presets[workload] = list(workload.presets())
        except UserError as error:
            warnings.warn(str(error), AssayWarning, stacklevel=2)
        except Exception as error:  # whatever a workload may raise
            reason = first_line(error, with_type=True)
            warnings.warn(f"workload {name!r} does not list its presets: {reason}", AssayWarning, stacklevel=2)
    return presets


def _loaded(point: EntryPoint) -> Workload:
    package = f" of the package {point.dist.name}" if point.dist is not None else ""
    label = f"workload {point.name!r} ({point.value}{package})"
    try:
        workload = point.load()
    except (Exception, SystemExit) as error:  # whatever a module may raise while it is imported
        raise UserError(f"{label} cannot be imported: {first_line(error, with_type=True)}") from error
    if isinstance(workload, type):
        raise UserError(f"{label} is a class; allowed: an object of it")
    members = [*get_annotations(Workload), *(name for name in vars(Workload) if not name.startswith("_"))]
    if lacking := [member for member in members if not hasattr(workload, member)]:
        raise UserError(f"{label} lacks {', '.join(lacking)}, which a workload has")
    return workload
