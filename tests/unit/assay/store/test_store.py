"""The store: what is committed comes back whole or not at all."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from assay.errors import BodyError, DamagedResult, StoreError
from assay.store import Cost, Store, StoredResult
from assay.store.checkpoints import RankFiles
from assay.store.records import FileRecord
from assay.store.scratch import LEFT_ALONE_S
from assay.store.shards import Shard, cover, missing_ranges
from assay.workload import Budget, Checkpointing, Stage

COST = Cost("cpu", 1, 2.5)


def reduce_stage(x: int = 1) -> Stage:
    return Stage("evaluate", 1, "reduce", ("nowhere:body",), {"x": x})


def map_stage(amount: int) -> Stage:
    return Stage("sample", 1, "map", ("nowhere:Body",), {"x": 1}, budget=Budget("n", amount, "images"), shard_size=100)


def train_stage(amount: int, checkpointing: Checkpointing | None = None) -> Stage:
    budget = Budget("n", amount, "iterations")
    return Stage("train", 1, "train", ("nowhere:body",), {"x": 1}, budget=budget, checkpointing=checkpointing)


def rows(start: int, stop: int) -> pa.Table:
    ids = np.arange(start, stop)
    return pa.table({"id": ids, "value": ids * 2})


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A local folder, and a filesystem that has no atomic rename, as object stores have none."""
    reports: list[str] = []
    url = str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path}"
    made = Store(url, report=reports.append)
    made.reports = reports  # type: ignore[attr-defined]
    return made


def other_run(store: Store) -> Store:
    """The same store, in the hands of another run."""
    return Store(store.url, report=store.reports.append)  # type: ignore[attr-defined]


def commit(store: Store, stage: Stage, content: bytes = b"weights", **metrics: float) -> None:
    with store.staging() as output:
        (output / "sub").mkdir()
        (output / "sub" / "weights.bin").write_bytes(content)
        notes = {"precision": "bf16", "workers": 2}
        store.commit(stage, output, metrics, COST, history=[{"step": 1, "loss": 0.5}], notes=notes)


def test_records_of_older_stores_are_read_whatever_they_call_items(store: Store) -> None:
    stage = replace(train_stage(10), items=640)
    commit(store, stage)
    path = f"results/{stage.key}/result.json"
    record = store.files.read_record(path)
    assert record is not None
    record["images"] = record.pop("items")
    store.files.write_record(path, record)
    result = other_run(store).get(stage.key)
    assert result is not None
    assert result.items == 640


def overwrite(store: Store, path: str, data: bytes) -> None:
    store.files.fs.makedirs(store.files.at(path).rpartition("/")[0], exist_ok=True)
    store.files.fs.pipe_file(store.files.at(path), data)


class TestResults:
    def test_a_committed_result_comes_back_as_it_was(self, store: Store) -> None:
        stage = reduce_stage()
        assert store.get(stage.key) is None
        commit(store, stage, fid=3.25, broken=float("nan"))
        result = store.get(stage.key, checksum=True)
        assert result is not None
        assert result.metrics["fid"] == 3.25
        assert np.isnan(result.metrics["broken"])
        assert result.file("sub/weights.bin").read_bytes() == b"weights"
        assert result.history == [{"step": 1, "loss": 0.5}]
        assert result.notes == {"precision": "bf16", "workers": 2}
        assert result.cost == COST

    def test_what_was_chosen_stands_in_the_config_and_what_was_asked_beside_it(self, store: Store) -> None:
        config = {"seed": 0, "train": {"precision": "auto", "ema_rates": [0.9]}}
        stage = replace(reduce_stage(), config=config, execution={"train": {"engine": "auto", "zero_stage": 1}})
        chosen = {"train.precision": "bf16", "train.engine": "torch", "workers": 2, "train.ema_rates": 1, "seed": 0}
        with store.staging() as output:
            result = store.commit(stage, output, {}, COST, notes=chosen)
        assert result.record["config"] == {"seed": 0, "train": {"precision": "bf16", "ema_rates": [0.9]}}
        assert result.record["execution"] == {"train": {"engine": "torch", "zero_stage": 1}}
        assert result.asked == {"train.precision": "auto", "train.engine": "auto"}
        assert result.key == stage.key == replace(stage, config=config).key, "a key is of what was asked"
        assert stage.config["train"]["precision"] == "auto"

    def test_an_unknown_file_names_those_there_are(self, store: Store) -> None:
        commit(store, reduce_stage())
        result = store.get(reduce_stage().key)
        assert result is not None
        with pytest.raises(KeyError, match=r"sub/weights\.bin"):
            result.file("model.pt")

    def test_the_first_commit_of_a_key_stays(self, store: Store) -> None:
        commit(store, reduce_stage(), b"first", fid=1.0)
        commit(store, reduce_stage(), b"second", fid=2.0)
        result = store.get(reduce_stage().key, checksum=True)
        assert result is not None
        assert result.metrics["fid"] == 1.0

    def test_nothing_is_there_until_the_record_is(self, store: Store) -> None:
        stage = reduce_stage()
        overwrite(store, f"results/{stage.key}/abc/weights.bin", b"half a commit")
        assert store.get(stage.key) is None
        commit(store, stage)
        assert store.sound(stage.key) is not None

    @pytest.mark.parametrize(
        ("damage", "says"),
        [
            (lambda data: data[:-1], "bytes instead of"),
            (lambda data: data[:-1] + b"?", "does not match its checksum"),
        ],
    )
    def test_a_damaged_file_is_reported_and_set_aside(self, store: Store, damage, says: str) -> None:  # type: ignore[no-untyped-def]
        stage = reduce_stage()
        commit(store, stage)
        path = store.get(stage.key).files["sub/weights.bin"].path  # type: ignore[union-attr]
        overwrite(store, path, damage(b"weights"))
        with pytest.raises(DamagedResult, match=says):
            store.get(stage.key, checksum=True)
        assert store.sound(stage.key) is None
        assert store.get(stage.key) is None
        assert says in store.reports[0]  # type: ignore[attr-defined]
        assert store.files.names("set-aside")
        commit(store, stage)
        assert store.sound(stage.key) is not None

    def test_what_another_run_is_uploading_is_not_set_aside(self, store: Store) -> None:
        stage = reduce_stage()
        commit(store, stage)
        damaged = store.get(stage.key).files["sub/weights.bin"].path  # type: ignore[union-attr]
        overwrite(store, damaged, b"garbage")
        overwrite(store, f"results/{stage.key}/another/weights.bin", b"half of it")
        assert store.sound(stage.key) is None
        assert store.files.names(f"results/{stage.key}/another") == ["weights.bin"]
        (aside,) = store.files.names("set-aside")
        folder = damaged.split("/")[2]
        assert sorted(store.files.names(f"set-aside/{aside}")) == sorted([folder, "result.json"])

    def test_what_another_run_has_put_in_the_place_of_a_damaged_one_is_not_set_aside(self, store: Store) -> None:
        stage = reduce_stage()
        commit(store, stage)
        overwrite(store, store.get(stage.key).files["sub/weights.bin"].path, b"garbage")  # type: ignore[union-attr]

        class Slow(Store):
            """Meanwhile the other run looks, too, and computes it again."""

            def get(self, key: str, *, checksum: bool = False) -> StoredResult | None:
                try:
                    return super().get(key, checksum=checksum)
                except DamagedResult:
                    commit(other_run(store), stage, b"good")
                    raise

        found = Slow(store.url, report=store.reports.append).sound(stage.key)  # type: ignore[attr-defined]
        assert found is not None
        assert found.file("sub/weights.bin").read_bytes() == b"good"
        assert len(store.files.names("set-aside")) == 1

    def test_a_missing_file_is_damage(self, store: Store) -> None:
        commit(store, reduce_stage())
        store.files.remove(store.get(reduce_stage().key).files["sub/weights.bin"].path)  # type: ignore[union-attr]
        with pytest.raises(DamagedResult, match="is missing"):
            store.get(reduce_stage().key)

    def test_an_edited_metric_is_damage(self, store: Store) -> None:
        stage = reduce_stage()
        commit(store, stage, fid=9.0)
        path = f"results/{stage.key}/result.json"
        record = json.loads(store.files.fs.cat_file(store.files.at(path)))
        record["metrics"]["fid"] = 1.0
        overwrite(store, path, json.dumps(record).encode())
        with pytest.raises(DamagedResult, match="its own checksum"):
            store.get(stage.key)

    def test_a_truncated_record_is_damage(self, store: Store) -> None:
        stage = reduce_stage()
        commit(store, stage)
        overwrite(store, f"results/{stage.key}/result.json", b'{"format": 1, "key')
        assert store.sound(stage.key) is None
        assert "truncated or not a record" in store.reports[0]  # type: ignore[attr-defined]


class TestShards:
    def test_a_larger_budget_reuses_the_shards_of_a_smaller_one(self, store: Store) -> None:
        small, large = map_stage(250), map_stage(400)
        assert small.lineage == large.lineage
        assert small.key != large.key
        shards = store.shards(small)
        for start, stop in missing_ranges(shards.good(), small.amount, small.shard_size):
            shards.write(rows(start, stop))
        with store.staging() as output:
            store.commit(small, output, {}, COST)
        assert missing_ranges(store.shards(large).good(), 400, 100) == [(250, 300), (300, 400)]
        for start, stop in [(300, 400), (250, 300)]:
            shards.write(rows(start, stop))
        with store.staging() as output:
            result = store.commit(large, output, {}, COST)
        assert result.read(["value"]).column("value").to_pylist() == [2 * i for i in range(400)]
        again = store.get(small.key)
        assert again is not None
        assert again.read().num_rows == 250

    def test_a_smaller_budget_is_cut_from_a_larger_one(self, store: Store) -> None:
        shards = store.shards(map_stage(400))
        shards.write(rows(0, 400))
        with store.staging() as output:
            result = store.commit(map_stage(150), output, {}, COST)
        assert result.read(["value"]).column("id").to_pylist() == list(range(150))

    def test_a_fan_out_with_a_gap_is_refused(self, store: Store) -> None:
        shards = store.shards(map_stage(300))
        shards.write(rows(0, 100))
        shards.write(rows(200, 300))
        with store.staging() as output, pytest.raises(StoreError, match="id 100 of 300 is missing"):
            store.commit(map_stage(300), output, {}, COST)

    def test_shards_of_processes_that_return_other_columns_are_not_mixed(self, store: Store) -> None:
        shards = store.shards(map_stage(300))
        shards.write(rows(0, 100).append_column("value", pa.array(range(100), pa.int64())))
        shards.write(rows(100, 200).append_column("value", pa.array(range(100), pa.int64())))
        shards.write(rows(200, 300).append_column("value", pa.array(range(100), pa.float32())))
        told = "'value' is int64 for the ids 0 to 99, and float for 200 to 299; expected one type for all ids"
        with store.staging() as output, pytest.raises(BodyError, match=told):
            store.commit(map_stage(300), output, {}, COST)

    def test_ids_twice_or_out_of_order_are_refused(self, store: Store) -> None:
        shards = store.shards(map_stage(4))
        for ids in ([0, 1, 1, 3], [0, 2, 1, 3]):
            with pytest.raises(ValueError, match="each id of its range once"):
                shards.write(pa.table({"id": np.array(ids)}))

    def test_a_damaged_shard_is_drawn_again(self, store: Store) -> None:
        shards = store.shards(map_stage(200))
        shards.write(rows(0, 100))
        broken = shards.write(rows(100, 200))
        overwrite(store, broken.file.path, b"not parquet")
        assert missing_ranges(shards.good(), 200, 100) == [(100, 200)]
        assert "will be computed again" in store.reports[0]  # type: ignore[attr-defined]

    def test_what_another_run_has_drawn_again_is_not_dropped_as_damaged(self, store: Store) -> None:
        stage = map_stage(100)
        overwrite(store, store.shards(stage).write(rows(0, 100)).file.path, b"not parquet")
        reports: list[str] = []

        def report(message: str) -> None:
            reports.append(message)
            other_run(store).shards(stage).write(rows(0, 100))  # it found the same, and was quicker

        Store(store.url, report=report).shards(stage).good()
        assert len(reports) == 1
        assert [(shard.start, shard.stop) for shard in store.shards(stage).good()] == [(0, 100)]
        with store.staging() as output:
            assert store.commit(stage, output, {}, COST).read().num_rows == 100

    def test_a_fan_out_that_two_runs_draw_at_once_is_whole_once(self, store: Store) -> None:
        for run in (store, other_run(store)):
            for start, stop in [(0, 100), (100, 200)]:
                run.shards(map_stage(200)).write(rows(start, stop))
        assert missing_ranges(store.shards(map_stage(200)).good(), 200, 100) == []
        with store.staging() as output:
            result = store.commit(map_stage(200), output, {}, COST)
        assert result.read().column("id").to_pylist() == list(range(200))

    def test_gaps_end_at_shard_boundaries(self) -> None:
        file = FileRecord("f", 0, "")
        have = [Shard(100, 150, file), Shard(300, 400, file)]
        assert missing_ranges(have, 350, 100) == [(0, 100), (150, 200), (200, 300)]
        assert missing_ranges([], 0, 100) == []

    def test_overlapping_shards_count_once(self) -> None:
        file = FileRecord("f", 0, "")
        have = sorted([Shard(0, 100, file), Shard(0, 50, file), Shard(50, 100, file)], key=lambda s: (s.start, -s.stop))
        assert [(s.start, s.stop) for s in cover(have, 100)] == [(0, 100)]


class TestCheckpoints:
    def save(
        self,
        store: Store,
        stage: Stage,
        step: int,
        score: float | None = None,
        ranks: int = 1,
        place: str | None = None,
    ) -> None:
        checkpoints = store.checkpoints(stage)
        place = place or checkpoints.new_place(step)
        checkpoints.commit(step, [self.upload(store, stage, step, place, rank) for rank in range(ranks)], score)

    def upload(self, store: Store, stage: Stage, step: int, place: str, rank: int = 0) -> RankFiles:
        with store.staging() as folder:
            (folder / "optimizer").mkdir()
            (folder / "optimizer" / f"rank-{rank}.pt").write_bytes(b"state %d of %d" % (step, rank))
            return store.checkpoints(stage).upload(folder, place)

    def folder(self, store: Store, stage: Stage) -> list[str]:
        return store.files.names(f"progress/{stage.lineage}/checkpoints")

    def old_place(self, stage: Stage, step: int) -> str:
        """A save that was begun longer ago than anybody is busy with one."""
        return f"progress/{stage.lineage}/checkpoints/{step:09d}-{int(time.time()) - LEFT_ALONE_S - 60}-0123abcd"

    def test_the_latest_at_or_below_the_budget_is_found_with_every_ranks_files(self, store: Store) -> None:
        for step in (100, 200, 300):
            self.save(store, train_stage(300), step, ranks=2)
        checkpoints = store.checkpoints(train_stage(250))
        found = checkpoints.latest(250)
        assert found is not None
        assert found.step == 200
        folder = checkpoints.fetch(found)
        assert (folder / "optimizer" / "rank-0.pt").read_bytes() == b"state 200 of 0"
        assert (folder / "optimizer" / "rank-1.pt").read_bytes() == b"state 200 of 1"
        assert found.bytes == 2 * len(b"state 200 of 0")
        assert store.checkpoints(train_stage(50)).latest(50) is None

    def test_files_that_two_ranks_wrote_are_refused(self, store: Store) -> None:
        stage = train_stage(300)
        place = store.checkpoints(stage).new_place(100)
        parts = [self.upload(store, stage, 100, place), self.upload(store, stage, 100, place)]
        with pytest.raises(ValueError, match=r"rank 1 wrote \['optimizer/rank-0.pt'\], as another rank did"):
            store.checkpoints(stage).commit(100, parts)
        assert store.checkpoints(stage).steps() == []

    def test_a_damaged_checkpoint_falls_back_to_the_one_before(self, store: Store) -> None:
        stage = train_stage(300)
        for step in (100, 200):
            self.save(store, stage, step)
        last = next(n for n in self.folder(store, stage) if n.startswith("000000200-"))
        overwrite(store, f"progress/{stage.lineage}/checkpoints/{last}/optimizer/rank-0.pt", b"stat")
        found = store.checkpoints(stage).latest(300)
        assert found is not None
        assert found.step == 100
        assert "step 200 is damaged" in store.reports[0]  # type: ignore[attr-defined]

    def test_a_save_that_was_cut_off_is_no_checkpoint_and_its_files_go_when_they_are_old(self, store: Store) -> None:
        stage = train_stage(300)
        self.save(store, stage, 100)
        self.upload(store, stage, 200, self.old_place(stage, 200))
        self.upload(store, stage, 300, self.old_place(stage, 300))
        found = store.checkpoints(stage).latest(300)
        assert found is not None
        assert found.step == 100
        self.save(store, stage, 200)
        left = [name[:9] for name in self.folder(store, stage) if not name.endswith(".json")]
        assert left == ["000000100", "000000200", "000000300"], "what is further on may be another budget's"

    def test_the_last_two_stay_and_a_commit_keeps_the_last_to_go_on_from(self, store: Store) -> None:
        stage = train_stage(300)
        for step in (100, 200, 300):
            self.save(store, stage, step)
        assert store.checkpoints(stage).steps() == [200, 300]
        commit(store, stage)
        assert store.checkpoints(train_stage(400)).steps() == [300]
        assert len(self.folder(store, stage)) == 2, "a record and its files"

    def test_milestones_and_the_best_stay_for_good(self, store: Store) -> None:
        stage = train_stage(60, Checkpointing(every=10, keep_last=2, keep_every=30, keep_best=True))
        for step, score in ((10, 0.9), (20, 0.1), (30, 0.5), (40, float("nan")), (50, 0.3), (60, 0.4)):
            self.save(store, stage, step, score)
        assert store.checkpoints(stage).steps() == [20, 30, 50, 60]
        commit(store, stage)
        assert store.checkpoints(stage).steps() == [20, 30, 60]

    def test_what_another_run_is_uploading_is_left_alone(self, store: Store) -> None:
        stage, other = train_stage(300), other_run(store)
        place = other.checkpoints(stage).new_place(100)
        part = self.upload(other, stage, 100, place)
        for step in (100, 200):
            self.save(store, stage, step)
        other.checkpoints(stage).commit(100, [part])
        overwrite(store, f"{store.checkpoints(stage).latest(200).place}/optimizer/rank-0.pt", b"stat")  # type: ignore[union-attr]
        found = other.checkpoints(stage).latest(300)
        assert found is not None
        assert found.step == 100
        assert not [problem for file in found.files.values() for problem in store.files.problems(file)]

    def test_what_another_run_goes_on_from_stays_until_it_has_saved_itself(self, store: Store) -> None:
        stage, other = train_stage(900), other_run(store).checkpoints(train_stage(900))
        self.save(store, stage, 100)
        found = other.latest(900)
        assert found is not None
        for step in (200, 300, 400):
            self.save(store, stage, step)
        assert store.checkpoints(stage).steps() == [300, 400]
        folder = other.fetch(found)
        assert (folder / "optimizer" / "rank-0.pt").read_bytes() == b"state 100 of 0"
        other.forget(folder)
        assert store.files.names(f"progress/{stage.lineage}/readers")
        other.commit(200, [self.upload(store, stage, 200, other.new_place(200))])
        assert not store.files.names(f"progress/{stage.lineage}/readers")

    def test_a_reader_that_was_killed_holds_nothing_up_for_good(self, store: Store) -> None:
        stage = train_stage(900)
        self.save(store, stage, 100, place=self.old_place(stage, 100))
        place = store.checkpoints(stage).latest(900).place.rpartition("/")[2]  # type: ignore[union-attr]
        readers = f"progress/{stage.lineage}/readers"
        (reading,) = store.files.names(readers)
        store.files.move(f"{readers}/{reading}", f"{readers}/{place}-{int(time.time()) - LEFT_ALONE_S - 60}-0123abcd")
        for step in (200, 300):
            self.save(store, stage, step)
        assert [name[:9] for name in self.folder(store, stage) if not name.endswith(".json")] == [
            "000000200",
            "000000300",
        ]
        assert not store.files.names(readers)

    def test_a_smaller_budget_of_another_run_has_something_to_go_on_from_until_it_is_old(self, store: Store) -> None:
        small, large = train_stage(400), train_stage(900)
        for step in (100, 200):
            self.save(store, small, step)
        for step in (500, 600, 700):
            self.save(other_run(store), large, step)
        assert store.checkpoints(small).steps() == [200, 600, 700]
        found = store.checkpoints(small).latest(400)
        assert found is not None
        assert found.step == 200

    def test_what_an_old_run_left_for_a_smaller_budget_goes(self, store: Store) -> None:
        small, large = train_stage(400), train_stage(900)
        self.save(store, small, 200, place=self.old_place(small, 200))
        for step in (500, 600):
            self.save(other_run(store), large, step)
        assert store.checkpoints(small).steps() == [500, 600]

    def test_of_two_that_saved_the_same_step_one_stays(self, store: Store) -> None:
        stage = train_stage(300)
        for step in (100, 200, 300):
            for run in (store, other_run(store)):
                self.save(run, stage, step)
        assert len(self.folder(store, stage)) == 4, "two records and their files"

    def test_checkpoints_of_an_older_store_are_gone_on_from_and_dropped_in_their_turn(self, store: Store) -> None:
        stage = train_stage(300)
        folder = f"progress/{stage.lineage}/checkpoints"
        part = self.upload(store, stage, 100, f"{folder}/000000100-0123abcd")
        files = {name: {"path": f.path, "bytes": f.bytes, "sha256": f.sha256} for name, f in part.items()}
        store.files.write_record(f"{folder}/000000100.json", {"step": 100, "score": None, "files": files})
        assert store.checkpoints(stage).steps() == [100]
        checkpoints = store.checkpoints(stage)
        found = checkpoints.latest(300)
        assert found is not None
        assert found.step == 100
        for step in (200, 300):
            checkpoints.commit(step, [self.upload(store, stage, step, checkpoints.new_place(step))])
        assert {name[:9] for name in self.folder(store, stage)} == {"000000200", "000000300"}

    @pytest.mark.slow
    def test_two_runs_at_once_always_go_on_from_whole_checkpoints(self, tmp_path: Path) -> None:
        reports: list[str] = []
        stage, last = train_stage(60), 60

        def train(store: Store) -> None:
            step = 0
            while step < last:
                checkpoints = store.checkpoints(stage)  # as a run that is started again after each save
                found = checkpoints.latest(last)
                if found is not None:
                    state = checkpoints.fetch(found) / "optimizer" / "rank-0.pt"
                    assert state.read_bytes() == b"state %d of 0" % found.step
                    assert found.step >= step, "what it saved is not lost"
                    step = found.step
                if step < last:
                    step += 1
                    checkpoints.commit(step, [self.upload(store, stage, step, checkpoints.new_place(step))])

        with ThreadPoolExecutor() as pool:
            list(pool.map(train, [Store(tmp_path, report=reports.append) for _ in range(2)]))
        assert reports == [], "nothing was taken for damaged"
        assert Store(tmp_path).checkpoints(stage).steps() == [last - 1, last]


def test_a_store_that_cannot_be_opened_says_what_is_allowed() -> None:
    with pytest.raises(StoreError, match="the URL of an object store that fsspec knows"):
        Store("nosuchscheme://bucket")


class TestKeys:
    def test_a_key_changes_with_what_may_change_the_result_and_with_nothing_else(self) -> None:
        base = reduce_stage()
        assert reduce_stage().key == base.key
        assert reduce_stage(x=2).key != base.key
        assert Stage("evaluate", 2, "reduce", ("nowhere:body",), {"x": 1}).key != base.key
        assert Stage("evaluate", 1, "reduce", ("nowhere:body",), {"x": 1}, {"in": base}).key != base.key
        assert Stage("evaluate", 1, "reduce", ("else:where",), {"x": 1}, batch_size=7).key == base.key

    def test_a_key_does_not_depend_on_the_order_of_the_config(self) -> None:
        one = Stage("s", 1, "reduce", ("n:b",), {"a": 1, "b": [1, 2]})
        other = Stage("s", 1, "reduce", ("n:b",), {"b": [1, 2], "a": 1})
        assert one.key == other.key
