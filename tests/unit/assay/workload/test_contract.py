"""The contract of workloads: held by the toy and by a training that uses `Checkpointed`; broken in each way it sees."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

import steps_workload
import toy_workload
from assay.execution import inline
from assay.execution.work import here, train_worker
from assay.store import Store
from assay.workload import Smoke, Stage, Workload, topological
from assay.workload.smoke import smoke_config
from assay.workload.testing import FakeTrainContext, Left, Trial, WorkloadContract, run_train, run_trial


class TestToy(WorkloadContract):
    workload: ClassVar[Workload] = toy_workload.workload


class TestSteps(WorkloadContract):
    workload: ClassVar[Workload] = steps_workload.workload


@pytest.mark.parametrize(
    ("breach", "test", "said"),
    [
        ("forgets", "test_a_resumed_training_equals_a_whole_one", "stage train returned {'loss': "),
        ("forgets", "test_a_larger_budget_extends_a_smaller_one", "stage train returned {'loss': "),
        ("deaf", "test_a_resumed_training_equals_a_whole_one", "asked to leave at step 3, but saved no checkpoint"),
        ("batched", "test_rows_depend_on_neither_batches_nor_lanes", "stage rows, column value"),
    ],
)
def test_a_breach_fails_the_test_that_it_is_about(breach: str, test: str, said: str, tmp_path: Path) -> None:
    class Broken(WorkloadContract):
        workload = steps_workload.workload

    trial = run_trial(steps_workload.workload, small(**{breach: True}), tmp_path / "trial")
    with pytest.raises((AssertionError, pytest.fail.Exception), match=said):
        getattr(Broken(), test)(trial, tmp_path)


def test_a_metric_that_is_declared_and_not_returned_is_told_with_those_that_are(tmp_path: Path) -> None:
    class Broken(WorkloadContract):
        workload = steps_workload.workload

    trial = run_trial(steps_workload.workload, small(lacks=True), tmp_path)
    with pytest.raises(AssertionError, match="declares error, which the last stage did not return; it returned none"):
        Broken().test_what_is_declared_is_returned(trial)


def test_without_a_smoke_it_is_the_smallest_preset_with_every_budget_at_two() -> None:
    class Silent(steps_workload.Steps):
        smoke = None

    config = smoke_config(Silent())
    assert (config["iterations"], config["num_rows"]) == (2, 2)
    assert smoke_config(Silent(), Smoke("long"))["num_rows"] == 100


def test_a_column_beyond_its_stored_prefix_is_not_there(tmp_path: Path) -> None:
    trial = run_trial(steps_workload.workload, small(), tmp_path)
    (rows,) = trial.of_kind("map")
    result = trial.results[rows.key]
    assert result.rows(0, 2, ["large"]).num_rows == 2
    with pytest.raises(KeyError):
        result.rows(0, 3, ["large"])
    assert result.read(["value"]).column("id").to_pylist() == [0, 1, 2, 3, 4]


class TestCheckpointed:
    """A training that keeps its state with it: in a group of one, by the fakes and by the executor."""

    def test_it_saves_every_k_steps_at_the_end_and_where_it_leaves(self, tmp_path: Path) -> None:
        stage = training()
        ctx = FakeTrainContext(stage, tmp_path / "a", leave_at=3)
        with pytest.raises(Left) as left:
            steps_workload.train(ctx)
        assert left.value.step == 3
        run_train(stage, tmp_path / "b", checkpoints=ctx.checkpoints)
        assert sorted(int(folder.name) for folder in ctx.checkpoints.iterdir() if folder.is_dir()) == [3, 4, 6]

    def test_a_run_that_was_left_ends_as_one_that_was_not(self, tmp_path: Path) -> None:
        stage, whole, left = training(), Store(tmp_path / "whole"), Store(tmp_path / "left")
        asked: list[bool] = []

        def is_leaving() -> bool:
            asked.append(True)
            return len(asked) >= 3

        assert train_worker(stage, left, here(1), lambda event: None, is_leaving=is_leaving) == 3
        ends = []
        for store in (whole, left):
            inline.execute(stage, store, 1, lambda event: None)
            result = store.get(stage.key)
            assert result is not None
            ends.append((dict(result.metrics), result.history, result.file("weight.txt").read_text()))
        assert ends[0] == ends[1]


def small(**changes: bool) -> dict[str, object]:
    smoke = steps_workload.workload.smoke
    assert smoke is not None
    return dict(steps_workload.workload.resolve(smoke.base, {**smoke.config, **changes}))


def training() -> Stage:
    (stage,) = [s for s in topological(steps_workload.workload.stages(small())) if s.kind == "train"]
    return stage


def test_a_trial_knows_its_inputs_by_role(tmp_path: Path) -> None:
    trial: Trial = run_trial(steps_workload.workload, small(), tmp_path)
    assert list(trial.inputs(trial.stages[-1])) == ["rows"]
