"""Where a run's own Ray keeps its session, on machines whose folders are as they happen to be. Starts no Ray."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.errors import UserError
from assay.execution.ray import seclusion
from assay.execution.ray.seclusion import PREFIX, fresh_folder, write_token
from assay.network import ask_this_machine_directly
from assay.store.scratch import LEFT_ALONE_S, in_use, remove_leftovers


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The one folder that is left where no variable names a fit one."""
    folder = Path(os.path.realpath("/tmp")) / f"t{os.getpid()}"
    folder.mkdir()
    monkeypatch.setattr(seclusion, "ELSE", (str(folder),))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    yield folder
    for made in folder.iterdir():
        made.rmdir()
    folder.rmdir()


def test_it_is_where_tmpdir_says_and_nobody_elses(short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = short / "m"
    wanted.mkdir()
    monkeypatch.setenv("TMPDIR", str(wanted))
    folder = fresh_folder()
    assert folder.parent == wanted
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()


@pytest.mark.parametrize("kind", ["too long", "missing", "a file", "relative and missing", "full"])
def test_another_folder_is_taken_where_tmpdir_is_unfit(
    kind: str, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfit = {"too long": tmp_path / ("a" * 100), "a file": tmp_path / "file", "full": Path("/proc/self")}
    (tmp_path / ("a" * 100)).mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("TMPDIR", str(unfit.get(kind, "nowhere" if kind.startswith("relative") else "/nowhere")))
    assert fresh_folder().parent == short
    assert list((tmp_path / ("a" * 100)).iterdir()) == []


def test_where_none_is_fit_each_is_named_with_its_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("a" * 100)
    long.mkdir()
    monkeypatch.setattr(seclusion, "ELSE", ("/nowhere",))
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setenv("RAY_TMPDIR", "")
    with pytest.raises(UserError) as refusal:
        fresh_folder()
    said = str(refusal.value)
    assert f"{long}: its path has {len(str(long))} characters" in said
    assert "/nowhere: No such file or directory" in said
    assert "set TMPDIR to it" in said


def test_folders_of_runs_that_are_over_since_a_day_go_and_others_stay(tmp_path: Path) -> None:
    def folder(name: str, age_s: float, log_age_s: float) -> Path:
        made = tmp_path / name
        log = made / "ray" / "session" / "logs" / "raylet.out"
        log.parent.mkdir(parents=True)
        log.touch()
        for path in (log, *log.parents[:4]):
            os.utime(path, (time.time() - (log_age_s if path == log else age_s),) * 2)
        return made

    over, days = LEFT_ALONE_S + 1, LEFT_ALONE_S * 9
    old, fresh = folder(f"{PREFIX}old", over, over), folder(f"{PREFIX}fresh", 60, 60)
    ended, running = folder(f"{PREFIX}ended", days, 60), folder(f"{PREFIX}running", days, days)
    other = folder("of-another-program", days, days)
    with in_use(running):
        remove_leftovers(tmp_path, PREFIX)
    assert not old.exists()
    assert all(path.is_dir() for path in (fresh, ended, running, other))


def test_nobody_else_can_read_the_token_at_any_moment(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_token(tmp_path / "token", "word")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert (tmp_path / "token").read_text() == "word"


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for spelled in (name, name.upper()):
            monkeypatch.setenv(spelled, "")  # so that what is set during the test is unset after it
            monkeypatch.delenv(spelled)
    return monkeypatch


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_this_machine_is_asked_directly_and_others_as_before(name: str, proxies: pytest.MonkeyPatch) -> None:
    import requests
    from requests.utils import should_bypass_proxies

    proxies.setenv(name, "http://proxy:3128")
    proxies.setenv("NO_PROXY", "example.org")
    ask_this_machine_directly()
    for host in ("127.0.0.1", "localhost", "[::1]", "example.org"):
        assert should_bypass_proxies(f"http://{host}:8265/", None), host
    assert not should_bypass_proxies("http://head:8265/", None)
    session = requests.Session()
    assert not session.merge_environment_settings("http://127.0.0.1:5000", {}, None, None, None)["proxies"]
    once = os.environ["no_proxy"]
    ask_this_machine_directly()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == once


def test_without_a_proxy_or_with_none_for_all_nothing_is_changed(proxies: pytest.MonkeyPatch) -> None:
    ask_this_machine_directly()
    assert "no_proxy" not in os.environ
    proxies.setenv("http_proxy", "http://proxy:3128")
    proxies.setenv("no_proxy", "*")
    ask_this_machine_directly()
    assert os.environ["no_proxy"] == "*"
