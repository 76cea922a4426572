"""A cache of what files contain, that lasts as long as one plan is made.

A sweep of a thousand trials asks a thousand times how many items its data has. A cache per process would miss changes
during the process, so it lasts for the length of a `with` block or of a decorated call:

    @a_look()
    def make_plan(sweep): ...
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Look:
    verifies: bool = False
    """Whether contents are read again even if a cache on disk has them."""
    remarks: list[str] = field(default_factory=list)
    """Lines for the user about what was read."""
    _known: dict[Hashable, Any] = field(default_factory=dict)


_current: ContextVar[Look | None] = ContextVar("look", default=None)


@contextmanager
def a_look(*, verifies: bool = False) -> Iterator[Look]:
    """Cache the results of `once_a_look` functions to the end of the block. Inside another look, join that one."""
    if (current := _current.get()) is not None:
        yield current
        return
    look = Look(verifies)
    token = _current.set(look)
    try:
        yield look
    finally:
        _current.reset(token)


def current_look() -> Look | None:
    return _current.get()


def once_a_look(function: Callable[P, R]) -> Callable[P, R]:
    """`function` with its results cached for the length of a look. Its arguments must be hashable; errors are not
    cached."""

    @wraps(function)
    def looked_up(*args: P.args, **kwargs: P.kwargs) -> R:
        look = _current.get()
        if look is None:
            return function(*args, **kwargs)
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in look._known:
            look._known[key] = function(*args, **kwargs)
        return look._known[key]

    return looked_up
