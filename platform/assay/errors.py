"""The error tree. An error says what was wrong, what was got, what is allowed, and what to do.

AssayError
├── UserError (ValueError)     the input is wrong: exit code 2, nothing was started
│   ├── SpecError              a sweep file: every problem at once, each with its line
│   ├── FieldError             fields of a config do not go together
│   ├── ConfigError            a workload's config: every problem at once, each with its dotted path
│   ├── StageError             a workload made a stage or a graph that cannot be one: names the field
│   └── NotHere                a check does not find what may be there where stages run
├── ClusterError               the cluster does not answer, or does not do it
│   ├── UnknownJob             it answers, and has no such job
│   └── ClusterLost            it was there, and ended while a run used it
├── StoreError                 the store cannot be read or written
├── DamagedResult              a stored result does not match its checksums
├── BodyError                  a stage's body does not keep to the protocol of a workload
└── StageFailed                a stage's own code raised: names the stage, keeps the traceback

AssayWarning (UserWarning)     what a workload warns of in this category is shown to the user: while a sweep is planned,
                               and by its stages, wherever they run
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from assay.redaction import hide_secrets


class AssayError(Exception):
    """Everything assay raises on purpose. Its message has no secrets, whatever URLs it was made of."""

    def __str__(self) -> str:
        return hide_secrets(super().__str__())


class AssayWarning(UserWarning):
    """Something the user should know of a result. Raised with `warnings.warn` by a stage's body or check, or by a
    workload that resolves a config or makes its stages."""


@contextmanager
def passing_warnings(tell: Callable[[str], None] | None) -> Iterator[None]:
    """Pass every AssayWarning that is raised inside to `tell`, or to nobody; other warnings go their usual way."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", AssayWarning)
        show = warnings.showwarning

        def pass_on(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, AssayWarning):
                if tell is not None:
                    tell(hide_secrets(str(message)))
            else:
                show(message, category, *where, **more)

        warnings.showwarning = pass_on
        yield


class UserError(AssayError, ValueError):
    """What the user asked for cannot be done as asked."""


class FieldError(UserError):
    """Fields that do not go together, such as a sampler and an option of another one: what validators raise.

    `fields` are all that it is about, as dotted paths from the model that is validated. The user is shown the line of
    one that she wrote.
    """

    def __init__(self, message: str, *fields: str) -> None:
        self.fields = fields
        super().__init__(message)


@dataclass(frozen=True)
class ConfigProblem:
    """One thing wrong with a config, at a dotted path ("train.batch_size")."""

    path: str
    message: str
    about: tuple[str, ...] = ()
    """Other paths that it is as much about: it is shown at the line of one of these where nobody wrote `path`."""


class ConfigError(UserError):
    """A workload refused a config. Carries every problem, not only the first."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{p.path}: {p.message}" for p in self.problems))


@dataclass(frozen=True, order=True)
class SpecProblem:
    """One thing wrong in a sweep file. `line` counts from 1; 0 means it came from the command line."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class SpecError(UserError):
    """A sweep file is wrong. Carries every problem, in the order of the file."""

    def __init__(self, problems: Iterable[SpecProblem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(p) for p in self.problems))


class StageError(UserError):
    """A workload made a stage with a field that no stage can have, or a graph of stages that is none."""


class NotHere(UserError):
    """A check does not find a file here that may be there where stages run: planning warns of it, a run refuses it."""


class ClusterError(AssayError):
    """The cluster does not answer, or does not do what it was asked."""


class UnknownJob(ClusterError):
    """The cluster answers, and has no such job (any more)."""


class ClusterLost(ClusterError):
    """The cluster ended while a run used it. What the run had finished is stored."""


class StoreError(AssayError):
    """The store cannot be read or written."""


class DamagedResult(StoreError):
    """A stored result is not what was committed. `key` and `reasons` say which and how."""

    def __init__(self, key: str, reasons: Sequence[str]) -> None:
        self.key = key
        self.reasons = tuple(reasons)
        super().__init__(f"stored result {key} is damaged: {'; '.join(reasons)}")


class BodyError(AssayError):
    """A stage's body does not keep to the protocol of `assay.workload`: it returned, say, what is no metric."""


class StageFailed(AssayError):
    """A stage's own code raised."""

    def __init__(self, stage: str, key: str, cause: str) -> None:
        self.stage = stage
        self.key = key
        self.cause = cause
        super().__init__(f"stage {stage} ({key[:12]}) failed: {cause}")


def refuse_unless(what: str, value: object, allowed: Sequence[str]) -> None:
    """Raise UserError for a value that is none of those a caller may choose from."""
    if value not in allowed:
        choices = ", ".join(map(repr, allowed))
        raise UserError(f"{what}: got {value!r}, allowed: {choices}{did_you_mean(str(value), allowed, '')}")


def refuse_other(what: str, value: object, kind: type | tuple[type, ...], allowed: str) -> None:
    """Raise UserError for an argument of another type than a caller may give."""
    if not isinstance(value, kind):
        raise UserError(f"{what}: got {value!r} ({type(value).__name__}), allowed: {allowed}")


def did_you_mean(wrong: str, allowed: Iterable[str], otherwise: str | None = None) -> str:
    """`"; did you mean X?"` for the nearest allowed name; else `otherwise`: by default the list when it is short, or
    nothing."""
    names = sorted({str(a) for a in allowed})
    close = difflib.get_close_matches(str(wrong), names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    if otherwise is not None:
        return otherwise
    if names and len(names) <= 12:
        return f"; allowed: {', '.join(names)}"
    return ""
