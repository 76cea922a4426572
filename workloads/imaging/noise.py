"""Noise and labels addressed by the image's index: sample i is sample i.

Row i depends on (seed, i, stream) alone, and not on the batch, the worker, the order, a retry or the device. The
generator is Philox 4x64 (Salmon et al. 2011): its 128-bit key is (seed, i), and its 256-bit counter contains the
stream, so there is no state to carry over. Values are generated on the CPU and copied, so they have the same bits on
every device. A GPU meanwhile computes the step before, whose kernels are queued by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Ids = npt.NDArray[np.integer] | Tensor | Sequence[int]
LabelMode = Literal["balanced", "drawn"] | tuple[int, ...]
Use = Literal["image", "label", "upsampling"]

USES: dict[Use, int] = {"image": 0, "label": 1, "upsampling": 2}
"""Purpose of a stream of the generator → the last word of its counter. New purposes take new numbers."""
_UINT64_MAX = 2**64 - 1


class IndexedNoise:
    """Standard normal noise for image ids, by seed: float32, on `device`.

    Each `use` has noise of its own: an upsampler's is independent of the noise of the image that it upsamples.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu", use: Use = "image") -> None:
        if not 0 <= seed <= _UINT64_MAX:
            raise ValueError(f"seed is {seed}; it must be between 0 and 2**64 - 1")
        self.seed = seed
        self.device = torch.device(device)
        self.use = use

    def initial(self, ids: Ids, shape: Sequence[int]) -> Tensor:
        """x_T for each id: (len(ids), *shape), where `shape` is that of one image."""
        return self._stream(ids, 0, shape)

    def step(self, ids: Ids, k: int, shape: Sequence[int]) -> Tensor:
        """The noise of step k (the respaced index t) for each id: (len(ids), *shape)."""
        if k < 0:
            raise ValueError(f"step is {k}; steps count from 0")
        return self._stream(ids, k + 1, shape)

    def _stream(self, ids: Ids, stream: int, shape: Sequence[int]) -> Tensor:
        rows = _ids(ids)
        values = np.empty((len(rows), *shape), dtype=np.float32)
        for row, index in zip(values, rows, strict=True):
            _generator(self.seed, int(index), stream, self.use).standard_normal(dtype=np.float32, out=row)
        noise = torch.from_numpy(values)
        return noise if self.device.type == "cpu" else noise.to(self.device, non_blocking=True)


def labels(ids: Ids, num_classes: int, mode: LabelMode = "balanced", seed: int = 0) -> Tensor:
    """The class of each image, int64 (len(ids),).

    balanced: id mod num_classes, so that num_classes consecutive ids have each class once. drawn: uniform at random,
    from (seed, id). A list of classes: id mod its length is the place in it. Raises ValueError for another mode, or for
    no classes.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}; at least 1 is needed to draw a label")
    rows = _ids(ids)
    if mode == "balanced":
        return torch.from_numpy((rows % np.uint64(num_classes)).astype(np.int64))
    if mode == "drawn":
        classes = [_generator(seed, int(index), 0, "label").integers(num_classes) for index in rows]
        return torch.tensor(classes, dtype=torch.int64)
    if isinstance(mode, tuple):
        return torch.tensor(mode, dtype=torch.int64)[torch.from_numpy((rows % np.uint64(len(mode))).astype(np.int64))]
    raise ValueError(f"label mode is {mode!r}; choose balanced or drawn, or list classes")


def _generator(seed: int, index: int, stream: int, use: Use) -> np.random.Generator:
    # Random numbers advance the two low words of the counter, so the two high words keep streams apart.
    return np.random.Generator(
        np.random.Philox(
            key=np.array([seed, index], dtype=np.uint64), counter=np.array([0, 0, stream, USES[use]], dtype=np.uint64)
        )
    )


def _ids(ids: Ids) -> npt.NDArray[np.uint64]:
    array = ids.cpu().numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"ids must be a list of whole numbers, got shape {array.shape} of {array.dtype}")
    if array.size and array.min() < 0:
        raise ValueError(f"ids count from 0, got {array.min()}")
    return array.astype(np.uint64)
