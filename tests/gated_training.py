"""adm whose trainings wait at gates for what is to happen to them there, so that nothing depends on the clock.

A training waits at step N while the file "shut-N" is in the folder of its gates. A worker that is told to leave opens
the gate for its whole group. A module of its own, since workers import it; nothing of it is part of a stage's key.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adm.training import stages
from adm.workload import AdmWorkload
from assay.workload import Stage, TrainContext


class GatedAdm(AdmWorkload):
    """Each training has a folder of gates of its own, named by its key."""

    def __init__(self, gates: Path) -> None:
        self.gates = gates

    def stages(self, config: Mapping[str, Any]) -> Sequence[Stage]:
        return [
            replace(stage, body=("gated_training:train",), execution={**stage.execution, "gates": str(self.gates)})
            for stage in super().stages(config)
        ]


def train(ctx: TrainContext) -> Mapping[str, float]:
    return stages.train_diffusion(Gated(ctx))  # type: ignore[arg-type]


class Gated:
    """The context it is given, but for progress, which waits at gates."""

    def __init__(self, ctx: Any) -> None:
        self._ctx = ctx
        self._gates = Path(ctx.execution["gates"]) / ctx.stage.key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def progress(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        self._ctx.progress(done, metrics)
        gate = self._gates / f"shut-{done}"
        while gate.exists():
            if self._ctx.leaving:
                gate.unlink(missing_ok=True)
            self._ctx.progress(done)
            time.sleep(0.01)
