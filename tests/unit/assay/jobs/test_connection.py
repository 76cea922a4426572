"""What a client makes of a cluster's job server whose answers stay away, and of tokens that no header takes."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray

import assay
from assay.client import Job
from assay.errors import ClusterError, UserError
from assay.jobs import following
from assay.jobs.token import find_token

RUNNING = {"type": "SUBMISSION", "submission_id": "sums-0123456789-1", "status": "RUNNING", "entrypoint": "assay run"}
OVER = {**RUNNING, "status": "SUCCEEDED"}
Answer = Callable[[], object]
"""What the server says; an error, that it drops the connection instead."""


class JobServer(http.server.ThreadingHTTPServer):
    """A cluster's job server as far as its client asks it here: a real one drops no connection when it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        self.answers: dict[str, Answer] = {
            "/api/version": lambda: {"version": "4", "ray_version": ray.__version__, "ray_commit": ""}
        }

    def jobs_answer(self, path: str, *answers: object) -> None:
        """One after the other, and the last one from then on."""
        left = list(answers)
        self.answers[f"/api/jobs/{RUNNING['submission_id']}{path}"] = lambda: left.pop(0) if left[1:] else left[0]

    def job(self) -> Job:
        return Job(assay.Client(self.address, token="any")._cluster, RUNNING["submission_id"])


class _Handler(http.server.BaseHTTPRequestHandler):
    server: JobServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.tokens.add(self.headers["Authorization"])
        answer = self.server.answers[self.path]()
        if isinstance(answer, threading.Event):
            answer.wait()
        if not isinstance(answer, dict):
            return  # without a word
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JobServer]:
    monkeypatch.setattr(following, "PAUSES_S", (0.0,))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    with JobServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_the_end_of_a_log_is_asked_for_again_when_the_connection_drops(server: JobServer) -> None:
    server.jobs_answer("", OVER)
    server.jobs_answer("/logs", None, None, {"logs": "one\ntwo\n"})
    assert list(server.job().logs(follow=True)) == ["one", "two"]


def test_a_cluster_that_stays_away_is_given_up(server: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "GIVE_UP_S", 0.0)
    server.jobs_answer("", OVER)
    server.jobs_answer("/logs", None)
    with pytest.raises(ClusterError, match="does not answer"):
        list(server.job().logs(follow=True))


def test_waiting_survives_dropped_connections(server: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.client.POLL_S", 0.0)
    server.jobs_answer("", None, RUNNING, None, OVER)
    assert server.job().wait() == "SUCCEEDED"


def test_waiting_is_over_in_time_whether_the_cluster_hangs_up_or_says_nothing(
    server: JobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes otherwise: longer than this test may take."""
    monkeypatch.setattr(following, "LEAST_ANSWER_S", 0.1)
    silent = threading.Event()
    for nothing in (None, silent):
        server.jobs_answer("", nothing)
        server.jobs_answer("/stop", nothing)
        with pytest.raises(TimeoutError, match="does not answer"):
            server.job().wait(timeout=0.1)
        with pytest.raises(TimeoutError, match="does not answer"):
            server.job().stop(timeout=0.1)
    silent.set()
    server.jobs_answer("", RUNNING)
    with pytest.raises(TimeoutError, match=r"sums-0123456789-1 is RUNNING after 0\.1 s"):
        server.job().wait(timeout=0.1)


def test_a_job_that_the_head_has_forgotten(server: JobServer) -> None:
    server.answers["/api/jobs/"] = dict
    with pytest.raises(UserError, match=r"no job sums-0123456789-1 on .* submit the sweep again: it resumes from"):
        assay.Client(server.address).job("sums-0123456789-1")


# Tokens


@pytest.mark.parametrize("text", ["abc123", "abc123\n", " abc123\r\n"])
def test_a_token_goes_without_the_ends_of_its_line(
    text: str, server: JobServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assay.Client(server.address, token=text)
    monkeypatch.setenv("RAY_AUTH_TOKEN", text)
    assay.Client(server.address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "\n")  # as good as none: the file's
    (tmp_path / "token").write_text(text)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assay.Client(server.address)
    assert server.tokens == {"Bearer abc123"}


@pytest.mark.parametrize("text", ["hunter2 hunter3", "hunter2\nhunter3", "hunter2\x00", "hunter2é", "hunter2\udc80"])
def test_a_token_that_no_header_takes_is_refused_and_not_repeated(
    text: str, server: JobServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    with pytest.raises(UserError, match=r"token cannot be sent: token= contains .*allowed: one word") as refusal:
        assay.Client(server.address, token=text)
    said.append(str(refusal.value))
    (tmp_path / "token").write_bytes(text.encode(errors="surrogateescape"))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(
        UserError, match=r"token cannot be sent: .*/token contains .*set RAY_AUTH_TOKEN_PATH"
    ) as refusal:
        assay.Client(server.address)
    said.append(str(refusal.value))
    assert "hunter" not in "".join(said)
    assert server.asked == []


def test_a_variable_set_to_nothing_names_no_token(server: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "")
    assert find_token(None) is None


def test_an_empty_token_is_told_as_that(server: JobServer) -> None:
    with pytest.raises(UserError, match="token= is empty"):
        assay.Client(server.address, token="\n")
