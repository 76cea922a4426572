"""The contexts that stage bodies are given, the same under Ray and in-process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from assay.runner.events import Emit, Event
from assay.store import Store, StoredResult
from assay.workload import JSON, Stage

PROGRESS_INTERVAL_S = 0.5


class Context:
    """StageContext: config, inputs, a folder to write to, and a voice."""

    def __init__(self, stage: Stage, store: Store, output: Path, device: str, threads: int, emit: Emit) -> None:
        self.stage = stage
        self.store = store
        self.output = output
        self.device = device
        self.threads = threads
        self.history: list[dict[str, float]] = []
        self._emit = emit
        self._last_progress = 0.0
        self._inputs: dict[str, StoredResult] | None = None

    @property
    def config(self) -> Mapping[str, JSON]:
        return self.stage.config

    @property
    def amount(self) -> int:
        return self.stage.amount

    @property
    def inputs(self) -> Mapping[str, StoredResult]:
        """Each input, its checksums verified: a damaged result never reaches a metric."""
        if self._inputs is None:
            self._inputs = {}
            for role, source in self.stage.inputs.items():
                result = self.store.get(source.key, checksum=True)
                assert result is not None, f"{self.stage.name} started before its input {source.name} was committed"
                self._inputs[role] = result
        return self._inputs

    def progress(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        now = time.monotonic()
        if now - self._last_progress >= PROGRESS_INTERVAL_S or done >= self.amount:
            self._last_progress = now
            self._emit(Event("progress", self.stage.key, done=done, metrics=dict(metrics or {})))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.history.append({"step": step, **{name: float(value) for name, value in metrics.items()}})


class WorkerContext(Context):
    """TrainContext: a place in a worker group, and checkpoints that also carry the curve and the time spent."""

    def __init__(self, *args: Any, rank: int = 0, world_size: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rank = rank
        self.world_size = world_size
        self._checkpoints = self.store.checkpoints(self.stage)
        self._started = time.monotonic()
        self._seconds_before = 0.0

    @property
    def seconds(self) -> float:
        """Time spent on this training, over all the runs it took."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def checkpoint_every(self) -> int:
        return self.stage.checkpoint_every or self.amount

    def latest_checkpoint(self) -> tuple[int, Path] | None:
        found = self._checkpoints.latest(self.amount)
        if found is not None:
            state = json.loads((found[1] / "context.json").read_text())
            self.history = state["history"]
            self._seconds_before = state["seconds"]
        return found

    def save_checkpoint(self, step: int, write: Callable[[Path], None]) -> None:
        if self.rank == 0:

            def write_all(folder: Path) -> None:
                write(folder)
                (folder / "context.json").write_text(json.dumps({"history": self.history, "seconds": self.seconds}))

            self._checkpoints.save(step, write_all)
