"""How a map stage is worked through: how wide, in which batches, and what its user is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import assay.execution.contexts as context
from assay.errors import AssayError, DamagedResult, UserError
from assay.events import Event
from assay.execution import inline
from assay.execution.batch_size import BatchSize
from assay.execution.broker import Request, StageBroker
from assay.execution.pause import Pause, Paused
from assay.execution.requirements import Need, need
from assay.execution.work import device_name
from assay.store import Store
from assay.sweep import Resources
from assay.workload import Batch, Budget, Stage, StageContext


class TestWidth:
    def fan_out(self, amount: int = 1000, actors: tuple[int, int] = (1, 64)) -> Need:
        resources = Resources.model_validate({"sample": {"actors": actors, "cpus_per_actor": 1}})
        return need(squares(amount, shard_size=100), resources)

    def test_a_fan_out_gets_what_is_free_between_its_least_and_its_most(self) -> None:
        broker = StageBroker([{"CPU": 2}])
        asked = Request("sample", "sample", "sample", (), self.fan_out())
        assert broker.decide(0, [asked]).units == 2

    def test_it_waits_for_its_least(self) -> None:
        broker = StageBroker([{"CPU": 2}])
        asked = Request("sample", "sample", "sample", (), self.fan_out(actors=(3, 64)))
        assert broker.decide(0, [asked]).action == "wait"

    def test_it_asks_for_no_more_actors_than_it_has_shards(self) -> None:
        assert self.fan_out(amount=250).most == 3
        assert self.fan_out(amount=50, actors=(4, 64)) == Need({"CPU": 1.0}, 1, 1)


class TestBatchSize:
    def trial(self, seconds: Any, most: int = 256) -> BatchSize:
        """The trial on a body that takes `seconds(ids)` for a batch."""
        size = BatchSize("auto", most)
        for _ in range(40):
            if size.is_settled:
                break
            size.took(size.size, seconds(size.size))
        assert size.is_settled
        return size

    def test_it_doubles_while_images_a_second_grow(self) -> None:
        # 32 at once take as long as one: a device of 32 lanes.
        assert self.trial(lambda ids: 1 + (ids > 32) * (ids - 32) / 32).size == 32

    def test_a_gain_below_5_percent_is_not_worth_the_memory(self) -> None:
        assert self.trial(lambda ids: ids**0.95).size == 8
        assert self.trial(lambda ids: ids**0.9).size == 256

    def test_it_stays_within_its_bound(self) -> None:
        assert self.trial(lambda ids: 1.0, most=100).size == 64
        assert self.trial(lambda ids: 1.0, most=4).size == 4

    def test_one_hiccup_does_not_end_it(self) -> None:
        taken: list[int] = []

        def seconds(ids: int) -> float:
            taken.append(ids)
            return 100.0 if taken == [8, 8, 16] else 1.0

        assert self.trial(seconds).size == 256

    def test_the_first_batch_loads_kernels_and_is_not_compared(self) -> None:
        taken: list[int] = []

        def seconds(ids: int) -> float:
            taken.append(ids)
            return 1e-6 if len(taken) == 1 else 1.0

        assert self.trial(seconds).size == 256

    def test_a_size_that_was_asked_for_stays(self) -> None:
        size = BatchSize(12, 256)
        size.took(12, 1.0)
        size.took(12, 0.1)
        assert size.size == 12


class Squares:
    """Gives what it was called with, and runs out of memory with more than `room` ids."""

    def __init__(self, ctx: StageContext) -> None:
        self._ctx, self._room = ctx, ctx.config["room"]

    def __call__(self, batch: Batch) -> Batch:
        ids = batch["id"]
        self._ctx.progress(len(ids) // 2)
        if len(ids) > self._room:
            np.empty((len(ids), 2**50))  # NumPy's own MemoryError
        return {"id": ids, "square": ids**2, "batch": np.full(len(ids), len(ids))}


class InPrecision:
    """Notes which precision it chose, as samplers do."""

    best = "bf16"

    def __init__(self, ctx: StageContext) -> None:
        asked = ctx.config["in"]["precision"]
        self._chosen = self.best if asked == "auto" else asked
        ctx.note("in.precision", self._chosen)

    def __call__(self, batch: Batch) -> Batch:
        return {"id": batch["id"], "precision": np.array([self._chosen] * len(batch["id"]), dtype=object)}


def squares(amount: int, batch_size: int | Literal["auto"] = 10, shard_size: int = 100, room: int = 1000) -> Stage:
    return Stage(
        name="squares",
        version=1,
        kind="map",
        body=(f"{__name__}:Squares",),
        config={"room": room},
        budget=Budget("amount", amount, "numbers"),
        resources="sample",
        batch_size=batch_size,
        shard_size=shard_size,
    )


def columns(store: Store, stage: Stage) -> dict[str, list[int]]:
    result = store.get(stage.key)
    assert result is not None
    return result.read().to_pydict()


class TestChoices:
    """What the config leaves open is chosen where the first shard is made, for all of them."""

    def executed(self, store: Store, amount: int, precision: str = "auto") -> tuple[list[str], dict[str, Any]]:
        stage = replace(squares(amount), body=(f"{__name__}:InPrecision",), config={"in": {"precision": precision}})
        inline.execute(stage, store, 1, lambda event: None)
        result = store.get(stage.key)
        assert result is not None
        return result.read().column("precision").to_pylist(), dict(result.notes)

    def test_shards_that_are_made_elsewhere_later_are_made_alike(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Store(tmp_path)
        assert self.executed(store, 100) == (["bf16"] * 100, {"in.precision": "bf16"})
        monkeypatch.setattr(InPrecision, "best", "fp32")  # a machine of another kind
        assert self.executed(store, 300) == (["bf16"] * 300, {"in.precision": "bf16"})
        assert self.executed(store, 50) == (["bf16"] * 50, {"in.precision": "bf16"}), "also where none is made"
        assert self.executed(store, 100, "fp32") == (["fp32"] * 100, {"in.precision": "fp32"}), "as it was asked for"

    def test_workers_that_choose_otherwise_at_once_are_not_mixed(self, tmp_path: Path) -> None:
        shards = Store(tmp_path).shards(squares(10))
        shards.settle("sample.precision", "bf16")
        shards.settle("sample.precision", "bf16")
        shards.settle("sample.size", 3)
        assert shards.settled() == {"sample.precision": "bf16", "sample.size": 3}
        with pytest.raises(
            UserError, match=r"sample\.precision resolved to bf16 and fp32 on different devices.*: set sample"
        ):
            shards.settle("sample.precision", "fp32")


class TestMemory:
    def test_a_batch_that_does_not_fit_is_halved_and_the_user_told(self, tmp_path: Path) -> None:
        store, told = Store(tmp_path), list[Event]()
        stage = squares(45, batch_size=40, room=12)
        inline.execute(stage, store, 1, told.append)
        rows = columns(store, stage)
        assert rows["id"] == list(range(45))
        assert rows["square"] == [i * i for i in range(45)]
        assert set(rows["batch"]) == {10, 5}
        warnings = [event.message for event in told if event.kind == "warning"]
        assert warnings == [
            "squares: memory ran out with batches of 40; going on with 20",
            "squares: memory ran out with batches of 20; going on with 10",
        ]

    def test_where_not_even_one_fits_the_stage_fails_and_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(AssayError, match="squares: memory runs out with one id at a time: Unable to allocate"):
            inline.execute(squares(4, room=0), Store(tmp_path), 1, lambda event: None)

    def test_a_trial_that_meets_the_end_of_memory_stays_below_it(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        stage = squares(400, batch_size="auto", shard_size=400, room=20)
        inline.execute(stage, store, 1, lambda event: None)
        rows = columns(store, stage)
        assert rows["square"] == [i * i for i in range(400)]
        assert max(rows["batch"]) <= 16

    def test_what_the_trial_found_is_noted(self, tmp_path: Path) -> None:
        store, told = Store(tmp_path), list[Event]()
        stage = squares(5000, batch_size="auto", shard_size=500)
        inline.execute(stage, store, 1, told.append)
        result = store.get(stage.key)
        assert result is not None
        found = result.notes["batch_size"]
        assert found == columns(store, stage)["batch"][4500]
        assert found in (8, 16, 32, 64, 128)
        assert [event.note for event in told if event.kind == "note"] == [("batch_size", found)]


class TestProgress:
    def test_ids_are_counted_once_also_within_a_batch_and_when_it_is_begun_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(context, "MAP_PROGRESS_INTERVAL_S", 0.0)
        told: list[Event] = []
        inline.execute(squares(45, batch_size=40, room=12), Store(tmp_path), 1, told.append)
        steps = [event.done for event in told if event.kind == "progress"]
        assert steps[0] == 20, "half of the first batch, before memory ran out"
        assert sum(steps) == 45
        assert all(event.advance for event in told if event.kind == "progress")


class TestCost:
    def test_what_was_drawn_before_a_pause_is_charged_with_the_rest_and_never_twice(self, tmp_path: Path) -> None:
        store, pause = Store(tmp_path), Pause()
        with pytest.raises(Paused):
            inline.execute(squares(24, shard_size=8), store, 1, lambda event: pause.ask("enough"), pause)
        (drawn,) = store.shards(squares(24, shard_size=8)).listed()
        assert (drawn.device, drawn.seconds > 0) == (device_name("cpu"), True)
        inline.execute(squares(24, shard_size=8), store, 1, lambda event: None)
        inline.execute(squares(60, shard_size=8), store, 1, lambda event: None)
        first, second = (store.get(squares(amount, shard_size=8).key) for amount in (24, 60))
        assert first is not None
        assert second is not None
        assert first.cost.details["items"] == 24, "not only those after the pause"
        assert first.cost.seconds > drawn.seconds
        assert second.cost.details["items"] == 36


class TestRows:
    def test_some_rows_are_read_without_the_others(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        stage = squares(45, shard_size=20)
        inline.execute(stage, store, 1, lambda event: None)
        result = store.get(stage.key)
        assert result is not None
        for start, stop in ((0, 45), (3, 7), (18, 22), (20, 40), (39, 45)):
            assert result.rows(start, stop, ["id"]).column("id").to_pylist() == list(range(start, stop))

    def test_a_damaged_shard_is_noticed_as_it_is_read(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        stage = squares(45, shard_size=20)
        inline.execute(stage, store, 1, lambda event: None)
        result = store.get(stage.key)
        assert result is not None
        damaged = tmp_path / result.shards[1].file.path
        content = bytearray(damaged.read_bytes())
        content[10] ^= 1
        damaged.write_bytes(content)
        assert result.rows(0, 20).num_rows == 20
        with pytest.raises(DamagedResult, match="checksum"):
            result.rows(19, 21)
