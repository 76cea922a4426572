"""Images from files that must not change after a stage is planned."""

from __future__ import annotations

from PIL import Image

from imaging.contents import Unchanged
from imaging.data.types import Stored


class Watched:
    """`Stored` images that compare their file's size and times before and after each read.

    Raises UserError when created if the files are not those that were planned, and on a read if they changed since. So
    everything is computed from the data that is in the stage's key.
    """

    def __init__(self, stored: Stored, contents: str, times: str | None) -> None:
        self.labels, self.labels_from, self.scattered = stored.labels, stored.labels_from, stored.scattered
        self.files = stored.files
        self._stored = stored
        self._unchanged = Unchanged(stored.files, contents, times)

    def __len__(self) -> int:
        return len(self._stored)

    def name(self, index: int) -> str:
        return self._stored.name(index)

    def file_of(self, index: int) -> int:
        return self._stored.file_of(index)

    def open(self, index: int) -> Image.Image:
        file = self._stored.file_of(index)
        self._unchanged.check(file)  # reading a memory-mapped file that was truncated would crash the process
        image = self._stored.open(index)
        self._unchanged.check(file)
        return image
