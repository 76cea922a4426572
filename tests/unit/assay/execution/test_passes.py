"""Rows that are streamed: made once for all that read them, stored by none, and made again only where they must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import streamed_workload
from assay.events import Event
from assay.execution import inline
from assay.execution.pause import Pause, Paused
from assay.planning.passes import passes
from assay.store import Store
from assay.workload import Stage
from assay.workload.testing import WorkloadContract
from streamed_workload import draws, marked, reading

NUM = 10


class TestContract(WorkloadContract):
    workload = streamed_workload.workload


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def compute(store: Store, *stages: Stage, pause: Pause | None = None) -> list[Event]:
    told: list[Event] = []
    first, *beside = stages
    inline.execute(first, store, 1, told.append, pause, beside=beside)
    return told


def ids(marks: Path, body: str) -> list[int]:
    """The ids that a body was given, each as often as it was; the marks are swept away."""
    found = [int(number) for _, numbers in marked(marks, body) if numbers for number in numbers.split(",")]
    for mark in marks.glob(f"{body} *"):
        mark.unlink()
    return sorted(found)


def rows(store: Store, stage: Stage) -> list[int]:
    result = store.get(stage.key)
    assert result is not None
    return result.read(["read"]).column("read").to_pylist()


class TestGroups:
    def test_those_that_read_the_same_rows_are_one_pass(self) -> None:
        draw, other = draws(NUM), draws(NUM, seed=1)
        double, square, apart = reading("double", draw), reading("square", draw), reading("double", other)
        assert passes([double, apart, square]) == [(double, square), (apart,)]

    def test_the_stage_of_the_rows_is_in_it_where_it_is_stored(self) -> None:
        draw = draws(NUM, kept=True)
        double = reading("double", draw)
        assert passes([draw, double]) == [(draw, double)]

    def test_a_reader_that_needs_another_one_first_is_apart(self) -> None:
        draw = draws(NUM)
        double = reading("double", draw)
        total = Stage("total", 1, "reduce", ("m:f",), {}, {"double": double})
        square = Stage("late", 1, "map", ("m:F",), {}, {"total": total}, budget=draw.budget, rows=draw)
        assert passes([double, total, square]) == [(double,), (total,), (square,)]

    def test_what_any_of_it_needs_comes_before_all_of_it(self) -> None:
        draw = draws(NUM)
        double = reading("double", draw)
        judged = Stage("judge", 1, "reduce", ("m:f",), {}, {"double": double})
        network = Stage("train", 1, "train", ("m:f",), {})
        square = Stage("seen", 1, "map", ("m:F",), {}, {"network": network}, budget=draw.budget, rows=draw)
        assert passes([double, judged, network, square]) == [(network,), (double, square), (judged,)]

    def test_stages_of_another_resource_group_are_apart(self) -> None:
        draw = draws(NUM)
        double, square = reading("double", draw), replace(reading("square", draw), resources="wide")
        assert passes([double, square]) == [(double,), (square,)]

    def test_two_passes_never_wait_for_each_other(self) -> None:
        one, other = draws(NUM), draws(NUM, seed=1)
        first, second = reading("double", one), reading("double", other)
        after_second = replace(reading("square", one), inputs={"second": second})
        after_first = replace(reading("square", other), inputs={"first": first})
        assert passes([first, second, after_second, after_first]) == [(second,), (first, after_second), (after_first,)]


class TestKeys:
    def test_whether_rows_are_stored_is_in_no_key(self) -> None:
        kept, streamed = (reading("double", draws(NUM, kept=how)) for how in (True, False))
        assert (kept.key, kept.rows and kept.rows.key) == (streamed.key, streamed.rows and streamed.rows.key)

    def test_how_rows_are_made_is_in_the_key_of_what_reads_them(self) -> None:
        assert reading("double", draws(NUM)).key != reading("double", draws(NUM, seed=1)).key

    def test_more_rows_begin_with_the_same(self) -> None:
        few, many = reading("double", draws(NUM)), reading("double", draws(2 * NUM))
        assert few.key != many.key
        assert few.lineage == many.lineage


class TestStreamed:
    def test_rows_are_made_once_for_all_that_read_them_and_stored_by_none(self, store: Store, marks: Path) -> None:
        draw = draws(NUM, marks=str(marks))
        double, square = reading("double", draw), reading("square", draw)
        told = compute(store, double, square)
        assert ids(marks, "draw") == list(range(NUM))
        assert (rows(store, double)[:3], rows(store, square)[:3]) == ([0, 20, 40], [0, 100, 400])
        assert store.get(draw.key) is None
        assert store.shards(draw).listed() == []
        for stage in (double, square):
            assert sum(event.done for event in told if (event.kind, event.key) == ("progress", stage.key)) == NUM

    def test_one_more_reader_makes_them_again_and_no_other_reads_again(self, store: Store, marks: Path) -> None:
        draw = draws(NUM, marks=str(marks))
        double, square = reading("double", draw), reading("square", draw)
        compute(store, double)
        assert (ids(marks, "draw"), ids(marks, "double")) == (list(range(NUM)), list(range(NUM)))
        compute(store, square)
        assert (ids(marks, "draw"), ids(marks, "double")) == (list(range(NUM)), [])
        assert rows(store, square)[-1] == 90**2

    def test_one_more_reader_of_kept_rows_makes_none(self, store: Store, marks: Path) -> None:
        draw = draws(NUM, kept=True, marks=str(marks))
        double, square = reading("double", draw), reading("square", draw)
        compute(store, draw, double)
        assert ids(marks, "draw") == list(range(NUM)), "also where they are stored, they are made once"
        assert rows(store, double) == [20 * i for i in range(NUM)]
        compute(store, square)
        assert marked(marks, "draw") == [], "what makes them is not even loaded"
        assert rows(store, square) == [(10 * i) ** 2 for i in range(NUM)]

    def test_what_is_damaged_of_kept_rows_is_made_again_and_the_rest_is_read(self, store: Store, marks: Path) -> None:
        draw = draws(NUM, kept=True, marks=str(marks))
        double, square = reading("double", draw), reading("square", draw)
        compute(store, draw, double)
        lost = store.shards(draw).listed()[1]
        store.files.local_path(lost.file.path).unlink()
        assert store.sound(draw.key) is None
        ids(marks, "draw")
        compute(store, draw, square)
        assert ids(marks, "draw") == [4, 5, 6, 7]
        assert rows(store, square) == [(10 * i) ** 2 for i in range(NUM)]

    def test_a_pass_that_was_cut_off_goes_on_with_what_is_missing(self, store: Store, marks: Path) -> None:
        draw, pause = draws(NUM, marks=str(marks)), Pause()
        double, square = reading("double", draw), reading("square", draw)

        def ask(event: Event) -> None:
            if event.kind == "progress":
                pause.ask("enough")

        with pytest.raises(Paused):
            inline.execute(double, store, 1, ask, pause, beside=[square])
        assert ids(marks, "draw") == [0, 1, 2, 3]
        compute(store, double, square)
        assert ids(marks, "draw") == list(range(4, NUM))

    def test_a_shard_that_one_reader_lacks_is_made_for_it_alone(self, store: Store, marks: Path) -> None:
        """As after a kill between the two writes, and where one was damaged."""
        draw = draws(NUM, marks=str(marks))
        double, square = reading("double", draw), reading("square", draw)
        compute(store, double, square)
        store.set_aside(square.key, "for the test")
        lost = store.shards(square).listed()[1]
        store.files.local_path(lost.file.path).unlink()
        ids(marks, "draw"), ids(marks, "double")
        compute(store, double, square)
        assert (ids(marks, "draw"), ids(marks, "double")) == ([4, 5, 6, 7], [])
        assert rows(store, square) == [(10 * i) ** 2 for i in range(NUM)]

    def test_a_larger_budget_makes_only_what_is_new(self, store: Store, marks: Path) -> None:
        for num in (NUM, 2 * NUM):
            draw = draws(num, marks=str(marks))
            compute(store, reading("double", draw), reading("square", draw))
        assert ids(marks, "draw") == list(range(2 * NUM))

    def test_what_was_chosen_for_rows_holds_when_they_are_made_again(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        draw = draws(NUM)
        for name, best in (("double", "bf16"), ("square", "fp32")):
            monkeypatch.setattr(streamed_workload.Draw, "best", best)
            compute(store, stage := reading(name, draw))
            result = store.get(stage.key)
            assert result is not None
            assert result.notes["precision"] == "bf16"
            assert result.rows_read is not None
            assert result.rows_read.config == {"seed": 0, "precision": "bf16"}, "how its rows were made, as it was run"

    def test_who_makes_the_rows_is_charged_with_them_and_each_reader_with_its_own(self, store: Store) -> None:
        draw = draws(NUM)
        double, square = reading("double", draw), reading("square", draw)
        compute(store, double, square)
        first, second = store.get(double.key), store.get(square.key)
        assert first is not None
        assert second is not None
        assert (first.flops, second.flops) == (draw.flops, None)
        shards = store.shards(square).listed()
        assert second.cost.seconds == pytest.approx(sum(shard.seconds for shard in shards))
        assert first.cost.details["items"] == second.cost.details["items"] == NUM
