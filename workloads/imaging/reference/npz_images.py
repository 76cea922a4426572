"""Reads images for the metrics batch by batch, from npz files like those of the published sampling code."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from assay.errors import AssayWarning, UserError
from imaging.data.image_faults import NUM_LOOKED_AT, Images, fault_of
from imaging.npz import IMAGES, UNREADABLE, Header, names_in, opened, read_header, require_images


@dataclass(frozen=True)
class NpzImages:
    """`arr_0` of an npz file, compressed or not: uint8 (N, H, W, 3). Only one batch at a time is in memory."""

    path: Path
    shape: tuple[int, int, int, int]

    @classmethod
    def open(cls, path: Path) -> NpzImages:
        """Check the header and the first images.

        Raises UserError for a file that is absent, truncated or not npz; without arr_0; whose array is not uint8
        (N, H, W, 3) with N ≥ 2; or whose images are each of one colour, all the same, or have no value above 1. Warns
        if only the first ones are.
        """
        with opened(path) as archive:
            require_images(path, names_in(archive))
            with _member(path, archive) as member:
                shape, fortran, dtype = _header(path, member)
                _check_header(path, shape, fortran, dtype)
                first = _read(path, member, (min(NUM_LOOKED_AT, shape[0]), *shape[1:]), dtype)
        if dtype != np.uint8:
            raise UserError(f"{path}: images must be uint8, 0 to 255; got {dtype}{_conversion_advice(first)}")
        images = cls(path, (shape[0], shape[1], shape[2], shape[3]))
        if fault := fault_of(first):
            message = f"{path}: the first {len(first)} images {fault}"
            if all(map(fault_of, images.batches(NUM_LOOKED_AT))):
                raise UserError(message)
            warnings.warn(f"{message}; later ones look fine", AssayWarning, stacklevel=2)
        return images

    def __len__(self) -> int:
        return self.shape[0]

    def batches(self, size: int) -> Iterator[Images]:
        """All images in order, uint8 (≤ size, H, W, 3). Raises UserError if the file is damaged."""
        with opened(self.path) as archive, _member(self.path, archive) as member:
            _header(self.path, member)
            for start in range(0, len(self), size):
                shape = (min(size, len(self) - start), *self.shape[1:])
                yield _read(self.path, member, shape, np.dtype(np.uint8))


def _member(path: Path, archive: zipfile.ZipFile) -> IO[bytes]:
    try:
        return archive.open(f"{IMAGES}.npy")
    except UNREADABLE as error:
        raise UserError(f"{path} is damaged: {error}") from error


def _header(path: Path, member: IO[bytes]) -> Header:
    """Read the header, which leaves `member` positioned at the first image."""
    try:
        return read_header(member)
    except UNREADABLE as error:
        raise UserError(f"{path}: {IMAGES} is damaged: {error}") from error


def _read(path: Path, member: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    num_bytes = int(np.prod(shape)) * dtype.itemsize
    try:
        content = member.read(num_bytes)
    except UNREADABLE as error:
        raise UserError(f"{path} is damaged: {error}. Copy it again") from error
    if len(content) < num_bytes:
        raise UserError(f"{path} is truncated: {IMAGES} ends before its last image. Copy it again")
    return np.frombuffer(content, dtype).reshape(shape)


def _check_header(path: Path, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "uif":
        raise UserError(f"{path}: images must be uint8, 0 to 255; got {dtype}")
    if len(shape) != 4 or shape[-1] != 3 or not all(shape):
        advice = ""
        if len(shape) == 4 and shape[1] == 3:
            advice = "; that is (N, 3, H, W): write images.transpose(0, 2, 3, 1)"
        elif (len(shape) == 4 and shape[-1] == 1) or len(shape) == 3:
            advice = "; make grey images RGB, as in images.reshape(N, H, W, 1).repeat(3, axis=3)"
        raise UserError(f"{path}: images must be (N, H, W, 3); got {shape}{advice}")
    if fortran:
        raise UserError(f"{path}: {IMAGES} is in Fortran order; write numpy.ascontiguousarray(images)")
    if shape[0] < 2:
        raise UserError(f"{path}: metrics need at least 2 images; got {shape[0]}")


def _conversion_advice(images: npt.NDArray[Any]) -> str:
    """Advice for images that are not uint8."""
    if images.dtype.kind != "f":
        return "; convert them with images.astype(numpy.uint8)"
    if not np.isfinite(images).all():
        return " with NaN or infinity among the values: find out where the sampler produces them"
    low, high = float(images.min()), float(images.max())
    if low >= 0 and high > 1:
        return "; convert them with images.round().astype(numpy.uint8)"
    scale = "(images * 255)" if low >= 0 else "((images + 1) * 127.5)"
    return f" from {low:.3g} to {high:.3g}; write {scale}.round().clip(0, 255).astype(numpy.uint8)"
