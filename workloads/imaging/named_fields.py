"""Named tensors that a function returns: read `out.mean`, `out["mean"]`, or unpack in field order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from torch import Tensor


class NamedFields:
    """Base class of dataclasses of tensors, with access by attribute or name; iteration yields the values."""

    def keys(self) -> list[str]:
        return [field.name for field in fields(self)]  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.keys():
            raise KeyError(f"{name!r} is not in {type(self).__name__}, which has {', '.join(self.keys())}")
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def items(self) -> list[tuple[str, Tensor]]:
        return [(name, self[name]) for name in self.keys()]

    def __iter__(self) -> Iterator[Tensor]:
        return (getattr(self, name) for name in self.keys())
