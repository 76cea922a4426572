"""What the context of every body has, whoever computes its stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from assay.workload.stage import JSON, Stage


class BodyContext:
    """A stage, a folder to write to, and what the body says: its curve, its notes, and how far it is."""

    def __init__(self, stage: Stage, output: Path, device: str, threads: int) -> None:
        self.stage, self.output = stage, output
        self.device, self.threads = device, threads
        self.history: list[dict[str, float]] = []
        self.notes: dict[str, str | float] = {}
        self.reached = 0
        """The progress that the body reported."""

    @property
    def config(self) -> Mapping[str, JSON]:
        return self.stage.config

    @property
    def execution(self) -> Mapping[str, JSON]:
        return self.stage.execution

    @property
    def amount(self) -> int:
        return self.stage.amount

    def progress(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        self.reached = int(done)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.reached = step
        self.history.append({"step": step, **{name: float(value) for name, value in metrics.items()}})

    def note(self, name: str, value: str | float) -> None:
        self.notes[name] = value
