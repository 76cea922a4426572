"""Private parts of Ray's job client; assay.execution.ray.private says for which version."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import requests
from ray.job_submission import JobSubmissionClient

CHATTY = ("dashboard.modules.job.sdk", "dashboard.modules.dashboard_sdk", "_private.runtime_env.packaging")
Timeouts = Callable[[], tuple[float, float]]
"""Seconds to connect, and seconds to wait for an answer."""


def quieten() -> None:
    for name in CHATTY:
        logging.getLogger(f"ray.{name}").setLevel(logging.WARNING)


class JobClient(JobSubmissionClient):  # type: ignore[misc]  # Ray is not typed here
    """Ray's client with timeouts: by itself it waits forever on a connection that is lost silently.

    `timeouts` is called before every request.
    """

    def __init__(self, address: str, headers: dict[str, str] | None, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        super().__init__(address, headers=headers)
        self._ssl_context = True  # default checks; Ray leaves it None, and aiohttp warns about that

    def page(self, path: str) -> Any:
        """A page of the dashboard that the client has no public method for."""
        answer = self._do_request("GET", path)
        answer.raise_for_status()
        return answer.json()

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        return super()._do_request(method, endpoint, timeout=self._timeouts(), **options)
