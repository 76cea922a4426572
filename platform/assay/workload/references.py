"""Stages of other studies that a config refers to, such as the training whose weights another starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from assay.errors import ReferenceProblem, UserError
from assay.workload.keys import digest
from assay.workload.stage import Stage, StageKind

Finder = Callable[[str, str], Stage]
"""Function of a reference and a stage's name; raises UserError."""


@dataclass(frozen=True, eq=False)
class StoredStage(Stage):
    """A stage that is known by the key of its result alone. It is read, and never computed."""

    stored_key: str = ""

    @property
    def key(self) -> str:
        return self.stored_key

    @property
    def lineage(self) -> str:
        return self.stored_key


def known_by_key(key: str, name: str, config: dict[str, object] | None = None, kind: StageKind = "reduce") -> Stage:
    return StoredStage(name, 1, kind, ("assay.workload.references:refuse",), config or {}, stored_key=key)


def refuse(ctx: object) -> None:
    """The body of a stage that is known by its key alone, and whose result is gone."""
    raise UserError("its result is no longer stored, and only its key is known: refer to it as SWEEP/ARM instead")


def find_stage(reference: str, name: str, path: str) -> Stage:
    """The stage of this name that a config value refers to: KEY, the first characters of a stored result's key, or
    SWEEP/ARM[@AMOUNT], the arm of a sweep, at another amount of its budget than its own.

    `path` is that of the value. While a sweep is checked without its plan, a stage that stands for it. Raises
    ReferenceProblem if there is none.
    """
    finder = _finder.get()
    if finder is None:
        return known_by_key(digest([reference, name]), name)
    try:
        return finder(reference, name)
    except UserError as error:
        raise ReferenceProblem(f"{path}: {error}") from None


_finder: ContextVar[Finder | None] = ContextVar("finder", default=None)


@contextmanager
def references_found_by(finder: Finder) -> Iterator[None]:
    token = _finder.set(finder)
    try:
        yield
    finally:
        _finder.reset(token)
