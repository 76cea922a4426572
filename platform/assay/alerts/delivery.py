"""Deliver one alert to one receiver: a few attempts, each with a time-out.

No message names the webhook's URL or repeats what the service answered, which may contain it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from importlib.metadata import version
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from assay.alerts.alert import Alert
from assay.alerts.formats import body_of
from assay.network import ask_this_machine_directly
from assay.sweep.notify import Receiver, Webhook
from assay.text import first_line

PAUSES_S = (1.0, 3.0, None)
"""Pauses between attempts; there is none after the last."""
ANSWER_S = 5.0
"""How long a webhook may take to connect, and to answer."""
COMMAND_S = 30.0
MOST_BYTES = 10_000
"""How much of a file with a URL is read."""
MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses after which another attempt may succeed."""


class Undelivered(Exception):
    """Why an attempt failed, in words without secrets."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        self.is_final = is_final
        """Whether no other attempt can succeed."""
        super().__init__(why)


def deliver(receiver: Receiver, alert: Alert) -> str | None:
    """Deliver it; returns why that was impossible. Takes about 20 s at most, and 30 s with a command."""
    try:
        body = body_of(alert, receiver.format)
    except Exception as error:  # the format of an installed package may raise anything
        return f"the format {receiver.format} failed: {first_line(error, with_type=True)}"
    for pause in PAUSES_S:
        try:
            _attempt(receiver, body)
        except Undelivered as why:
            if why.is_final or pause is None:
                return str(why)
            time.sleep(pause)
        else:
            return None
    raise AssertionError


def refusal(receiver: Receiver) -> str | None:
    """Why it can get no alert, as far as can be told without sending one."""
    try:
        if receiver.webhook is not None:
            _url(receiver.webhook)
        elif receiver.command is not None and shutil.which(receiver.command[0]) is None:
            return "there is no such program on this machine"
    except Undelivered as why:
        return str(why)
    return None


def _attempt(receiver: Receiver, body: bytes) -> None:
    if receiver.webhook is not None:
        _post(_url(receiver.webhook), body)
    else:
        assert receiver.command is not None
        _run(receiver.command, body)


def _url(webhook: Webhook) -> str:
    """Read anew for every attempt, so that it can be corrected during a run."""
    if webhook.env is not None:
        url = os.environ.get(webhook.env, "").strip()
        if not url:
            raise Undelivered("the variable is not set on this machine", is_final=True)
    else:
        try:
            with webhook.path.open(encoding="utf-8") as file:
                url = file.read(MOST_BYTES).strip()
        except (OSError, RuntimeError, ValueError) as error:  # no such home; not UTF-8
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise Undelivered(f"the file cannot be read: {reason}", is_final=True) from None
    if not _is_url(url):
        raise Undelivered("what it holds is not a URL; allowed: https://… or http://…, and nothing else", is_final=True)
    return url


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return has_host and parts.scheme in ("http", "https") and text.isascii() and text.isprintable() and " " not in text


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would send the message to another place than the one that was named."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(url: str, body: bytes) -> None:
    """Raises Undelivered unless the service answers with a status of success."""
    ask_this_machine_directly()
    # Some services refuse urllib's own name.
    headers = {"Content-Type": "application/json", "User-Agent": f"assay/{version('assay')}"}
    request = Request(url, data=body, headers=headers, method="POST")
    try:
        build_opener(_NoRedirects).open(request, timeout=ANSWER_S).close()
    except HTTPError as answer:
        answer.close()
        if 300 <= answer.code < 400:
            raise Undelivered(f"HTTP {answer.code}, a redirect, which is not followed", is_final=True) from None
        raise Undelivered(f"HTTP {answer.code}", is_final=answer.code not in MAY_PASS) from None
    except Exception as error:  # urllib, its proxies and TLS may raise anything
        raise Undelivered(_reason(error)) from None


def _reason(error: Exception) -> str:
    """Without the error's own text, unless that is the system's: it may quote the URL."""
    root = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    if isinstance(root, TimeoutError):
        return f"no answer within {ANSWER_S:g} s"
    return getattr(root, "strerror", None) or type(root).__name__


def _run(command: tuple[str, ...], body: bytes) -> None:
    """Raises Undelivered unless it exits with 0. Not tried twice: part of its work may be done.

    In a session of its own, so that Ctrl-C in the terminal does not reach it.
    """
    nowhere = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise Undelivered(getattr(error, "strerror", None) or str(error), is_final=True) from None
    with process:
        try:
            process.communicate(body, timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what it started, too
            raise Undelivered(f"not done within {COMMAND_S:g} s, and killed", is_final=True) from None
    if process.returncode != 0:
        raise Undelivered(f"exit code {process.returncode}", is_final=True)
