"""How an alert reaches a webhook or a command, and what is said if it does not."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from assay.alerts import Alert, delivery
from assay.alerts.delivery import deliver, refusal
from assay.sweep.notify import Receiver
from webhook_server import SECRET, service

ALERT = Alert("finished", "norms", None, "norms: finished")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PAUSES_S", (0.0, 0.0, None))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver.model_validate({"webhook": {"env": "HOOK"}})


def test_a_webhook_gets_json_by_post(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with service() as told:
        monkeypatch.setenv("HOOK", f" {told.url}\n")
        assert deliver(receiver, ALERT) is None
    assert told.kinds() == ["finished"]
    assert told.headers[0]["content-type"] == "application/json"
    assert told.headers[0]["user-agent"].startswith("assay/")


def test_a_url_in_a_file_is_read_anew_for_every_alert(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    receiver = Receiver.model_validate({"webhook": {"file": str(file)}})
    assert refusal(receiver) == deliver(receiver, ALERT) == "the file cannot be read: No such file or directory"
    with service() as told:
        file.write_text(f"{told.url}\n")
        assert refusal(receiver) is deliver(receiver, ALERT) is None
    assert told.kinds() == ["finished"]


@pytest.mark.parametrize(
    ("statuses", "requests", "why"),
    [
        ([503, 503, 204], 3, None),
        ([429, 200], 2, None),
        ([503, 503, 503, 200], 3, "HTTP 503"),
        ([404, 200], 1, "HTTP 404"),
        ([302, 200], 1, "HTTP 302, a redirect, which is not followed"),
        ([307, 200], 1, "HTTP 307, a redirect, which is not followed"),
    ],
)
def test_what_may_pass_is_tried_again_and_nothing_else(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, statuses: list[int], requests: int, why: str | None
) -> None:
    with service(statuses) as told:
        monkeypatch.setenv("HOOK", told.url)
        assert deliver(receiver, ALERT) == why
    assert len(told.bodies) == requests


def test_a_dead_port_a_silent_server_and_one_without_tls_are_told_without_the_url(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "ANSWER_S", 0.2)
    with socket.socket() as closed:  # bound, but it does not listen
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{closed.getsockname()[1]}/{SECRET}")
        assert deliver(receiver, ALERT) == "Connection refused"
    with service(is_silent=True) as told:
        monkeypatch.setenv("HOOK", told.url)
        assert deliver(receiver, ALERT) == "no answer within 0.2 s"
    with service() as told:
        monkeypatch.setenv("HOOK", told.url.replace("http:", "https:"))
        assert SECRET not in str(deliver(receiver, ALERT))
    assert told.bodies == []


@pytest.mark.parametrize(
    "url", [SECRET, f"ftp://host/{SECRET}", f"https:///{SECRET}", f"https://host/{SECRET} x", "http://h:x"]
)
def test_what_is_no_url_is_refused_and_not_repeated(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HOOK", url)
    assert refusal(receiver) == "what it holds is not a URL; allowed: https://… or http://…, and nothing else"
    monkeypatch.setenv("HOOK", "")
    assert refusal(receiver) == deliver(receiver, ALERT) == "the variable is not set on this machine"


@pytest.mark.slow
def test_a_command_gets_the_json_on_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(code: str, *args: str) -> str | None:
        command = [sys.executable, "-S", "-c", f"import sys, time; {code}", *args]
        return deliver(Receiver.model_validate({"command": command, "format": "slack"}), ALERT)

    assert run("open(sys.argv[1], 'w').write(sys.stdin.read() + sys.argv[2])", str(tmp_path / "got"), " $HOME;") is None
    text = (tmp_path / "got").read_text()
    assert json.loads(text.removesuffix(" $HOME;")) == {"text": "*norms: finished*"}, "no shell reads its arguments"
    assert run("open(sys.argv[1], 'a').write('x'); sys.exit(3)", str(tmp_path / "tries")) == "exit code 3"
    assert (tmp_path / "tries").read_text() == "x", "part of its work may be done, so it is not tried again"
    monkeypatch.setattr(delivery, "COMMAND_S", 0.2)
    assert run("time.sleep(3600)") == "not done within 0.2 s, and killed"
    missing = Receiver.model_validate({"command": ["no-such-program"]})
    assert refusal(missing) == "there is no such program on this machine"
    assert deliver(missing, ALERT) == "No such file or directory"


def test_a_format_that_fails_is_the_alerts_trouble_alone(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "body_of", lambda *_: 1 / 0)
    assert deliver(receiver, ALERT) == "the format plain failed: ZeroDivisionError: division by zero"
