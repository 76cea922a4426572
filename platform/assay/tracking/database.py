"""MLflow's SQLite file, before MLflow opens it: check that it is writable, and correct its artifact paths."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from assay.home import Home

LOCK_S = 5.0
"""How long to wait for another program's lock. MLflow itself waits for 20 s, each time."""
RUN_DEPTH = 3
RECORDED = {"experiments": ("artifact_location", 1), "runs": ("artifact_uri", RUN_DEPTH)}
"""Table → the column with the artifact path, and its depth below the folder of all artifacts: NAME, and
NAME/RUN/artifacts."""


def sqlite_file(tracking_uri: str) -> Path | None:
    """The database file of a local tracking URI; None for a server."""
    scheme = "sqlite:///"
    if not tracking_uri.startswith(scheme):
        return None
    return Path(unquote(tracking_uri.removeprefix(scheme).split("?")[0]))


@contextmanager
def one_at_a_time(database: Path | None) -> Iterator[None]:
    """Two commands that create one database at once would corrupt it for good, and create runs twice."""
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def refuse_unusable(file: Path) -> None:
    """Raise sqlite3.Error if the file is locked, read-only or not a database, such as a folder or a link to itself.

    A missing file is usable.
    """
    if os.path.lexists(file):
        with closing(_opened(file)) as database:
            database.execute("begin immediate")
            database.execute("rollback")


def bring_home(home: Home) -> None:
    """Correct the artifact paths in the database after this home, with its artifacts, was moved or copied.

    MLflow records absolute paths and cannot change them: by those, a moved project would log into its old folder. One
    transaction; nothing is written if all paths are right. In a database that several homes share, existing paths stay.
    """
    file = sqlite_file(home.tracking_uri)
    if file is None or not file.is_file():
        return
    with closing(_opened(file)) as database:
        if not any(True for table in RECORDED for _ in _misplaced(database, table, home)):
            return
        database.execute("begin immediate")
        for table, (column, _) in RECORDED.items():
            changes = list(_misplaced(database, table, home))
            database.executemany(f"update {table} set {column} = ? where rowid = ?", changes)
        database.execute("commit")


def recorded_folder(uri: str | None) -> Path | None:
    """The folder of a recorded path; None if it is not on this machine."""
    parts = urlsplit(uri or "")
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") and parts.path else None


def place_here(home: Home, folder: Path, depth: int) -> Path:
    """Where the artifacts recorded in `folder`, `depth` levels below the folder of all, belong now."""
    if len(folder.parts) <= depth:
        return folder
    root, rest = folder.parents[depth - 1], folder.parts[-depth:]
    if root.name != home.artifacts.name or _is_same(root, home.artifacts):
        return folder  # not ours, or already right
    if not _is_of(home) and root.is_dir():
        return folder
    return home.artifacts.absolute().joinpath(*rest)


def _misplaced(database: sqlite3.Connection, table: str, home: Home) -> Iterator[tuple[str, int]]:
    """(right path, row id) of every row with another path. Nothing if MLflow has not created the tables yet."""
    column, depth = RECORDED[table]
    if not database.execute("select 1 from sqlite_master where type = 'table' and name = ?", (table,)).fetchall():
        return
    for row, uri in database.execute(f"select rowid, {column} from {table}").fetchall():
        folder = recorded_folder(uri)
        if folder is not None and (right := place_here(home, folder, depth)) != folder:
            yield right.as_uri(), row


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=LOCK_S, isolation_level=None)


def _is_of(home: Home) -> bool:
    """Whether the database is this home's own, not one elsewhere named by MLFLOW_TRACKING_URI."""
    file = sqlite_file(home.tracking_uri)
    return file is not None and _is_same(file.parent, home.root)


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
