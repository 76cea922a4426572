"""Computes the next batches in a thread while the current one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Iterates (step, make(step)) for start ≤ step < stop, in order; up to `depth` are computed ahead, in one thread.

    An exception in `make` is raised at its step. `make` runs in another thread than the loop: it must not use torch's
    global random generator. Use it as a context manager: on exit, even after an exception, it waits for the batch in
    progress and leaves no thread behind.

        with Prefetch(make, 0, 100) as batches:
            for step, batch in batches:
                …
    """

    def __init__(self, make: Callable[[int], T], start: int, stop: int, depth: int = 2) -> None:
        if depth < 1:
            raise ValueError(f"depth must be 1 or more; got {depth}")
        self._make, self._steps, self._depth = make, range(start, stop), depth
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")

    def __iter__(self) -> Iterator[tuple[int, T]]:
        ahead = deque(self._pool.submit(self._make, step) for step in self._steps[: self._depth])
        try:
            for step in self._steps:
                batch = ahead.popleft().result()
                if step + self._depth < self._steps.stop:
                    ahead.append(self._pool.submit(self._make, step + self._depth))
                yield step, batch
        finally:
            self.close()

    def close(self) -> None:
        """Cancel batches not yet started and wait for the one in progress. Safe to call twice."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Prefetch[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
