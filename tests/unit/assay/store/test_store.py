"""The store: what is committed comes back whole or not at all."""

import json
from dataclasses import replace

import numpy as np
import pytest

from assay.errors import DamagedResult, StoreError
from assay.store import Store, StoredResult
from assay.workload import Stage
from stored_stages import COST, commit, other_run, overwrite, reduce_stage, train_stage


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
