"""Reading and writing npz files, which are zip archives of arrays."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from assay.errors import UserError, did_you_mean

IMAGES = "arr_0"
"""The array of images, as numpy.savez and the published sampling code call it."""
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError),
    *(KeyError, RuntimeError, NotImplementedError),  # no such member, an encrypted one, an unknown compression
)
"""Exceptions that reading a damaged file, or one of another format, raises."""
Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
"""(shape, whether in Fortran order, dtype)"""


def opened(path: Path) -> zipfile.ZipFile:
    """Open an npz file as a zip archive. Raises UserError for a file that is absent, or not an npz file."""
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is not a file" if path.exists() else "does not exist"
            raise UserError(f"{path} {what}; an npz file is needed")
    except OSError as error:  # a name that is too long, a folder without permission
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return zipfile.ZipFile(path)
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; make it readable for this user") from error
    except UNREADABLE as error:
        raise UserError(
            f"{path} is no npz file, or truncated: {error}. Copy it again, or write it with numpy.savez"
        ) from error


def names_in(archive: zipfile.ZipFile) -> list[str]:
    """The names of the arrays in an npz file, and of its other members, marked as such."""
    return [name.removesuffix(".npy") if name.endswith(".npy") else f"{name} (no array)" for name in archive.namelist()]


def read_header(member: IO[bytes]) -> Header:
    """Read the header of an array; leaves the member at its first element. Raises one of UNREADABLE."""
    if np.lib.format.read_magic(member) == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    return np.lib.format.read_array_header_2_0(member)


def read_array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """A whole array. Raises one of UNREADABLE."""
    with archive.open(f"{name}.npy") as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def require_images(path: Path, names: list[str]) -> None:
    """Raise UserError for a file without the array IMAGES."""
    if IMAGES not in names:
        raise UserError(
            f"{path} has no array {IMAGES}, where the images should be; it has {', '.join(names) or 'none'}"
            f"{did_you_mean(IMAGES, names)}"
        )


def write_array(archive: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def write_images(archive: zipfile.ZipFile, count: int, batches: Iterator[npt.NDArray[np.uint8]]) -> None:
    """Write `count` images as the array IMAGES, from batches uint8 (n, H, W, C): one batch is in memory at a time."""
    first = next(batches)
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *first.shape[1:])}
    with archive.open(f"{IMAGES}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for batch in chain([first], batches):
            member.write(batch.tobytes())
