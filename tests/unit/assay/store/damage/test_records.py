"""A damaged record is its own key's trouble: told of once by the name of its file, set aside, made anew."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import assay
from assay.errors import StoreError, UserError
from assay.home import Home
from assay.planning import make_plan
from assay.store import Store
from assay.store.damage import Damage
from assay.sweep import load_sweep
from assay.workload import Budget, Stage
from store_damage import KINDS, put, signed

Command = Callable[..., tuple[int, str]]
READ = ("results/*/result.json", "progress/*/shards/*.json", "progress/*/checkpoints/*.json", "studies/*/decisions/*")
NAMED = ("progress/*/charged/*", "studies/*/computed/*")
SHAPES = {
    "empty": b"",
    "half": b'{"format": 1, "key": "',
    "null": b"null",
    "another": signed({"leaf": 3, "format": 2, "files": {}, "start": None}),
    "not a number": b'{"sha256": NaN}',
    "deep": b"[" * 100_000,
    "text": b"\xff\xfe",
}


@contextmanager
def as_somebody(folder: Path) -> Iterator[None]:
    """Root may read everything; who is root here becomes nobody, whose the folder is then."""
    before = os.geteuid()
    if before == 0:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def first(store: Path, pattern: str) -> Path:
    return sorted(store.glob(pattern))[0]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pattern", READ)
def test_a_damaged_record_is_told_of_once_and_set_aside(
    study, store: Path, home: Path, pattern: str, shape: str
) -> None:  # type: ignore[no-untyped-def]
    file = first(store, pattern)
    name = str(file.relative_to(store))
    put(file, SHAPES[shape])
    if not name.startswith("results"):  # what is stored is not asked for again
        for result in store.glob("results/*"):
            KINDS["gone"](random.Random(0), result)
    assert study.run(home) == study.expected
    told = [line for line in study.warnings if name in line]
    assert len(told) == 1
    assert "set aside in" in told[0]
    assert len([f for f in store.glob("set-aside/**/*") if f.is_file() and f.read_bytes() == SHAPES[shape]]) == 1
    assert study.run(home) == study.expected
    assert study.warnings == []


def test_an_answer_whose_record_is_damaged_is_known_from_the_shards_and_no_other_is_mixed_in(
    study, store: Path, home: Path
) -> None:  # type: ignore[no-untyped-def]
    file = first(store, "progress/*/settled/*")
    put(file, b"")
    reports: list[str] = []
    shards = Store(store, reports.append).shards(Stage("x", 1, "map", ("n:b",), {}, budget=Budget("x", 1, "rows")))
    for folder in (shards.records, shards.answers):
        folder.path = f"{file.parent.parent.relative_to(store)}/{folder.path.rpartition('/')[2]}"
    assert shards.settled() == {"precision": "fp32"}
    assert f"{file.relative_to(store)} is truncated or not a record (0 bytes); set aside in" in reports[0]
    with pytest.raises(UserError, match="precision resolved to bf16 and fp32 on different devices"):
        shards.settle("precision", "bf16")


def test_one_damaged_record_stops_no_command_and_changes_nothing(study, store: Path, command: Command) -> None:  # type: ignore[no-untyped-def]
    for pattern in (*READ, *NAMED, "progress/*/settled/*"):
        put(first(store, pattern), b"[]")
    before = {path: path.lstat().st_mtime_ns for path in store.rglob("*")}
    result = str(first(store, READ[0]).relative_to(store))
    for asked in (("ls",), ("plan", "race.yaml"), ("compare", "race.yaml"), ("show", "race.yaml")):
        code, told = command(*asked)
        assert code == 0
        assert sum(result in line for line in told.splitlines()) <= 1
    assert f"{result} is truncated or not a record (2 bytes); left out, see: assay doctor" in command("ls")[1].replace(
        "\n", " "
    )
    assert {path: path.lstat().st_mtime_ns for path in store.rglob("*")} == before


@pytest.mark.parametrize("kind", ["unreadable", "a link", "a folder", "a pipe", "empty"])
def test_what_cannot_be_read_is_the_trouble_of_its_key_alone(kind: str) -> None:
    with tempfile.TemporaryDirectory() as name, as_somebody(Path(name)):
        folder = Path(name) / "store"
        reports: list[str] = []
        store, stages = (
            Store(folder, reports.append),
            [Stage("s", n, "reduce", ("n:b",), {}) for n in (1, 2)],
        )
        for stage in stages:
            with store.staging() as output:
                store.commit(stage, output, {"n": stage.version}, assay.store.Cost("cpu", 1, 1.0))
        at = f"results/{stages[0].key}"
        places = [f"{at}/result.json", at] if kind != "a folder" else [f"{at}/result.json"]
        for damaged in places:
            KINDS[kind](random.Random(0), folder / damaged)
            looking = Store(folder, heals=False)
            assert [result.key for result in looking.results()] == [stages[1].key]
            assert looking.find(stages[0].key) is None
            assert store.sound(stages[0].key) is None
            assert damaged in reports[-1]
            with store.staging() as output:
                store.commit(stages[0], output, {"n": 1}, assay.store.Cost("cpu", 1, 1.0))
            assert store.sound(stages[0].key) is not None
        assert len(reports) == len(places)


def test_the_whole_store_is_not_taken_for_a_key(tmp_path: Path) -> None:
    (tmp_path / "store").symlink_to(tmp_path / "unmounted")
    with pytest.raises(StoreError, match=r"cannot read the store .*is a broken link"):
        Store(tmp_path / "store").get("0" * 32)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results").write_text("")
    with pytest.raises(StoreError, match=r"cannot read the store .*results is not a folder"):
        Store(tmp_path / "other").get("0" * 32)


def test_a_record_of_another_place_is_none(study, store: Path) -> None:  # type: ignore[no-untyped-def]
    one, other = sorted(store.glob("results/*"))[:2]
    put(one / "result.json", (other / "result.json").read_bytes())
    reports: list[str] = []
    assert Store(store, reports.append).sound(one.name) is None
    assert f"was written as results/{other.name}/result.json and moved here" in reports[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("budget", {"path": "", "amount": 0, "unit": "steps"}),
            ("cost", {"device": "cpu", "count": 1, "seconds": -1}),
        ),
        *(
            ("created", "yesterday"),
            ("created", "2026-01-01"),
            ("metrics", {"fid": "good"}),
            ("metrics", {"fid": 10**400}),
        ),
        *(("files", {"a": {"path": "../../a", "bytes": 1, "sha256": "0" * 64}}), ("flops", "many"), ("notes", [])),
        *(("format", 2), ("asked", {"train.precision": "auto"}), ("shards", [{"start": "0"}]), ("key", "f" * 32)),
    ],
)
def test_a_result_of_another_shape_is_damaged(study, store: Path, field: str, value: object) -> None:  # type: ignore[no-untyped-def]
    folder = first(store, "results/*")
    whole = Store(store).get(folder.name)
    assert whole is not None
    put(folder / "result.json", signed({**whole.record, field: value}))
    with pytest.raises(Damage, match=f"results/{folder.name}/result.json is "):
        Store(store).read(folder.name)


@pytest.mark.slow
def test_suggestions_from_a_damaged_one_on_are_suggested_again_as_they_were(study, home: Path) -> None:  # type: ignore[no-untyped-def]
    text = Path("race.yaml").read_text()
    text = text[: text.index("scheduler")].replace("{values: [0.0, 1.0]}", "{min: 0.0, max: 1.0}")
    Path("search.yaml").write_text(
        f"{text}searcher: {{name: optuna, num_trials: 5, batch: 2}}\nmetric: distance\nmode: min\n"
    )
    sweep = load_sweep("search.yaml")
    before = assay.run(sweep, Home(home), executor="inline")
    for damaged in (3, 0):
        put(sorted((home / "store").glob("studies/*/suggestions/*"))[damaged], b"")
        assert len(make_plan(sweep, Store(home / "store", heals=False)).trials) == damaged // 2 * 2
        again = assay.run(sweep, Home(home), executor="inline")
        assert [trial.planned.trial.varied for trial in again.trials] == [t.planned.trial.varied for t in before.trials]
        assert again.computed == frozenset()


def test_an_input_output_error_is_the_files_own(
    study, store: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    """No disk here fails when it is told to."""
    from fsspec.implementations.local import LocalFileSystem

    file, cat_file = first(store, READ[0]), LocalFileSystem.cat_file

    def fail(self: LocalFileSystem, path: str, *args: object, **kwargs: object) -> bytes:
        if path == str(file) and file.stat().st_ino == broken:
            raise OSError(5, "Input/output error", path)
        return cat_file(self, path, *args, **kwargs)

    broken = file.stat().st_ino
    monkeypatch.setattr(LocalFileSystem, "cat_file", fail)
    assert study.run(home) == study.expected
    assert "cannot be read: Input/output error; set aside in" in study.warnings[0]
