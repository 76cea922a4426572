"""Shards of a map stage: what is drawn again, and what is not."""

import numpy as np
import pyarrow as pa
import pytest

from assay.errors import BodyError, StoreError
from assay.store import Store
from assay.store.records import FileRecord
from assay.store.shards import Shard, cover, missing_ranges
from stored_stages import COST, map_stage, other_run, overwrite, rows


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

    def test_a_smaller_budget_that_is_forgotten_leaves_a_larger_one_whole(self, store: Store) -> None:
        small, large = map_stage(200), map_stage(400)
        shards = store.shards(small)
        for start in (0, 100, 200, 300):
            shards.write(rows(start, start + 100))
        for stage in (small, large):
            with store.staging() as output:
                store.commit(stage, output, {}, COST)
        assert store.forget(small, store.shard_files({small.key}))
        assert store.get(small.key) is None
        whole = store.get(large.key, checksum=True)
        assert whole is not None
        assert whole.read(["value"]).num_rows == 400
        assert missing_ranges(store.shards(small).good(), 200, 100) == [(0, 100), (100, 200)], "computed anew"

    def test_a_smaller_budget_is_cut_from_a_larger_one(self, store: Store) -> None:
        shards = store.shards(map_stage(400))
        shards.write(rows(0, 400))
        with store.staging() as output:
            result = store.commit(map_stage(150), output, {}, COST)
        assert result.read(["value"]).column("id").to_pylist() == list(range(150))

    def test_a_result_knows_the_versions_that_its_shards_were_computed_with(self, store: Store) -> None:
        shards = store.shards(map_stage(200))
        for start in (0, 100):
            shards.write(rows(start, start + 100), "V100", 1.0, {"cuda": "12.8", "driver": "570.1"})
        with store.staging() as output:
            result = store.commit(map_stage(200), output, {}, COST)
        assert result.provenance.versions == {"cuda": "12.8", "driver": "570.1"}

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
