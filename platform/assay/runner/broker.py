"""Who computes what: one arbiter for all trials of a run, so that a shared stage is computed once.

It decides in pure code (`StageBroker`), which is tested without Ray; `assay.runner.cluster` puts it behind an actor.

It also admits: a stage is granted only while the cluster has what it declares, and whoever waits holds nothing. So
more trials than resources cannot deadlock, whatever order they come in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Need = Mapping[str, float]
"""Resource → amount: {"CPU": 2.0, "GPU": 1.0}."""


@dataclass(frozen=True)
class Request:
    """One stage a trial still needs."""

    key: str
    name: str
    inputs: tuple[str, ...]
    need: Need


@dataclass(frozen=True)
class Decision:
    """run: compute `key` now. done: every stage is there. failed: `message` says why. wait: ask again."""

    action: Literal["run", "done", "failed", "wait"]
    key: str = ""
    message: str = ""


@dataclass
class StageBroker:
    """The state of one run's stages."""

    capacity: dict[str, float]
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    _running: dict[str, tuple[int, Need]] = field(default_factory=dict)

    def decide(self, trial: int, requests: Sequence[Request]) -> Decision:
        """What a trial should do next, given every stage it needs, inputs first."""
        open_requests = [r for r in requests if r.key not in self.done]
        if not open_requests:
            return Decision("done")
        for request in open_requests:
            if request.key in self.failed:
                return Decision("failed", request.key, self.failed[request.key])
        for request in open_requests:
            ready = request.key not in self._running and all(key in self.done for key in request.inputs)
            if ready and self._fits(request.need):
                self._running[request.key] = (trial, request.need)
                return Decision("run", request.key)
        return Decision("wait")

    def finish(self, key: str) -> None:
        """A stage was committed."""
        self._running.pop(key, None)
        self.done.add(key)

    def fail(self, key: str, message: str) -> None:
        """A stage raised: every trial that needs it fails with the same message; the others go on."""
        self._running.pop(key, None)
        self.failed[key] = message

    def abandon(self, trial: int) -> None:
        """A trial's process died or starts over: what it was computing is free for another."""
        for key in [k for k, (owner, _) in self._running.items() if owner == trial]:
            del self._running[key]

    def running(self) -> dict[str, int]:
        """Key → trial."""
        return {key: trial for key, (trial, _) in self._running.items()}

    def _fits(self, need: Need) -> bool:
        used: dict[str, float] = {}
        for _, taken in self._running.values():
            for resource, amount in taken.items():
                used[resource] = used.get(resource, 0.0) + amount
        return all(used.get(r, 0.0) + amount <= self.capacity.get(r, 0.0) + 1e-9 for r, amount in need.items())


def too_large(request: Request, capacity: Need) -> str | None:
    """Why a stage can never run on a cluster of this capacity, or None."""
    short = [
        f"{amount:g} {r} (the cluster has {capacity.get(r, 0):g})"
        for r, amount in request.need.items()
        if amount > capacity.get(r, 0)
    ]
    return f"stage {request.name} needs {' and '.join(short)}" if short else None
