"""Run work in a thread, so that the caller can wait for other things too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


def aside(work: Callable[[], None]) -> Future[None]:
    """Start it; the future holds what it raises. The thread keeps no process alive."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done
