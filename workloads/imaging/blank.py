"""Networks without values: for the shapes of their weights, or to be filled with stored ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

DRAWN = {torch.randn, torch.rand}
SCALED = {torch.Tensor.mul, torch.Tensor.div}
FILLED = {torch.Tensor.normal_, torch.Tensor.uniform_}


@contextmanager
def blank() -> Iterator[None]:
    """While inside, tensors are made on the meta device: they have a shape and no values, and take no memory."""
    with torch.device("meta"), _Uncomputed():
        yield


def allocate(network: nn.Module) -> None:
    """Give a blank network memory on the CPU, for values that are loaded."""
    with _Uncomputed():
        network.to_empty(device="cpu")


class _Uncomputed(TorchFunctionMode):
    """Leaves out how tensors on the meta device are initialised, scaled and copied.

    PyTorch has references in Python for it, whose first use imports its compiler and SymPy: 1.4 CPU seconds of every
    process that reads a checkpoint.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return options["tensor"] if "tensor" in options else args[0]
        if func in FILLED or (func in SCALED and isinstance(args[1], int | float)):
            return args[0]
        if func is torch.empty_like:
            return torch.empty(args[0].shape, dtype=args[0].dtype, **options)
        return (torch.empty if func in DRAWN else func)(*args, **options)
