"""How fast a stage advances, and how long it will take: from progress events alone, across resumes."""

from __future__ import annotations

from collections import deque

WINDOW_S = 30.0


class Pace:
    """Progress of one stage. Rates come from differences, so starting at 300 of 600 does not count as progress."""

    def __init__(self, amount: int, done: int = 0) -> None:
        self.amount = amount
        self.done = done
        self._points: deque[tuple[float, int]] = deque()

    def reach(self, done: int, now: float) -> None:
        """Set the amount done so far. Less than before means that work was lost and is repeated."""
        done = min(done, self.amount)
        if done < self.done:
            self._points.clear()
        self.done = done
        self._points.append((now, done))
        # Keep two points however old they are: a slow stage has a rate too.
        while len(self._points) > 2 and now - self._points[1][0] > WINDOW_S:
            self._points.popleft()

    def rate(self, now: float) -> float | None:
        """Units per second over the last half minute; None until there are two points."""
        if len(self._points) < 2:
            return None
        (first_time, first), (last_time, last) = self._points[0], self._points[-1]
        # A stalled stage slows down: silence longer than its usual gap counts.
        gap = (last_time - first_time) / (len(self._points) - 1)
        until = max(last_time, now - gap)
        return (last - first) / (until - first_time) if until > first_time and last > first else None

    def left_s(self, now: float) -> float | None:
        rate = self.rate(now)
        return None if rate is None else (self.amount - self.done) / rate
