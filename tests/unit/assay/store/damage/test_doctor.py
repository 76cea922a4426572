"""`assay doctor` looks at everything in a store; `--repair` sets aside what is wrong, and deletes nothing."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from assay.store import Store
from assay.store.scratch import LEFT_ALONE_S, run_folder, scratch
from store_damage import KINDS, put

Command = Callable[..., tuple[int, str]]
EVERYTHING = (
    *("results/*/result.json", "results/*/*/*.json", "progress/*/shards/*.json", "progress/*/shards/*.parquet"),
    *("progress/*/settled/*", "progress/*/checkpoints/*/*", "progress/*/charged/*"),
    *("studies/*/decisions/*", "studies/*/computed/*"),
)


def age(path: Path) -> None:
    """As if nothing of it had changed for longer than a day."""
    long_ago = time.time() - LEFT_ALONE_S - 60
    for part in (*path.rglob("*"), path):
        os.utime(part, (long_ago, long_ago))


def test_a_whole_store_has_no_fault(study, store: Path, command: Command) -> None:  # type: ignore[no-untyped-def]
    code, told = command("doctor")
    assert code == 0
    assert "checked, 0 faults" in told


def test_every_fault_is_told_and_set_aside_and_nothing_is_deleted(
    study, store: Path, home: Path, command: Command
) -> None:  # type: ignore[no-untyped-def]
    rng, damaged = random.Random(0), []
    for number, pattern in enumerate(EVERYTHING):  # of the first a record, of the last a file that a record names
        file = [file for file in sorted(store.glob(pattern)) if file.is_file()][-(number % 2)]
        put(file, file.read_bytes()[:-1] + b"?")
        damaged.append(str(file.relative_to(store)))
    for folder in ("results", "progress", "studies"):
        KINDS["a stray file"](rng, next(store.glob(f"{folder}/*")))
    content = sorted(path.read_bytes() for path in store.rglob("*") if path.is_file())
    code, told = command("doctor", "--json")
    assert code == 1
    lines = [finding["found"] for finding in json.loads(told) if finding["status"] == "fail"]
    for name in damaged:
        assert any(name in line for line in lines), name
    assert sum("does not belong there" in line for line in lines) >= 2, "hidden files are nobody's trouble"
    code, told = command("doctor", "--repair")
    assert code == 0
    assert all(f"ok   store: {line}; set aside in {store}/set-aside/" in told for line in lines[:-1])
    after = sorted(path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert set(content) <= set(after)
    assert command("doctor")[0] == 0
    assert study.run(home) == study.expected


def test_what_killed_runs_left_goes_after_a_day_and_what_is_used_stays(study, store: Path, home: Path) -> None:  # type: ignore[no-untyped-def]
    for name in ("staging/tmpabc/model.pt", "staging/assay-staging-x/part.pt"):
        (store / name).parent.mkdir(parents=True)
        (store / name).write_bytes(b"half")
        age((store / name).parent)
    (store / "staging" / "fresh").mkdir()
    with scratch(store / "staging", "assay-staging-") as used:
        age(used)
        Store(store).probe()
        assert sorted(path.name for path in (store / "staging").iterdir()) == sorted(["fresh", used.name])


def test_an_upload_without_a_record_is_left_over_when_it_is_old(study, store: Path, command: Command) -> None:  # type: ignore[no-untyped-def]
    result, shards = next(store.glob("results/*")), next(store.glob("progress/*/shards"))
    for name in ("0123abcd", "fresh"):
        (result / name).mkdir()
        (result / name / "model.pt").write_bytes(b"half")
    (shards / "000000090-000000096-0123abcd.parquet").write_bytes(b"half")
    age(result / "0123abcd")
    age(shards / "000000090-000000096-0123abcd.parquet")
    code, told = command("doctor")
    assert code == 1
    assert told.count("was left by a run that was killed") == 2
    assert "fresh" not in told


def test_what_ray_wrote_goes_with_its_run_or_a_day_after_it_was_killed(tmp_path: Path) -> None:
    for name in ("quickstart-0123abcd", "train-0123abcd4567"):
        (tmp_path / "ray" / name).mkdir(parents=True)
        (tmp_path / "ray" / name / "experiment_state.json").write_text("{}")
    age(tmp_path / "ray" / "quickstart-0123abcd")
    with run_folder(str(tmp_path / "ray")) as mine:
        age(Path(mine))
        with run_folder(str(tmp_path / "ray")) as other:
            assert Path(mine).is_dir()
        assert not Path(other).exists()
    assert [path.name for path in (tmp_path / "ray").iterdir()] == ["train-0123abcd4567"]
    with run_folder("s3://bucket/assay/ray") as url:
        assert url == "s3://bucket/assay/ray"
