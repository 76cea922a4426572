"""A secret in every variable and argument that takes a URL: it is printed, logged, stored and tracked nowhere."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.cli import main
from assay.errors import StoreError
from assay.execution import Event
from assay.home import Home
from assay.store import Store
from assay.store.io_errors import cannot_write
from assay.text import first_line

SECRET = "s3cr3t"
NOWHERE = "127.0.0.1:9"
URLS = {
    "ASSAY_STORE": f"memory://me:{SECRET}@host/store?token={SECRET}",
    "ASSAY_ADDRESS": f"http://me:{SECRET}@{NOWHERE}?token={SECRET}",
    "MLFLOW_TRACKING_URI": f"http://me:{SECRET}@{NOWHERE}/mlflow",
    "http_proxy": f"http://me:{SECRET}@{NOWHERE}",
    "HTTPS_PROXY": f"me:{SECRET}@{NOWHERE}",
}

Assay = Callable[..., tuple[int, str]]


@pytest.fixture
def assay(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Assay:
    """`assay ARGS…` with a secret in each variable: its exit code, and all that it printed and logged."""
    caplog.set_level(logging.INFO)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")  # so that what is set during the test is unset after it
        monkeypatch.delenv(name)
    for name, url in URLS.items():
        monkeypatch.setenv(name, url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    def call(*args: str) -> tuple[int, str]:
        caplog.clear()
        monkeypatch.setattr(sys, "argv", ["assay", *args])
        code = main(args)
        out, err = capfd.readouterr()
        return code, out + err + caplog.text

    return call


def leaks(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.slow
def test_a_run_and_what_shows_it_say_no_secret(project: Path, assay: Assay) -> None:
    code, said = assay("run", "norms", "--executor", "inline", "--plain", "--rows")
    assert code == 0, said
    assert f"warning: MLflow at http://***@{NOWHERE}/mlflow could not be written to" in said
    assert SECRET not in said
    for command, expected in {
        ("sync", "--json"): f'"tracking_uri": "http://***@{NOWHERE}/mlflow"',
        ("doctor",): "memory://***@host/store?token=*** can be read and written",
        ("doctor", "--json"): "memory://***@host/store?token=***",
        ("ui",): f"MLflow at http://{NOWHERE}/mlflow does not answer",
        ("report", "norms"): "could not be written to",
        ("submit", "norms"): "got a URL with a name or a password in it",
        ("submit", "norms", "--address", f"me:{SECRET}@head:8265"): "did you mean http://***@head:8265",
        ("run", "norms", "--address", f"ray://me:{SECRET}@{NOWHERE}", "-s", "train.iterations=7"): "no Ray cluster at",
        ("ls",): "",
        ("compare", "norms", "--json"): "distance",
    }.items():
        code, said = assay(*command)
        if command[0] != "ls":  # which asks the address, too
            assert expected in said, (command, said)
        assert SECRET not in said, command
    assert (project / ".assay" / "reports" / "norms" / "report.html").is_file()
    assert leaks(project) == []
    memory = Store(URLS["ASSAY_STORE"]).files.fs
    records = [path for path in memory.find("/") if path.endswith(".json")]
    assert len(records) > 5
    assert [path for path in records if SECRET.encode() in memory.cat_file(path)] == []


def test_a_store_that_cannot_be_opened_is_named_without_its_password() -> None:
    for url in (f"no-such-scheme://me:{SECRET}@host/x", f"s4://bucket/x?token={SECRET}"):
        with pytest.raises(StoreError) as refusal:
            Store(url)
        assert SECRET not in str(refusal.value)
        assert "***" in str(refusal.value)


def test_a_message_that_is_cut_ends_within_no_secret() -> None:
    for length in range(240, 300):
        error = OSError("x" * length + f" http://me:{SECRET}{SECRET}@host/x refused")
        for told in (str(cannot_write("s3://bucket/x", error)), first_line(error)):
            assert SECRET[:3] not in told


def test_what_a_stage_or_the_tracker_warns_of_has_no_secret() -> None:
    for kind in ("warning", "failed"):
        assert Event(kind, message=f"lost http://me:{SECRET}@host/x").message == "lost http://***@host/x"


def test_an_unexpected_error_is_told_without_the_secret_that_it_holds(
    assay: Assay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Home) -> str:
        raise RuntimeError(f"odd: {os.environ['ASSAY_STORE']}")

    monkeypatch.setattr(Home, "store_url", property(broken))
    code, said = assay("plan", "norms")
    assert code == 3
    assert "unexpected RuntimeError: odd: memory://***@host/store" in said
    assert SECRET not in said
