"""The error tree. An error says what was wrong, what was got, what is allowed, and what to do.

AssayError
├── UserError (ValueError)     the input is wrong: exit code 2, nothing was started
│   ├── SpecError              a sweep file: every problem at once, each with its line
│   ├── FieldError             fields of a config contradict each other
│   ├── ConfigError            a workload's config: every problem at once, each with its dotted path
│   ├── StageError             a workload defines an invalid stage or graph: names the field
│   └── NotHere                a check misses a file here that may exist where stages run
├── ClusterError               the cluster does not answer, or refuses a request
│   ├── UnknownJob             the cluster has no such job
│   └── ClusterLost            the cluster ended during a run
├── StoreError                 the store cannot be read or written
│   └── DamagedResult          a stored result does not match its checksums
├── BodyError                  a stage's body breaks the protocol of a workload
└── StageFailed                a stage's own code raised: names the stage, keeps the traceback

AssayWarning (UserWarning)     a workload's warning to the user, while a sweep is planned or by a running stage
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
    """Everything assay raises on purpose. Secrets in URLs are left out of its message."""

    def __str__(self) -> str:
        return hide_secrets(super().__str__())


class AssayWarning(UserWarning):
    """Something the user should know about a result. Raised with `warnings.warn` by a stage's body or check, or by a
    workload that resolves a config or defines its stages."""


@contextmanager
def passing_warnings(tell: Callable[[str], None] | None) -> Iterator[None]:
    """Pass every AssayWarning of the block to `tell`, or drop it if that is None; other warnings are unaffected."""
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
    """The user's input is wrong."""


class FieldError(UserError):
    """Fields that contradict each other, such as a sampler and an option of another one. Raised by validators.

    `fields` are all fields involved, as dotted paths from the validated model. The error is shown at the line of one
    that the user wrote.
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
    """Other paths involved: the problem is shown at the line of one of these if the user did not write `path`."""


class ConfigError(UserError):
    """A workload refused a config. Carries every problem, not only the first."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{p.path}: {p.message}" for p in self.problems))


@dataclass(frozen=True, order=True)
class SpecProblem:
    """One thing wrong in a sweep file. `line` counts from 1; 0 stands for the command line."""

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
    """A workload defined a stage with an invalid field, or stages that are no valid graph."""


class ReferenceProblem(UserError):
    """A config refers to a stage of another study that there is not, or that does not fit."""


class NotHere(UserError):
    """A check misses a file here that may exist where stages run: planning warns, a run refuses."""


class ClusterError(AssayError):
    """The cluster does not answer, or refuses a request."""


class UnknownJob(ClusterError):
    """The cluster has no such job, or no longer has it."""


class ClusterLost(ClusterError):
    """The cluster ended during a run. Finished stages are stored."""


class StoreError(AssayError):
    """The store cannot be read or written."""


class DamagedResult(StoreError):
    """A stored result differs from what was committed: `key` says which result, `reasons` how."""

    def __init__(self, key: str, reasons: Sequence[str]) -> None:
        self.key = key
        self.reasons = tuple(reasons)
        super().__init__(f"stored result {key} is damaged: {'; '.join(reasons)}")


class BodyError(AssayError):
    """A stage's body breaks the protocol of `assay.workload`: for example, it returned a metric that is no number."""


class StageFailed(AssayError):
    """A stage's own code raised."""

    def __init__(self, stage: str, key: str, cause: str) -> None:
        self.stage = stage
        self.key = key
        self.cause = cause
        super().__init__(f"stage {stage} ({key[:12]}) failed: {cause}")


def refuse_unless(what: str, value: object, allowed: Sequence[str]) -> None:
    """Raise UserError for a value that is not among the allowed ones."""
    if value not in allowed:
        choices = ", ".join(map(repr, allowed))
        raise UserError(f"{what}: got {value!r}, allowed: {choices}{did_you_mean(str(value), allowed, '')}")


def refuse_other(what: str, value: object, kind: type | tuple[type, ...], allowed: str) -> None:
    """Raise UserError for an argument of the wrong type; `allowed` describes the right ones."""
    if not isinstance(value, kind):
        raise UserError(f"{what}: got {value!r} ({type(value).__name__}), allowed: {allowed}")


def did_you_mean(wrong: str, allowed: Iterable[str], otherwise: str | None = None) -> str:
    """`"; did you mean X?"` for the nearest allowed name; else `otherwise`, by default the allowed names if few."""
    names = sorted({str(a) for a in allowed})
    close = difflib.get_close_matches(str(wrong), names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    if otherwise is not None:
        return otherwise
    if names and len(names) <= 12:
        return f"; allowed: {', '.join(names)}"
    return ""
