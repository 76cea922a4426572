"""What a report cannot show, and why: a picture that fails costs neither the numbers nor the other pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from assay.store.io_errors import no_room
from assay.text import first_line, listed

T = TypeVar("T")
MOST_NAMED = 3
"""Pictures that fail for one reason; of more, how many."""


class Lacking:
    """Collects it, for below the table."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._failed: dict[str, list[str]] = {}
        """Cause → pictures."""

    @property
    def notes(self) -> tuple[str, ...]:
        failed = (f"not drawn: {listed(names, MOST_NAMED)}: {cause}" for cause, names in self._failed.items())
        return (*self._said, *failed)

    def say(self, note: str) -> None:
        self._said += [] if note in self._said else [note]

    def picture(self, file: Path, draw: Callable[[], Path | None]) -> Path | None:
        """What `draw` returns, where that is a picture which the page can show; nothing is left of one that is not."""

        def drawn() -> Path | None:
            made = draw()
            return None if made is None else readable(made)

        return self.attempt(file.name, drawn, lambda: file.unlink(missing_ok=True))

    def attempt(self, name: str, make: Callable[[], T], undo: Callable[[], None] = lambda: None) -> T | None:
        """None where it fails: the note names the picture."""
        try:
            return make()
        except Warning:
            raise  # who has warnings be errors wants to see them
        except Exception as error:
            undo()
            if no_room(error):
                raise  # the disk is full: that is not a matter of this picture
            self._failed.setdefault(first_line(error, with_type=True), []).append(name)
            return None


def readable(picture: Path) -> Path:
    """The same, after a look at all of it. Raises what PIL does for other files, and for one that is cut off."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(picture) as image:
            image.load()
    except UnidentifiedImageError as error:
        raise UnidentifiedImageError("this is no picture") from error  # where it lies is of no interest
    return picture
