"""Image files in a zip, as kept samples and the data sets of EDM are stored."""

from __future__ import annotations

import zipfile
from pathlib import Path

from PIL import Image

from assay.errors import UserError
from imaging.config import DataConfig
from imaging.contents import Files
from imaging.data.decode import NoImage, opened
from imaging.data.folder import SUFFIXES, classes_by_name
from imaging.data.paths import is_hidden, located
from imaging.npz import UNREADABLE


class Zip:
    """`Stored` image files of a zip, in the order and with the classes that a folder of them would have."""

    scattered = True

    def __init__(self, data: DataConfig) -> None:
        self.files = zip_files(data)
        self._path = Path(self.files.path(0))
        try:
            self._archive = zipfile.ZipFile(self._path)  # open as long as this is: its reads are thread-safe
        except UNREADABLE as error:
            raise UserError(f"{self._path} cannot be read as a zip file: {error}") from error
        self._members = _images_in(self._archive)
        if not self._members:
            raise UserError(f"{self._path} contains no images; looked for {', '.join(SUFFIXES)}")
        self.labels_from = f"data.labels {data.labels} of {self._path}"
        self.labels = classes_by_name(self._members, data.labels, self._path)

    def __len__(self) -> int:
        return len(self._members)

    def name(self, index: int) -> str:
        return f"{self._members[index]} of {self._path}"

    def file_of(self, index: int) -> int:
        return 0

    def open(self, index: int) -> Image.Image:
        try:
            encoded = self._archive.read(self._members[index])
        except zipfile.BadZipFile as error:
            raise NoImage(str(error)) from error
        return opened(encoded)


def zip_files(data: DataConfig) -> Files:
    """The file at data.path, whatever its suffix. Raises UserError."""
    path = located(data, "a zip file of images", folder=False, file=True)
    return Files(str(path.parent), [path.name])


def _images_in(archive: zipfile.ZipFile) -> list[str]:
    """Paths in the zip of the files with an image's suffix that are not hidden, sorted part by part."""
    paths = (path for path in archive.namelist() if path.lower().endswith(SUFFIXES))
    return sorted(
        (path for path in paths if not any(map(is_hidden, path.split("/")))), key=lambda path: path.split("/")
    )
