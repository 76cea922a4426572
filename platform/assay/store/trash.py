"""Delete folders of the store so that nothing is half there: a crash leaves a folder whole, or without its records.

A folder is first *taken*: on a disk it is moved to `staging/` in one step, elsewhere its records are removed. Until
everything is emptied it can be put back, for a run that began meanwhile.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from assay.store.io_errors import writing
from assay.store.records import Files
from assay.store.scratch import STAGING, scratch


class Trash:
    """While it is open, folders can be taken and put back. An error puts back what was taken and not emptied."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._taken: dict[str, dict[str, bytes]] = {}
        """Path → the records of the folder that were removed; empty on a disk."""

    def __enter__(self) -> Self:
        if self._files.is_local:
            staging = self._files.local_path("staging")
            with writing(self._files.url):
                staging.mkdir(parents=True, exist_ok=True)
                self._folder = self._stack.enter_context(scratch(staging, STAGING))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._stack:
            if error is not None:
                for path in [*self._taken]:
                    self.put_back(path)

    def take(self, path: str, records: list[str]) -> None:
        """Hide a folder from everybody; nothing if it is gone already. `records`: the paths of its records."""
        with writing(self._files.url):
            if self._folder is not None:
                if self._files.move(path, self._inside(path)):
                    self._taken[path] = {}
                return
            self._taken[path] = {}
            for record in records:
                try:
                    self._taken[path][record] = self._files.fs.cat_file(self._files.at(record))
                except FileNotFoundError:
                    continue
                self._files.fs.rm_file(self._files.at(record))

    def put_back(self, path: str) -> None:
        """As it was, unless a run has made it anew."""
        records = self._taken.pop(path)
        with writing(self._files.url):
            if self._folder is None:
                for record, content in records.items():
                    self._files.fs.pipe_file(self._files.at(record), content)
            elif not self._files.local_path(path).exists():
                self._files.move(self._inside(path), path)

    def empty(self) -> None:
        """Delete what was taken, for good."""
        for path in [*self._taken]:
            del self._taken[path]
            self._files.remove(path if self._folder is None else self._inside(path))

    def _inside(self, path: str) -> str:
        assert self._folder is not None
        return f"staging/{self._folder.name}/{path}"
