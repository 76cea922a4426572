"""An npz file as the zip archive of arrays that it is: what it holds, and where in it an array begins."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from assay.errors import UserError

IMAGES = "arr_0"
"""The array of images, as numpy.savez and the published sampling code call it."""
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError),
    *(KeyError, RuntimeError, NotImplementedError),  # no such member, an encrypted one, an unknown compression
)
"""What reading raises of a file that is damaged, or is none."""
Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
"""(shape, whether in Fortran order, dtype)"""


def opened(path: Path) -> zipfile.ZipFile:
    """The npz file as the zip archive that it is. Raises UserError when it is none."""
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is no file" if path.exists() else "does not exist"
            raise UserError(f"{path} {what}; an npz file is needed")
    except OSError as error:  # a name that is too long, a folder that may not be looked into
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
    """The arrays of an npz file, and the names of what else it holds."""
    return [name.removesuffix(".npy") if name.endswith(".npy") else f"{name} (no array)" for name in archive.namelist()]


def read_header(member: IO[bytes]) -> Header:
    """The header of an array, which then stands at its first element. Raises one of UNREADABLE."""
    if np.lib.format.read_magic(member) == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    return np.lib.format.read_array_header_2_0(member)
