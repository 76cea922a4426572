"""Checkpoints in the store: which are found, which stay, and which go."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assay.store import Store
from assay.store.checkpoints import RankFiles
from assay.store.scratch import LEFT_ALONE_S
from assay.workload import Checkpointing, Stage
from stored_stages import commit, other_run, overwrite, train_stage


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
