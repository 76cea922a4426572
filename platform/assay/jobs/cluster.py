"""The job server of a Ray cluster: connect, check that it is the right one, and report its errors in one line each."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import ray
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails

from assay.errors import ClusterError, UnknownJob, UserError
from assay.jobs import private
from assay.jobs.token import find_token
from assay.network import ask_this_machine_directly
from assay.redaction import hide_secrets
from assay.text import first_line

CONNECT_S = 10.0
ANSWER_S = 120.0
PORTS = {"http": 80, "https": 443}
LOST = (ConnectionError, requests.RequestException, aiohttp.ClientError, TimeoutError)
"""What a client raises if the server is gone or unreachable."""
ADDRESS_WINS = "RAY_API_SERVER_ADDRESS"
"""Ray takes its address from this variable first, then from RAY_ADDRESS, and only then from arguments."""
FORGOTTEN = "If its head was restarted, submit the sweep again: it resumes from what is stored"
_answer_s = ContextVar("answer_s", default=ANSWER_S)


@contextmanager
def answers_within(seconds: float) -> Iterator[None]:
    """Shorten the timeouts of requests to `seconds`, for callers with a deadline."""
    token = _answer_s.set(min(seconds, ANSWER_S))
    try:
        yield
    finally:
        _answer_s.reset(token)


def _timeouts() -> tuple[float, float]:
    answer_s = _answer_s.get()
    return min(CONNECT_S, answer_s), answer_s


private.quieten()


class Cluster:
    """A connection to the job server at `address`, such as http://head:8265.

    Raises UserError if the address or the token is wrong, and ClusterError if nobody answers, here and in every method.
    The token is sent in a header and stored nowhere.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        ask_this_machine_directly()
        self.address = _checked(address)
        token = find_token(token)
        headers = None if token is None else {"Authorization": f"Bearer {token}"}
        with self.translated_errors(), _as_address(self.address):
            self.client = private.JobClient(self.address, headers, _timeouts)

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Turn errors of Ray and its libraries into ours."""
        try:
            yield
        except AuthenticationError as error:
            raise UserError(_token_advice(self.address, str(error))) from None
        except LOST as error:
            raise ClusterError(f"the cluster at {self.address} does not answer: {_why(error)}") from error
        except RuntimeError as error:  # Ray raises it for any answer that is not a success
            raise ClusterError(f"the cluster at {self.address} failed: {_server_error(error)}") from error

    def jobs(self) -> list[JobDetails]:
        """Every job of the cluster, whoever submitted it."""
        with self.translated_errors():
            return self.client.list_jobs()

    def job(self, job_id: str) -> JobDetails:
        """Raises UnknownJob if there is none, as do the methods below."""
        with self._job_errors(job_id):
            return self.client.get_job_info(job_id)

    def log(self, job_id: str) -> str:
        """Everything that the job has printed so far."""
        with self._job_errors(job_id):
            return self.client.get_job_logs(job_id)

    def stop(self, job_id: str) -> None:
        """Ask the job to stop, and return at once."""
        with self._job_errors(job_id):
            self.client.stop_job(job_id)

    @contextmanager
    def _job_errors(self, job_id: str) -> Iterator[None]:
        try:
            with self.translated_errors():
                yield
        except ClusterError as error:
            if "status code 404" not in str(error):
                raise
            raise UnknownJob(f"the cluster at {self.address} has no job {job_id}. {FORGOTTEN}") from None

    def refuse_other_versions(self) -> None:
        """Raises UserError unless the cluster runs this Ray and this Python."""
        about = self._get("/api/v0/cluster_metadata")["data"]
        ours, theirs = (
            _versions(ray.__version__, platform.python_version()),
            _versions(about["rayVersion"], about["pythonVersion"]),
        )
        if ours != theirs:
            raise UserError(
                f"the cluster at {self.address} runs {' with '.join(theirs)}, and this machine {' with '.join(ours)}; "
                "allowed: the same on both. Install the cluster's versions here, or give it containers with these"
            )

    def num_machines(self) -> int:
        """Nodes that are alive now."""
        nodes = self._get("/api/v0/nodes")["data"]["result"]["result"]
        return sum(node["state"] == "ALIVE" for node in nodes)

    def starts_machines(self) -> bool:
        """Whether the cluster autoscales. False with Ray's second autoscaler, which the dashboard does not show."""
        status = self._get("/api/cluster_status")["data"]["clusterStatus"] or {}
        types = (status.get("autoscalerReport") or {}).get("nodeTypeMapping") or {}
        # On a cluster without autoscaling each node is a type of its own, named after its id.
        return any(not kind.startswith("node_") for kind in types.values())

    def _get(self, path: str) -> Any:
        with self.translated_errors():
            return self.client.page(path)


def _versions(ray_version: str, python_version: str) -> tuple[str, str]:
    """Only the first two numbers of Python's version: pickles and bytecode do not depend on the third."""
    return f"Ray {ray_version}", f"Python {'.'.join(python_version.split('.')[:2])}"


def _checked(address: str) -> str:
    """The address without a trailing slash, once it answers: Ray itself waits minutes for a missing machine."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        host, port = None, 0
    if host is None or not address.startswith(("http://", "https://")):
        hint = "" if "://" in address else f"; did you mean http://{address}?"
        raise UserError(
            f"--address: got {address!r}, allowed: http://HOST:8265 or https://HOST, where the cluster serves its "
            f"dashboard and its jobs{hint}"
        )
    if parts.username or hide_secrets(address) != address:
        raise UserError(
            "--address: got a URL with a name or a password in it, allowed: a token, in RAY_AUTH_TOKEN_PATH"
        )
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError as error:
        raise ClusterError(
            f"no cluster at {address}: {error}; is its head running, and its port reachable from here? A dashboard "
            "that listens only on localhost needs a tunnel: ssh -L 8265:localhost:8265 HEAD"
        ) from None
    return address.rstrip("/")


@contextmanager
def _as_address(address: str) -> Iterator[None]:
    before = os.environ.get(ADDRESS_WINS)
    os.environ[ADDRESS_WINS] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ[ADDRESS_WINS]
        else:
            os.environ[ADDRESS_WINS] = before


def _token_advice(address: str, answer: str) -> str:
    is_refused = "403" in answer or "Forbidden" in answer
    problem = "refuses the token: it is wrong, or no longer valid" if is_refused else "requires a token, but got none"
    return (
        f"the cluster at {address} {problem}. Ask its administrator for the current one, save it in a file, and set "
        "RAY_AUTH_TOKEN_PATH to that file; in Python: assay.Client(address, token=…)"
    )


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError | requests.Timeout):
        return "timed out"
    root: BaseException = error
    while (deeper := root.__cause__ or root.__context__) is not None:
        root = deeper
    hint = ""
    if "SSL" in repr(root):
        hint = "; a server without TLS needs http://, not https://"
    elif "BadStatusLine" in repr(root) or "Protocol" in repr(root):
        hint = "; another service uses this port; jobs share the dashboard's port, 8265 by default"
    return f"{first_line(root)}{hint}"


def _server_error(error: RuntimeError) -> str:
    """The last line of "Request failed with status code 500: ValueError: …", which holds a whole traceback."""
    status, _, traceback = hide_secrets(str(error)).partition(": ")
    lines = [line for line in traceback.splitlines() if line.strip(" .")]
    return f"{status}: {lines[-1].strip()[:300]}" if lines else status
