"""Images of files that must stay what a stage was planned with."""

from __future__ import annotations

from PIL import Image

from imaging.contents import Unchanged
from imaging.data.types import Stored


class Watched:
    """`Stored` images, each looked at before and after it is read: two looks at its file's size and times.

    Raises UserError, where it is made for files that hold something else already, and where an image is read for files
    that changed since. So whatever is computed is of the data in its key, however long that takes.
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
        self._unchanged.check(file)  # a mapped file that became shorter would end the process when it is read
        image = self._stored.open(index)
        self._unchanged.check(file)
        return image
