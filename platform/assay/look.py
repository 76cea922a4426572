"""A look at the files that a plan is made from: each is looked at once in it, and anew in the next one.

A sweep of a thousand trials asks a thousand times how many items its data has. Counting them once a process would miss
what changes while the process lives, so what was found is kept as long as the look lasts, and no longer:

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
    """What was found so far."""

    verifies: bool = False
    """Whether all contents are read again, whatever an earlier look left on disk."""
    remarks: list[str] = field(default_factory=list)
    """What the user should know of what was found, a line each."""
    _known: dict[Hashable, Any] = field(default_factory=dict)


_current: ContextVar[Look | None] = ContextVar("look", default=None)


@contextmanager
def a_look(*, verifies: bool = False) -> Iterator[Look]:
    """Look at each file once from here to the end of the block. Inside of another look it is that one."""
    current = _current.get()
    if current is not None:
        yield current
        return
    token = _current.set(Look(verifies))
    try:
        look = _current.get()
        assert look is not None
        yield look
    finally:
        _current.reset(token)


def current_look() -> Look | None:
    return _current.get()


def once_a_look(function: Callable[P, R]) -> Callable[P, R]:
    """`function` with its results kept for the length of a look; outside of any it is called every time.

    Its arguments must be hashable. What it raises is not kept.
    """

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
