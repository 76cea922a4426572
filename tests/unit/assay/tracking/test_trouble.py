"""A tracker that does not answer, or answers nonsense; a database that cannot be used. The sweep never notices more
than one line."""

from __future__ import annotations

import http.server
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from assay.errors import AssayError
from assay.home import Home
from assay.tracking import database as local_database
from assay.tracking import log_report, serve
from assay.tracking.patience import AN_ANSWER_S, Patience
from repository import FIXTURES
from tracked_toy import Seen, ToyRun, make_plan
from tracking_database import with_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished sweep, to be copied: a database of MLflow takes seconds to make."""
    folder = tmp_path_factory.mktemp("tracked")
    assert ToyRun(with_database(Home(folder / "home")), make_plan(folder)).whole().warnings == []
    return folder / "home"


@pytest.fixture
def home(tracked: Path, tmp_path: Path) -> Home:
    shutil.copytree(tracked, tmp_path / "home")
    return Home(tmp_path / "home")


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers as the server's `manner` says."""

    def handle_one_request(self) -> None:
        manner: str = self.server.manner  # type: ignore[attr-defined]
        over: threading.Event = self.server.over  # type: ignore[attr-defined]
        if manner == "silent":
            over.wait()
        elif manner == "byte by byte":
            self.connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
            )
            while not over.wait(0.2):
                self.connection.sendall(b" ")
        else:
            super().handle_one_request()
            return
        self.close_connection = True

    def answer(self) -> None:
        manner: str = self.server.manner  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = {"a page": b"<html><body>Sign in\nplease</body></html>", "noise": b"\x00\xff{[" * 20}.get(manner, b"")
        self.send_response({"a page": 200, "noise": 200, "a circle": 307, "busy": 503}.get(manner, 500))
        self.send_header("Location", self.path)
        self.send_header("Retry-After", "3600")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@contextmanager
def server(manner: str) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd) as made:
        made.daemon_threads, made.manner, made.over = True, manner, threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.over.set()  # type: ignore[attr-defined]
        made.shutdown()


@pytest.mark.parametrize("manner", ["silent", "byte by byte", "a page", "noise", "a circle", "busy", "broken"])
def test_a_server_that_does_not_answer_is_one_line_at_the_end(
    manner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is silent for as long as the test runs, so that the sweep ends at all is what is tested."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false")
    home, plan = Home(tmp_path / "home"), make_plan(tmp_path)
    with server(manner) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url.replace("//", "//ann:hunter2@"))
        run = ToyRun(home, plan).whole()
        said = log_report(home, plan.sweep, home.report("toy-study"))
    assert len(run.stored()) == len(plan.stages)
    (warning,) = run.warnings
    for line in (warning, said):
        assert "could not be written to" in line
        assert "`assay sync`" in line
        assert "\n" not in line
        assert "hunter2" not in line
    assert capfd.readouterr().err == ""


def test_patience_is_bought_by_answers_and_runs_out_without() -> None:
    patience = Patience()
    assert patience.left > 1e9, "importing MLflow takes as long as it takes"
    patience.begin(0.0)
    assert patience.left <= 0
    patience.begin(100.0)
    patience.answered()
    assert 100 - AN_ANSWER_S < patience.left <= 100, "no more than there was at first"


def whole(home: Home, folder: Path) -> ToyRun:
    """The sweep again, with one trial more, so that there is something to log."""
    return ToyRun(home, make_plan(folder, parameters={"sample.scale": {"values": [0.0, 1.0, 2.0]}})).whole()


def test_a_locked_database_is_one_line_and_nothing_waits_for_the_lock(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local_database, "LOCK_S", 0.1)
    with closing(sqlite3.connect(home.root / "mlflow.db", isolation_level=None)) as other:
        other.execute("begin exclusive")
        (warning,) = whole(home, tmp_path).warnings
    assert "database is locked" in warning
    assert "another program has locked it" in warning
    assert capfd.readouterr().err == ""
    assert whole(home, tmp_path).warnings == []
    assert len(Seen(home).children) == 6


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def scribbled_over(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    file.write_bytes(data)


def no_database(file: Path) -> None:
    file.write_bytes(b"this is no database " * 400)


def of_another_version(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("update alembic_version set version_num = 'ffffffffffff'")


@pytest.mark.parametrize("damage", [cut_off, scribbled_over, no_database, of_another_version])
def test_a_database_that_cannot_be_used_is_one_line_that_says_how_to_make_it_again(
    damage: object, home: Home, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert callable(damage)
    damage(home.root / "mlflow.db")
    (warning,) = whole(home, tmp_path).warnings
    assert "move the file away, and `assay sync` rebuilds it" in warning
    assert "\n" not in warning
    assert capfd.readouterr().err == ""
    if damage is of_another_version:
        assert "another version of MLflow" in warning
        return
    with pytest.raises(AssayError, match="move the file away"):
        serve(home, port=5999)


FULL = """
import resource, sys, pathlib
sys.path.insert(0, sys.argv[1])
from assay.home import Home
import tracked_toy as t
folder = pathlib.Path(sys.argv[2])
run = t.ToyRun(Home(folder / "home"), t.make_plan(folder, parameters={"sample.scale": {"values": [0.0, 1.0, 2.0]}}))
for stage in run.plan.stages.values():
    if stage.key not in run.stored():
        run.compute(stage)
size = (folder / "home" / "mlflow.db").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
run.tracker.end(run.outcome())
print(*run.warnings, sep="\\n")
"""


def test_a_full_disk_is_said_as_the_store_says_it(home: Home, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(FIXTURES), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    (line,) = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert f"MLflow at {home.tracking_uri} is full: " in line
    assert "Free some space" in line


NAMELESS = """
import os, pwd, sys, pathlib
def getpwuid(uid): raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = getpwuid
sys.path.insert(0, sys.argv[1])
from assay.home import Home
import tracked_toy as t
folder = pathlib.Path(sys.argv[2])
plan = t.make_plan(folder, parameters={"sample.scale": {"values": [3.0]}})
print(*t.ToyRun(Home(folder / "home"), plan).whole().warnings)
"""


def test_who_has_no_name_and_no_home_is_shown_by_number(home: Home, tmp_path: Path) -> None:
    """As in a container that runs under any number."""
    gone = ("USER", "LOGNAME", "LNAME", "USERNAME")
    environment = {name: value for name, value in os.environ.items() if name not in gone} | {"HOME": "/proc/nowhere"}
    command = [sys.executable, "-c", NAMELESS, str(FIXTURES), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    assert {run.data.tags["mlflow.user"] for run in Seen(home).runs} >= {str(os.getuid())}


def test_no_file_in_the_place_of_the_database_is_noticed_before_mlflow_tries_for_minutes(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("missing/mlflow.db")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "loop", "nowhere", "pipe"):
        with pytest.raises(sqlite3.Error):
            local_database.refuse_unusable(tmp_path / name)
    local_database.refuse_unusable(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
