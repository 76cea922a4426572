"""A home that was moved or copied, or whose artifacts were deleted: MLflow has its files where the home is now."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from assay.home import Home
from assay.tracking.database import bring_home
from tracked_toy import Seen, ToyRun, make_plan
from tracking_database import with_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished sweep, in a folder whose name has to be quoted in a URL."""
    folder = tmp_path_factory.mktemp("tracked") / "a project"
    folder.mkdir()
    assert ToyRun(with_database(Home(folder / ".assay")), make_plan(folder)).whole().warnings == []
    return folder


@pytest.fixture
def moved(tracked: Path, tmp_path: Path) -> Path:
    """The same project where it was moved to, and a process that has not seen it before: MLflow remembers, as long as a
    process lives, where a run's artifacts are."""
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()
    return Path(shutil.copytree(tracked, tmp_path / "moved 100%"))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def recorded(home: Home) -> list[str]:
    with closing(sqlite3.connect(home.root / "mlflow.db")) as database:
        runs = database.execute("select artifact_uri from runs").fetchall()
        ours = "select artifact_location from experiments where name = 'toy-study'"
        return [uri for (uri,) in runs + database.execute(ours).fetchall()]


@pytest.mark.parametrize("is_copy", [False, True])
def test_what_a_moved_or_copied_home_logs_is_in_it(is_copy: bool, tracked: Path, moved: Path, tmp_path: Path) -> None:
    """New runs of an old experiment, files that are added to old runs, and what the page in a browser reads."""
    old = tracked
    if not is_copy:  # nothing is left where the database says that it is
        old = tmp_path / "old"
        with closing(sqlite3.connect(moved / ".assay/mlflow.db")) as database, database:
            for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
                database.execute(
                    f"update {table} set {column} = replace({column}, ?, ?)", (tracked.as_uri(), old.as_uri())
                )
    before = files(old)
    home = Home(moved / ".assay")
    assert all(old.as_uri() in uri for uri in recorded(home))
    plan = make_plan(moved, parameters={"sample.scale": {"values": [0.0, 1.0, 2.0]}})
    assert ToyRun(home, plan).whole().warnings == []
    assert files(old) == before
    assert all(uri.startswith(home.artifacts.as_uri() + "/toy-study") for uri in recorded(home))
    seen = Seen(home)
    assert len(seen.children) == 6
    for run in seen.children.values():
        assert "norm" in Path(seen.client.download_artifacts(run.info.run_id, "config.yaml")).read_text()
        assert run.info.artifact_uri.startswith(home.artifacts.as_uri())


def test_a_home_that_is_reached_by_another_path_is_where_it_was(tracked: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tracked)
    home = Home(tmp_path / "link" / ".assay")
    before = recorded(home)
    bring_home(home)
    assert recorded(home) == before


def test_a_database_that_two_homes_share_keeps_the_places_of_both(
    tracked: Path, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(moved / ".assay")
    shared = moved / "shared.db"
    (home.root / "mlflow.db").rename(shared)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{str(shared).replace('%', '%25')}")
    bring_home(home)
    with closing(sqlite3.connect(shared)) as database:
        assert database.execute(
            "select count(*) from runs where instr(artifact_uri, ?)", (tracked.as_uri(),)
        ).fetchone() == (5,)


@pytest.mark.parametrize("lost", ["", "toy-study", "config.yaml", "samples.png", "images", "comparison.json", "sweep"])
def test_artifacts_that_were_deleted_come_back_with_the_next_command(lost: str, moved: Path) -> None:
    home = Home(moved / ".assay")
    bring_home(home)
    there = {path for path in files(home.artifacts) if "/images/" not in path}
    gone = [home.artifacts / lost] if lost in ("", "toy-study") else list(home.artifacts.rglob(lost))
    for path in gone:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = ToyRun(home, make_plan(moved))
    again.begin()
    again.tracker.end(again.outcome())
    assert again.warnings == []
    assert {path for path in files(home.artifacts) if "/images/" not in path} == there
    runs: Any = Seen(home).children.values()
    assert {run.info.status for run in runs} == {"FINISHED"}
