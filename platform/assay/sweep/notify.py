"""Whom a run tells what, for people who do not watch it: the section `notify` of a sweep or of the home's settings.

A webhook's URL is a secret, since whoever knows it can write to the channel. So it is never in a sweep, which is
uploaded, stored and shown: the sweep says where the machine that drives the run finds it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, model_validator

from assay.registry import Registry
from assay.sweep.fields import Name, Section, Text
from assay.workload.typed import got

AlertKind = Literal["finished", "failed", "paused", "target_reached", "budget"]
"""finished: all trials are done. failed: a trial failed for good, or the run ended with an error. paused: it was
stopped, and resumes. target_reached: a trial reached the scheduler's target. budget: a limit ended the run."""
KINDS: tuple[AlertKind, ...] = get_args(AlertKind)
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
INSTEAD = "allowed: {env: NAME} or {file: PATH}, where the machine that drives the run finds the URL"


@dataclass(frozen=True)
class AlertFormat:
    body: str
    """The import path "module:attribute" of a function that makes the JSON of a message: `body(alert, most)`, with an
    `assay.alerts.Alert` and the number below."""
    most: int
    """The most characters of a message's text; longer ones are cut."""


ALERT_FORMATS = Registry[AlertFormat]("alert format", "assay.alert_formats")
ALERT_FORMATS.register("plain", AlertFormat("assay.alerts.formats:plain", 100_000))
ALERT_FORMATS.register("slack", AlertFormat("assay.alerts.formats:slack", 4_000))
ALERT_FORMATS.register("discord", AlertFormat("assay.alerts.formats:discord", 2_000))
ALERT_FORMATS.register("teams", AlertFormat("assay.alerts.formats:teams", 5_000))


def _shown(value: object) -> str:
    """What was got, unless it may be a URL, which no message may repeat."""
    return "a URL" if isinstance(value, str) and "/" in value else got(value)


def _no_url(value: object) -> object:
    if not isinstance(value, Mapping):
        raise ValueError(f"got {_shown(value)}, {INSTEAD}")
    return value


def _variable(name: str) -> str:
    if not VARIABLE.fullmatch(name):
        raise ValueError(f"got {_shown(name)}, allowed: the name of an environment variable, such as SLACK_WEBHOOK")
    return name


def _path(name: str) -> str:
    if "://" in name or not name.startswith(("/", "~")):
        raise ValueError(f"got {'a URL' if '://' in name else got(name)}, allowed: an absolute path, or ~/…")
    return name


def _some(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command:
        raise ValueError("got [], allowed: a program and its arguments")
    return command


def _distinct_kinds(kinds: tuple[AlertKind, ...]) -> tuple[AlertKind, ...]:
    if not kinds:
        raise ValueError(f"got [], allowed: some of {', '.join(KINDS)}")
    return tuple(dict.fromkeys(kinds))


class Webhook(Section):
    """Where the URL is, on the machine that drives the run."""

    env: Annotated[Text, AfterValidator(_variable)] | None = None
    """The name of an environment variable."""
    file: Annotated[Text, AfterValidator(_path)] | None = None
    """A file with the URL alone in it."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError(f"got {'neither' if self.env is None else 'both'}, {INSTEAD}")
        return self

    def __str__(self) -> str:
        return f"${self.env}" if self.env is not None else str(self.file)

    @property
    def path(self) -> Path:
        assert self.file is not None
        return Path(self.file).expanduser()


class Receiver(Section):
    """One webhook or one command, and the alerts that it gets."""

    on: Annotated[tuple[AlertKind, ...], AfterValidator(_distinct_kinds)] = KINDS
    """finished: all trials are done. failed: a trial failed for good, or the run ended with an error. paused: it was
    stopped, and resumes. target_reached: a trial reached the scheduler's target. budget: a limit ended the run."""
    webhook: Annotated[Webhook, BeforeValidator(_no_url)] | None = None
    """Gets each alert by HTTP POST."""
    command: Annotated[tuple[Name, ...], AfterValidator(_some)] | None = None
    """A program and its arguments, without a shell; gets each alert on standard input."""
    format: Annotated[Text, AfterValidator(ALERT_FORMATS.checked)] = "plain"
    """The form of its JSON."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.webhook is None) == (self.command is None):
            raise ValueError(f"got {'neither' if self.webhook is None else 'both'}, allowed: a webhook or a command")
        return self

    def __str__(self) -> str:
        return f"the webhook in {self.webhook}" if self.command is None else f"the command {self.command[0]}"


Notify = tuple[Receiver, ...]
