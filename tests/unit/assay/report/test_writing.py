"""A report is replaced whole: by one writer at a time, and not at all where it cannot be written."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from assay.errors import AssayError, StageFailed
from assay.report import cannot_write, earlier_failures, write, write_page
from assay.report import folder as report_folder
from assay.report.atomic_files import PREFIX, written_aside
from assay.store.scratch import LEFT_ALONE_S
from assay.tracking.view import pictures_in

NAMES = ("page", "table", "errors/log", "picture.png")


def _write(folder: Path, who: str, barrier: Any) -> None:
    for number in range(40):
        with written_aside(folder, lambda aside: [folder / f"old-{who}"]) as aside:
            (aside / "errors").mkdir()
            for name in NAMES:
                (aside / name).write_text(f"{who} {number} " * 5000)
            (folder / f"old-{who}").touch()
            barrier.wait()


@pytest.mark.slow
def test_files_of_two_writers_are_never_mixed(tmp_path: Path) -> None:
    """Each time both have written all and put it in place at the same moment."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    writers = [context.Process(target=_write, args=(tmp_path, who, barrier)) for who in "ab"]
    for writer in writers:
        writer.start()
    for _ in range(40):
        barrier.wait()
        for name in NAMES:  # in the middle of it, each file is whole
            if (tmp_path / name).exists():
                words = (tmp_path / name).read_text().split(" ")[:-1]
                assert len(words) == 10_000
                assert len(set(zip(words[::2], words[1::2], strict=True))) == 1
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert len({(tmp_path / name).read_text() for name in NAMES}) == 1, "all of one writer"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors", "page", "picture.png", "table"]


def test_what_a_killed_writer_left_goes_after_a_day(tmp_path: Path) -> None:
    for name, age in (("old", LEFT_ALONE_S + 60), ("new", 60.0)):
        left = tmp_path / f"{PREFIX}{name}"
        left.mkdir()
        (left / "page.png").touch()
        for path in (left / "page.png", left):
            os.utime(path, (time.time() - age,) * 2)
    with written_aside(tmp_path) as aside:
        (aside / "page").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PREFIX}new", "page"]
    assert pictures_in(tmp_path) == [], "it is not the report's"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def arms(study: Callable[..., Any], tmp_path: Path) -> Any:
    """Two arms with a sample grid each."""
    Image.new("RGB", (16, 16), (90, 0, 0)).save(tmp_path / "grid.png")
    return study([{"fid": 1.0}, {"fid": 2.0}], files=[{"grid.png": tmp_path / "grid.png"}] * 2)


def test_a_report_that_cannot_be_written_leaves_the_earlier_one_as_it_was(
    arms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, trials = arms
    folder = tmp_path / "report"
    write(plan, trials, folder, frozenset())
    before = everything(folder)
    assert {"arm-0.png", "arm-1.png", "samples.png", "report.html", "report.json"} <= before.keys()

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as changed:
        changed.setattr(report_folder, "as_markdown", full)
        with pytest.raises(OSError, match="No space") as raised:
            write(plan, trials[:1], folder, frozenset())
    assert everything(folder) == before
    told = str(cannot_write(folder, raised.value))
    assert told.startswith(f"the disk of the report {folder} is full: ")
    assert "Free some space, then run the same command again" in told
    write(plan, trials[:1], folder, frozenset())
    assert "arm-1.png" not in everything(folder), "its arm is gone"
    assert "arm-0.png" in everything(folder)


def test_a_disk_that_is_full_costs_no_picture_alone(arms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    def full(*_: object, **__: object) -> None:
        raise OSError(122, "Disk quota exceeded")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="quota"):
        write(*arms, tmp_path / "report", frozenset())
    assert list((tmp_path / "report").iterdir()) == []


def test_logs_are_those_of_the_last_report_and_found_where_its_folder_is_now(arms: Any, tmp_path: Path) -> None:
    plan, trials = arms
    folder = tmp_path / "report"
    key = plan.trials[1].leaf.key
    failed = replace(trials[1], results={}, error=StageFailed("evaluate", key, "Traceback\nValueError: no digits"))
    made = write(plan, [trials[0], failed], folder, frozenset()).table
    log = next(row.failure.log for row in made.rows if row.failure)
    assert log is not None
    assert log.read_text() == "Traceback\nValueError: no digits\n"
    folder.rename(tmp_path / "moved")
    assert earlier_failures(tmp_path / "moved")[key].cause == "Traceback\nValueError: no digits"
    (tmp_path / "moved" / "errors" / log.name).write_bytes(b"\xff")
    assert key in earlier_failures(tmp_path / "moved")
    write(plan, trials, tmp_path / "moved", frozenset())
    assert list((tmp_path / "moved" / "errors").iterdir()) == []


ODD = [
    {"pictures": [1, {}, "", "..", "../../kept.png"], "grids": {"a": "errors"}},
    {"pictures": "report", "grids": {}},
    {"trials": [{"failure": {"stage": 1}}], "pictures": None},
]


@pytest.mark.parametrize("said", ODD)
def test_an_earlier_report_that_says_odd_things_is_replaced(said: dict[str, Any], arms: Any, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    (folder / "errors").mkdir(parents=True)
    (tmp_path / "kept.png").touch()
    (folder / "report.json").write_text(json.dumps(said))
    assert earlier_failures(folder) == {}
    write(*arms, folder, frozenset())
    assert len(json.loads((folder / "report.json").read_text())["trials"]) == 2
    assert (tmp_path / "kept.png").exists()


def test_the_page_alone_goes_through_links_and_into_pipes(arms: Any, tmp_path: Path) -> None:
    plan, trials = arms
    (tmp_path / "link.html").symlink_to(tmp_path / "pages" / "page.html")
    write_page(plan, trials, tmp_path / "link.html", frozenset(), {})
    assert (tmp_path / "link.html").is_symlink()
    page = (tmp_path / "pages" / "page.html").read_text()
    assert "arm 1" in page
    mode = stat.S_IMODE((tmp_path / "pages" / "page.html").stat().st_mode)
    assert mode == 0o666 & ~_umask(), "others can read it as any file"
    write_page(plan, trials, Path("/dev/null"), frozenset(), {})
    assert Path("/dev/null").is_char_device()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_is_in_the_way_is_said_in_one_line(arms: Any, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(FileExistsError) as raised:
        write(*arms, tmp_path / "report", frozenset())
    error = cannot_write(tmp_path / "report", raised.value)
    assert isinstance(error, AssayError)
    assert "cannot write the report" in str(error)
    assert "\n" not in str(error)
