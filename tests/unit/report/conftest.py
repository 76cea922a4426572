"""Studies whose trials have made-up results in a real store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import copyfile
from types import SimpleNamespace
from typing import Any

import pytest

from assay.planning import Plan, PlannedTrial, Rung
from assay.report import Standing
from assay.spec import Sweep, Trial
from assay.store import Cost, Store
from assay.workload import ReportHints, Stage

Study = tuple[Plan, list[Standing]]
CPU = "cpu (x86_64)"


class Studies:
    """Makes them: one trial per entry of `metrics`, its leaf's, or None when it was not computed. One training is
    shared by all; it took 100 s, and every leaf 5 s."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)

    def __call__(
        self,
        metrics: Sequence[Mapping[str, float] | None],
        names: Sequence[str] | None = None,
        configs: Sequence[Mapping[str, Any]] | None = None,
        files: Sequence[Mapping[str, Path]] | None = None,
        notes: Sequence[Mapping[str, str]] | None = None,
        varied: Sequence[Mapping[str, Any]] | None = None,
        seeds: Sequence[int] = (0,),
        device: str = CPU,
        **keys: Any,
    ) -> Study:
        study = self._name(keys)
        train = Stage("train", 1, "train", ("m:f",), {"study": study})
        trials, standings = [], []
        for index, values in enumerate(metrics):
            name = names[index] if names else f"arm {index}"
            leaf = Stage("evaluate", 1, "reduce", ("m:f",), {"study": study, "index": index}, {"model": train})
            config = configs[index] if configs else {}
            said = varied[index] if varied else {}
            trial = Trial(index, name, name, {}, config, seeds[index % len(seeds)], said)
            trials.append(PlannedTrial(trial, (Rung(None, (train, leaf)),)))
            results = {train.key: self._commit(train, {}, device, 100.0)}
            if values is not None:
                kept, told = (files[index] if files else {}), (notes[index] if notes else {})
                results[leaf.key] = self._commit(leaf, values, device, 5.0, kept, told)
            standings.append(Standing(trials[-1], results))
        settings = {"version": 1, "name": "s", "workload": "w", "base": "b", "metric": "fid", "mode": "min"}
        sweep = Sweep.model_validate(settings | {"seeds": seeds} | keys)
        hints = ReportHints(("fid", "precision", "recall"), sample_grid="grid.png", comparable=("num_samples", "eyes"))
        workload: Any = SimpleNamespace(report=hints)
        return Plan(sweep, workload, tuple(trials)), standings

    def _name(self, keys: Mapping[str, Any]) -> str:
        self._made = getattr(self, "_made", 0) + 1
        return f"{keys.get('name')} {self._made}"

    def _commit(
        self,
        stage: Stage,
        metrics: Mapping[str, float],
        device: str,
        seconds: float,
        files: Mapping[str, Path] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> Any:
        with self.store.staging() as output:
            for name, source in (files or {}).items():
                copyfile(source, output / name)
            return self.store.commit(stage, output, metrics, Cost(device, 1, seconds), notes=notes)


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Study]:
    return Studies(tmp_path / "store")
