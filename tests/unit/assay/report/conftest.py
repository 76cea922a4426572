"""Studies whose trials have made-up results in a real store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import copyfile
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from assay.planning import Plan, PlannedTrial, Rung, make_plan
from assay.results import TrialOutcome, from_store
from assay.store import Cost, Store
from assay.sweep import Sweep, Trial
from assay.sweep.arms import Base
from assay.workload import Budget, DeviceDays, ReportHints, Stage, TypedWorkload
from assay.workload.fields import Section

Study = tuple[Plan, list[TrialOutcome]]
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
        hints = ReportHints(sample_grid="grid.png", comparable=("num_samples", "eyes"), **HINTS)
        workload: Any = SimpleNamespace(
            report=hints,
            seed_path="seed",
            stages=lambda config: [Stage("evaluate", 1, "reduce", ("m:f",), config)],
        )
        train = Stage("train", 1, "train", ("m:f",), {"study": study})
        trials, standings = [], []
        for index, values in enumerate(metrics):
            name = names[index] if names else f"arm {index}"
            leaf = Stage("evaluate", 1, "reduce", ("m:f",), {"study": study, "index": index}, {"model": train})
            config = configs[index] if configs else {}
            said = varied[index] if varied else {}
            trial = Trial(index, name, name, {}, config, seeds[index % len(seeds)], said, Base(workload, "b"))
            trials.append(PlannedTrial(trial, (Rung(None, (train, leaf)),)))
            results = {train.key: self._commit(train, {}, device, 100.0)}
            if values is not None:
                kept, told = (files[index] if files else {}), (notes[index] if notes else {})
                results[leaf.key] = self._commit(leaf, values, device, 5.0, kept, told)
            standings.append(TrialOutcome(trials[-1], results))
        settings = {"version": 1, "name": "s", "workload": "w", "base": "b", "metric": "fid", "mode": "min"}
        sweep = Sweep.model_validate(settings | {"seeds": seeds} | keys)
        sweep._workload = workload
        return Plan(sweep, tuple(trials)), standings

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


V100 = "Tesla V100-SXM2-16GB"
HINTS: Any = {"metrics": ("fid", "precision", "recall"), "count": "num_samples", "days": DeviceDays("V100")}


class Model(Section):
    norm: str = "adagn"


class Train(Section):
    iterations: int = 100


class Sample(Section):
    guidance_scale: Any = 0.0
    steps: tuple[int, ...] = (250,)


class Evaluate(Section):
    num_samples: int = 50_000


class Config(Section):
    seed: int = 0
    model: Model = Model()
    train: Train = Train()
    sample: Sample = Sample()
    evaluate: Evaluate = Evaluate()


class Paper(TypedWorkload[Config]):
    """A workload: train, then sample, then evaluate. Nothing is computed: `fill` commits what a study would find."""

    name = "paper"
    config_type = Config
    bases: ClassVar = {"base": Config()}
    report = ReportHints(sample_grid="samples.png", comparable=("num_samples",), **HINTS)

    def stages_of(self, config: Config) -> Sequence[Stage]:
        steps, amount = config.train.iterations, config.evaluate.num_samples
        train = Stage(
            "train",
            1,
            "train",
            ("m:f",),
            {"seed": config.seed, "model": config.model.model_dump()},
            budget=Budget("train.iterations", steps, "iterations"),
            flops=steps * 5e14,
            items=steps * 256,
        )
        sample = Stage(
            "sample",
            1,
            "reduce",
            ("m:f",),
            config.sample.model_dump(mode="json"),
            {"model": train},
            budget=Budget("evaluate.num_samples", amount, "images"),
            flops=amount * 3e14,
        )
        return [Stage("evaluate", 1, "reduce", ("m:f",), {}, {"samples": sample})]


Measure = Callable[[PlannedTrial, Rung], Mapping[str, float] | None]
Files = Callable[[PlannedTrial, Rung, Path], None]


def fill(plan: Plan, store: Store, measure: Measure, files: Files | None = None) -> tuple[TrialOutcome, ...]:
    """Commit every rung of every trial that `measure` has metrics for; a second costs 100 iterations or 10 images."""
    reached: dict[str, int] = {}
    for planned in plan.trials:
        for rung in planned.rungs:
            metrics = measure(planned, rung)
            for stage in rung.stages if metrics is not None else ():
                is_leaf = stage is rung.leaf
                device = CPU if is_leaf else V100
                items = stage.amount - reached.get(stage.lineage, 0)
                reached[stage.lineage] = stage.amount
                seconds = items / {"train": 100, "sample": 10}.get(stage.name, 1)
                with store.staging() as output:
                    if is_leaf and files is not None:
                        files(planned, rung, output)
                    store.commit(stage, output, metrics if is_leaf else {}, Cost(device, 1, seconds, {"items": items}))
    return from_store(plan, store)


def planned(**keys: Any) -> Plan:
    """A sweep of the paper."""
    settings = {"version": 1, "name": "s", "workload": "paper", "base": "base", "metric": "fid", "mode": "min"}
    sweep = Sweep.model_validate(settings | keys)
    sweep._workload = Paper()
    return make_plan(sweep)


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Study]:
    return Studies(tmp_path / "store")


@pytest.fixture
def paper(tmp_path: Path) -> Callable[..., tuple[Plan, tuple[TrialOutcome, ...]]]:
    """A sweep of the paper whose results are what a function says."""

    def make(measure: Measure, files: Files | None = None, **keys: Any) -> tuple[Plan, tuple[TrialOutcome, ...]]:
        plan = planned(**keys)
        return plan, fill(plan, Store(tmp_path / "paper"), measure, files)

    return make
