"""For tests of workloads: contexts to call a body with, and a contract for a pytest class to inherit.

    from assay.workload.testing import WorkloadContract

    class TestDit(WorkloadContract):
        workload = dit.workload

Neither Ray nor a store is involved: `assay check` runs the same small trial as a real run would.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import pyarrow as pa
import pytest

from assay.errors import passing_warnings
from assay.imported import imported
from assay.workload.body_context import BodyContext
from assay.workload.columns import to_numpy
from assay.workload.contexts import Result
from assay.workload.contract import stage_graph
from assay.workload.dotted import section_of
from assay.workload.keys import canonical_json
from assay.workload.protocol import Smoke, Workload
from assay.workload.returned import check_output, load_body, operator, returned_columns, returned_metrics
from assay.workload.smoke import HEAVY, omissions, smoke_config
from assay.workload.stage import JSON, Checkpointing, Stage

Made = TypeVar("Made")


@dataclass
class FakeResult:
    """A result in a folder and in memory: `parts` are the rows of a map stage, in order of ids."""

    key: str
    folder: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
    parts: Sequence[pa.Table] = ()
    history: Sequence[Mapping[str, float]] = ()
    notes: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def file(self, name: str) -> Path:
        if name not in self.files:
            raise KeyError(f"there is no file {name!r}; there are: {', '.join(self.files) or 'none'}")
        return self.folder / name

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return pa.concat_tables(self.batches(columns))

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        selected = None if columns is None else list(dict.fromkeys(["id", *columns]))
        yield from (part if selected is None else part.select(selected) for part in self.parts)

    def rows(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        tables, first = [], 0
        for part in self.parts:
            if first < stop and start < first + part.num_rows:
                chosen = part if columns is None else part.select(list(columns))
                tables.append(chosen.slice(max(0, start - first), stop - max(start, first)))
            first += part.num_rows
        return pa.concat_tables(tables)


class FakeContext(BodyContext):
    """What a reduce body receives, and each class of a map stage."""

    def __init__(self, stage: Stage, output: Path, inputs: Mapping[str, Result] | None = None) -> None:
        output.mkdir(parents=True, exist_ok=True)
        super().__init__(stage, output, "cpu", 1)
        self.inputs = inputs or {}


class Left(BaseException):
    """A body left at `step`, as it was asked to. Not an Exception, so that no body catches it by accident."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"left at step {step}")


class FakeTrainContext(FakeContext):
    """What a train body receives: a group of one, whose machine is taken away at step `leave_at`.

    `checkpoints` is a folder that outlives the context: the next one resumes from it.
    """

    def __init__(
        self,
        stage: Stage,
        output: Path,
        inputs: Mapping[str, Result] | None = None,
        *,
        checkpoints: Path | None = None,
        leave_at: int | None = None,
    ) -> None:
        super().__init__(stage, output, inputs)
        self.rank, self.world_size = 0, 1
        self.checkpointing = stage.checkpointing or Checkpointing(every=stage.amount)
        self.checkpoints = checkpoints or output.with_name(f"{output.name}-checkpoints")
        self.leave_at = leave_at

    @property
    def leaving(self) -> bool:
        return self.leave_at is not None and self.reached >= self.leave_at

    def latest_checkpoint(self) -> tuple[int, Path] | None:
        steps = sorted(int(folder.name) for folder in self.checkpoints.glob("[0-9]*"))
        step = max((step for step in steps if step <= self.amount), default=None)
        if step is None:
            return None
        folder = self.checkpoints / f"{step:09d}"
        state = json.loads((self.checkpoints / f"curve-{step}.json").read_text())
        self.history, self.notes = state["history"], state["notes"] | self.notes
        return step, folder

    def save_checkpoint(self, step: int, write: Callable[[Path], None], score: float | None = None) -> None:
        self.reached = step
        folder = self.checkpoints / f"{step:09d}"
        folder.mkdir(parents=True, exist_ok=True)
        write(folder)
        state = {"history": self.history, "notes": self.notes}
        (self.checkpoints / f"curve-{step}.json").write_text(json.dumps(state))
        if self.leaving and step < self.amount:
            raise Left(step)


def _called(stage: Stage, ctx: FakeContext) -> dict[str, float]:
    body = load_body(stage, 0)
    _use_threads(ctx)
    with passing_warnings(None):  # warnings are about results, which this is not
        metrics = returned_metrics(stage, body(ctx))
    check_output(stage, ctx.output)
    return metrics


def _use_threads(ctx: FakeContext) -> None:
    """As the executors do, once a body has imported torch."""
    if (torch := imported("torch")) is not None:
        torch.set_num_threads(ctx.threads)


def run_train(
    stage: Stage,
    folder: Path,
    inputs: Mapping[str, Result] | None = None,
    *,
    checkpoints: Path | None = None,
    leave_at: int | None = None,
) -> FakeResult:
    """The result of a train stage. Raises Left if its body leaves, and BodyError if it returns something invalid."""
    ctx = FakeTrainContext(stage, folder, inputs, checkpoints=checkpoints, leave_at=leave_at)
    metrics = _called(stage, ctx)
    return FakeResult(stage.key, folder, metrics, history=ctx.history, notes=ctx.notes)


def run_reduce(stage: Stage, folder: Path, inputs: Mapping[str, Result] | None = None) -> FakeResult:
    """The result of a reduce stage. Raises BodyError if its body returns something invalid."""
    ctx = FakeContext(stage, folder, inputs)
    metrics = _called(stage, ctx)
    return FakeResult(stage.key, folder, metrics, history=ctx.history, notes=ctx.notes)


def run_map(
    stage: Stage,
    folder: Path,
    inputs: Mapping[str, Result] | None = None,
    *,
    rows: Result | None = None,
    batch_size: int | None = None,
    lanes: int = 1,
) -> FakeResult:
    """The rows of a map stage: each lane has its own chain, and the lanes take turns, the last batch first.

    `rows` is the result of the stage whose rows this one reads, streamed or not. Raises BodyError if its bodies return
    something invalid.
    """
    size = batch_size or (stage.amount if stage.batch_size == "auto" else stage.batch_size)
    cuts = {0, stage.amount, *(count for count in stage.stored_prefix.values() if count < stage.amount)}
    starts = sorted({*range(0, stage.amount, size), *cuts})
    contexts = [FakeContext(stage, folder, inputs) for _ in range(lanes)]
    parts: dict[int, pa.Table] = {}
    schema: list[pa.Schema | None] = [None] * len(stage.body)
    with passing_warnings(None):
        chains = [[operator(stage, index, ctx) for index in range(len(stage.body))] for ctx in contexts]
        _use_threads(contexts[0])
        for turn, (start, stop) in enumerate(reversed(list(pairwise(starts)))):
            if rows is not None:
                table = rows.rows(start, stop)
            else:
                table = pa.table({"id": np.arange(start, stop, dtype=np.int64)})
            for index, call in enumerate(chains[turn % lanes]):
                ids = table.column("id")
                table = returned_columns(stage, stage.body[index], ids, call(to_numpy(table)), schema[index])
                schema[index] = table.schema
            unwanted = [name for name, count in stage.stored_prefix.items() if start >= count]
            parts[start] = table.drop_columns(unwanted)
    notes = {name: value for ctx in contexts for name, value in ctx.notes.items()}
    return FakeResult(stage.key, folder, parts=[parts[start] for start in sorted(parts)], notes=notes)


def run_stage(
    stage: Stage, folder: Path, inputs: Mapping[str, Result] | None = None, *, rows: Result | None = None
) -> FakeResult:
    """The result of a stage of any kind."""
    if stage.kind == "map":
        return run_map(stage, folder, inputs, rows=rows)
    return (run_train if stage.kind == "train" else run_reduce)(stage, folder, inputs)


@dataclass
class Trial:
    """A small trial: its stages, inputs first, each with its result; those whose rows are streamed among them."""

    config: Mapping[str, JSON]
    stages: Sequence[Stage]
    results: Mapping[str, FakeResult]

    @property
    def result(self) -> FakeResult:
        return self.results[self.stages[-1].key]

    def of_kind(self, kind: str) -> list[Stage]:
        return [stage for stage in self.stages if stage.kind == kind]

    def inputs(self, stage: Stage) -> dict[str, Result]:
        """The results of the stages that it reads, by role."""
        return {role: self.results[source.key] for role, source in stage.inputs.items()}

    def rows(self, stage: Stage) -> Result | None:
        """The rows that a map stage reads; None if it is given ids."""
        return None if stage.rows is None else self.results[stage.rows.key]


def _shortened(stage: Stage, amount: int) -> Stage:
    assert stage.budget is not None
    rows = None if stage.rows is None else _shortened(stage.rows, amount)
    return replace(stage, budget=replace(stage.budget, amount=amount), rows=rows)


def run_trial(workload: Workload, config: Mapping[str, JSON], folder: Path) -> Trial:
    """Compute every stage of a config, in a folder of its own."""
    graph = stage_graph(workload, config)
    stages = {part.key: part for stage in graph for part in (stage.rows, stage) if part is not None}
    trial = Trial(config, list(stages.values()), results := {})
    for stage in trial.stages:
        results[stage.key] = run_stage(stage, folder / stage.key[:12], trial.inputs(stage), rows=trial.rows(stage))
    return trial


PLAN = """
import json, pickle, sys
sys.path[:], workload, config, heavy = pickle.load(sys.stdin.buffer)
workload = pickle.loads(workload)
from assay.workload.contract import stage_graph
keys = [stage.key for stage in stage_graph(workload, config)]
print(json.dumps([keys, [name for name in heavy if name in sys.modules]]))
"""
"""Plans in a fresh process, with other hash seeds and orders of sets."""


class WorkloadContract:
    """What every workload must satisfy. Inherit under a name that pytest collects, and set `workload`.

    The trial is the workload's `smoke`, or its smallest preset with every budget at 2.
    """

    workload: ClassVar[Workload]
    smoke: ClassVar[Smoke | None] = None
    """A trial to use instead of the workload's own."""
    tolerance: ClassVar[float] = 0.0
    """How far numbers in rows may differ with other batch sizes: kernels round differently for other shapes."""
    lacks: ClassVar[frozenset[str]] = frozenset()
    """Declared metrics that this trial need not return."""

    @pytest.fixture
    def trial(self, tmp_path_factory: pytest.TempPathFactory) -> Trial:
        def run() -> Trial:
            config = smoke_config(self.workload, self.smoke)
            return run_trial(self.workload, config, tmp_path_factory.mktemp("trial"))

        return self._once("_trial", run)

    @pytest.fixture
    def planned_elsewhere(self) -> tuple[list[str], list[str]]:
        """Keys of the trial's stages computed by another process, and the modules that it imported for it."""

        def plan() -> tuple[list[str], list[str]]:
            task = pickle.dumps((sys.path, pickle.dumps(self.workload), smoke_config(self.workload, self.smoke), HEAVY))
            process = subprocess.run([sys.executable, "-c", PLAN], input=task, capture_output=True, check=False)
            assert process.returncode == 0, process.stderr.decode()
            keys, imported = json.loads(process.stdout.splitlines()[-1])
            return keys, imported

        return self._once("_planned_elsewhere", plan)

    def _once(self, name: str, make: Callable[[], Made]) -> Made:
        # Kept in the class: the signature of class-scoped fixtures depends on pytest's version.
        if name not in vars(type(self)):
            setattr(type(self), name, make())
        value: Made = vars(type(self))[name]
        return value

    def assert_same_file(self, one: Path, other: Path) -> None:
        """Compare a file of two trainings. Override it for a format that contains a date."""
        assert one.read_bytes() == other.read_bytes(), f"{one.name} differs"

    # Every assertion has a message: pytest explains only those in the author's own modules.

    def test_every_preset_resolves_to_plain_json(self) -> None:
        for base in self.workload.presets():
            config = self.workload.resolve(base, {})
            again = canonical_json(json.loads(json.dumps(config)))
            assert again == canonical_json(config), f"preset {base} changes when written to JSON and read back"
            seed_path = self.workload.seed_path
            assert section_of(config, seed_path) is not None, f"preset {base} has no {seed_path}, its seed_path"
            assert seed_path in self.workload.paths(base), f"paths({base!r}) lacks {seed_path}, its seed_path"

    def test_keys_are_stable(self, trial: Trial, planned_elsewhere: tuple[list[str], list[str]]) -> None:
        keys = [stage.key for stage in trial.stages if not stage.streamed]
        again = [stage.key for stage in stage_graph(self.workload, json.loads(json.dumps(trial.config)))]
        assert again == keys, "the same config gives stages with other keys: their configs depend on something else"
        assert planned_elsewhere[0] == keys, "another process gives stages with other keys for the same config"

    def test_a_plan_imports_nothing_heavy(self, planned_elsewhere: tuple[list[str], list[str]]) -> None:
        heavy = ", ".join(planned_elsewhere[1])
        assert not heavy, f"planning imports {heavy}: import it only in the bodies' modules, and name those by path"

    def test_a_resumed_training_equals_a_whole_one(self, trial: Trial, tmp_path: Path) -> None:
        for stage in trial.of_kind("train"):
            half = stage.amount // 2
            if half and stage.checkpointing is not None:
                run = partial(run_train, stage, inputs=trial.inputs(stage), checkpoints=tmp_path / stage.key)
                try:
                    run(folder=tmp_path / "left", leave_at=half)
                except Left:
                    resumed = run(folder=tmp_path / f"resumed-{stage.key}")
                else:
                    pytest.fail(
                        f"stage {stage.name} was asked to leave at step {half}, but saved no checkpoint after that"
                    )
                self.assert_same_training(stage, resumed, trial.results[stage.key])

    def test_a_larger_budget_extends_a_smaller_one(self, trial: Trial, tmp_path: Path) -> None:
        for stage in trial.stages:
            if stage.budget is None or stage.amount == 1:
                continue
            smaller = _shortened(stage, stage.amount // 2)
            whole, inputs, folder = trial.results[stage.key], trial.inputs(stage), tmp_path / stage.key
            if stage.kind == "map":
                first = whole.rows(0, smaller.amount)
                found = run_map(smaller, folder, inputs, rows=trial.rows(stage))
                self.assert_same_rows(stage, found.rows(0, smaller.amount), first)
            elif stage.kind == "train" and stage.checkpointing is not None:
                run = partial(run_train, inputs=inputs, checkpoints=folder / "checkpoints")
                run(smaller, folder / "smaller")
                self.assert_same_training(stage, run(stage, folder / "extended"), whole)

    def test_rows_depend_on_neither_batches_nor_lanes(self, trial: Trial, tmp_path: Path) -> None:
        for stage in trial.of_kind("map"):
            whole = trial.results[stage.key]
            inputs, rows = trial.inputs(stage), trial.rows(stage)
            apart = run_map(stage, tmp_path / stage.key, inputs, rows=rows, batch_size=1, lanes=2)
            for column in whole.parts[0].column_names:
                stored = min(stage.stored_prefix.get(column, stage.amount), stage.amount)
                self.assert_same_rows(stage, apart.rows(0, stored, [column]), whole.rows(0, stored, [column]))

    def test_what_is_declared_is_returned(self, trial: Trial) -> None:
        declared = [name for name in self.workload.metrics(trial.config) if name not in self.lacks]
        result = trial.result
        problems = list(omissions(self.workload, declared, result.metrics, result.notes, result.files))
        assert not problems, "; ".join(problems)

    def assert_same_training(self, stage: Stage, one: FakeResult, other: FakeResult) -> None:
        """Equal to the bit; NaN equals NaN."""
        ours, theirs = repr(dict(one.metrics)), repr(dict(other.metrics))
        assert ours == theirs, f"stage {stage.name} returned {ours}, but {theirs} uninterrupted"
        differing = [int(a["step"]) for a, b in zip(one.history, other.history, strict=False) if repr(a) != repr(b)]
        assert not differing, f"stage {stage.name}: its curve differs from step {differing[0]} on"
        assert len(one.history) == len(other.history), f"stage {stage.name}: its curve lost or repeats points"
        assert one.files == other.files, f"stage {stage.name} wrote {one.files}, but {other.files} uninterrupted"
        for name in one.files:
            self.assert_same_file(one.file(name), other.file(name))

    def assert_same_rows(self, stage: Stage, one: pa.Table, other: pa.Table) -> None:
        ours, theirs = to_numpy(one), to_numpy(other)
        for name, column in ours.items():
            where = f"stage {stage.name}, column {name}"
            if self.tolerance and np.issubdtype(column.dtype, np.number):
                wide = column.astype(np.float64), theirs[name].astype(np.float64)
                np.testing.assert_allclose(*wide, rtol=0, atol=self.tolerance, err_msg=where)
            else:
                np.testing.assert_array_equal(column, theirs[name], err_msg=where)
