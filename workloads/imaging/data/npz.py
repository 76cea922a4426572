"""Images in an npz file, as numpy.savez and the published sampling code write it."""

from __future__ import annotations

import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from assay.errors import AssayWarning, UserError
from imaging.config import DataConfig
from imaging.contents import Files
from imaging.data.paths import located
from imaging.npz import IMAGES, UNREADABLE, names_in, read_array, read_header, require_images

LABELS = ("arr_1", "labels")
LARGE_BYTES = 1 << 30
"""Size from which a compressed array, which each process holds in memory, gives a warning."""
LOCAL_HEADER = struct.Struct("<26xHH")
"""The header before a zip member, which ends with the lengths of its name and its extra field."""


class Npz:
    """`arr_0` uint8 (N, H, W, C) with C 1 or 3, and labels in `arr_1` or `labels`, if any.

    Uncompressed arrays (numpy.savez) are memory-mapped; compressed ones (numpy.savez_compressed) are held in memory.
    """

    scattered = True

    def __init__(self, data: DataConfig) -> None:
        self.files = npz_files(data)
        self._path = Path(self.files.path(0))
        try:
            with zipfile.ZipFile(self._path) as archive:
                names = names_in(archive)
                require_images(self._path, names)
                self._images = _images(self._path, archive)
                label_array = next((name for name in LABELS if name in names), None)
                self.labels = _array(self._path, archive, label_array) if label_array is not None else None
        except UserError:
            raise
        except UNREADABLE as error:
            raise UserError(
                f"{self._path} cannot be read as an npz file: {error}; write it with numpy.savez"
            ) from error
        missing = f"{self._path} has neither {' nor '.join(LABELS)}"
        self.labels_from = missing if label_array is None else f"{label_array} of {self._path}"

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        return f"image {index} of {self._path}"

    def file_of(self, index: int) -> int:
        return 0

    def open(self, index: int) -> Image.Image:
        pixels = np.array(self._images[index])  # copied, so that a mapped file is read now
        return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def npz_files(data: DataConfig) -> Files:
    """The file at data.path, whatever its suffix. Raises UserError."""
    path = located(data, "an npz file", folder=False, file=True)
    return Files(str(path.parent), [path.name])


def _images(path: Path, archive: zipfile.ZipFile) -> npt.NDArray[np.uint8]:
    """The array of images, after its header was checked. Raises UserError."""
    with archive.open(f"{IMAGES}.npy") as member:
        shape, _, dtype = read_header(member)
    if dtype != np.uint8 or len(shape) != 4 or shape[-1] not in (1, 3) or not all(shape):
        raise UserError(
            f"{path}: {IMAGES} must be images, uint8 (N, H, W, C) with C 1 or 3; got {dtype} {shape}"
            + ("; scale the values to 0 to 255 and convert them" if dtype.kind == "f" else "")
        )
    return _array(path, archive, IMAGES)


def _array(path: Path, archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """An array: memory-mapped if it is uncompressed, else read."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as member:
        shape, fortran, dtype = read_header(member)
        array_offset = member.tell()
    if info.compress_type == zipfile.ZIP_STORED and all(shape) and not dtype.hasobject:
        with path.open("rb") as file:
            file.seek(info.header_offset)
            name_bytes, extra_bytes = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
        offset = info.header_offset + LOCAL_HEADER.size + name_bytes + extra_bytes + array_offset
        return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")
    if info.file_size >= LARGE_BYTES:
        warnings.warn(
            f"{path} is compressed: every process that reads it holds all {info.file_size / 1e9:.1f} GB in memory; "
            "write it with numpy.savez, and it is read as needed",
            AssayWarning,
            stacklevel=2,
        )
    return read_array(archive, name)
