"""Collect what a report omits, and why: a picture that fails must not prevent the rest of the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from assay.store.io_errors import no_room
from assay.text import first_line, listed

T = TypeVar("T")
MOST_NAMED = 3
"""Most pictures to name that failed for the same reason."""


class Omissions:
    """Notes about omitted pictures, to show below the table."""

    def __init__(self) -> None:
        self._notes: dict[str, None] = {}
        self._failed: dict[str, list[str]] = {}
        """Cause → names of pictures."""

    @property
    def notes(self) -> tuple[str, ...]:
        failed = (f"not drawn: {listed(names, MOST_NAMED)}: {cause}" for cause, names in self._failed.items())
        return (*self._notes, *failed)

    def note(self, note: str) -> None:
        self._notes[note] = None

    def picture(self, file: Path, draw: Callable[[], Path | None]) -> Path | None:
        """The picture that `draw` writes; None, without a file, if it is not readable."""

        def readable_picture() -> Path | None:
            picture = draw()
            return None if picture is None else readable(picture)

        return self.attempt(file.name, readable_picture, lambda: file.unlink(missing_ok=True))

    def attempt(self, name: str, make: Callable[[], T], undo: Callable[[], None] = lambda: None) -> T | None:
        """The value of `make`; if it raises, None and a note that names the picture."""
        try:
            return make()
        except Warning:
            raise  # warnings that the user turned into errors
        except Exception as error:
            undo()
            if no_room(error):
                raise  # a full disk concerns the whole report
            self._failed.setdefault(first_line(error, with_type=True), []).append(name)
            return None


def readable(picture: Path) -> Path:
    """The picture's path, after decoding it. Raises PIL's errors for other and for truncated files."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(picture) as image:
            image.load()
    except UnidentifiedImageError as error:
        raise UnidentifiedImageError("not a picture") from error  # PIL's message has the path of a temporary file
    return picture
