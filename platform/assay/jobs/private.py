"""What is used of Ray's job client and what Ray does not promise to keep: as in assay.execution.ray.private, which says
for which version."""

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
    """Ray's, which by itself would wait forever on a connection that was lost without a word.

    `timeouts` are asked for at every call.
    """

    def __init__(self, address: str, headers: dict[str, str] | None, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        super().__init__(address, headers=headers)
        self._ssl_context = True  # the usual checks; Ray leaves it None, of which aiohttp warns

    def page(self, path: str) -> Any:
        """A page that the dashboard serves to the same token, and the client has no public call for."""
        answer = self._do_request("GET", path)
        answer.raise_for_status()
        return answer.json()

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        return super()._do_request(method, endpoint, timeout=self._timeouts(), **options)
