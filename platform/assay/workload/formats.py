"""Formats of files in which other programs keep what a stage computes: `assay export` and `assay import`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """A format that a workload converts its results' files to, or from. Facts alone: nothing is imported for them."""

    name: str
    description: str
    """What it is, in a few words that begin with an article: messages list them."""
    file: str
    """The file of a result that is converted, if no other is asked for."""
    write: str
    """ "module:attribute" of the function that takes a result's file and the path to write to. It raises UserError if
    the format cannot express the content."""
    read: str | None = None
    """ "module:attribute" of the function that takes the path of such files and the path to write the workload's own
    file to. It returns the config that goes with that file, as a tree. None: it is not read."""


@runtime_checkable
class ConvertsFiles(Protocol):
    """A workload that converts its results' files to formats of other programs, or from them."""

    def formats(self) -> Sequence[FileFormat]: ...
