"""The section `notify` of a sweep, and what is refused in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assay.sweep.notify import KINDS

Load, Lines = Callable[..., Any], Callable[..., list[str]]
SECRET = "T0-k3n"
WHERE = "allowed: {env: NAME} or {file: PATH}, where the machine that drives the run finds the URL"


def test_a_receiver_gets_all_alerts_in_our_format_unless_it_says_otherwise(load: Load) -> None:
    sweep = load("notify:\n- webhook: {env: HOOK}\n- {on: [failed], command: [page, me], format: slack}\n")
    webhook, command = sweep.notify
    assert (webhook.on, webhook.format, str(webhook)) == (KINDS, "plain", "the webhook in $HOOK")
    assert (command.on, command.format, str(command)) == (("failed",), "slack", "the command page")


def test_no_section_is_not_nobody(load: Load) -> None:
    assert load().notify is None
    assert load("notify: []\n").notify == ()
    assert load("notify: [{command: [page]}]\n", sets=["notify=[]"]).notify == ()


@pytest.mark.parametrize(
    ("receiver", "expected"),
    [
        ("{}", "notify[0]: got neither, allowed: a webhook or a command"),
        ("{webhook: {env: A}, command: [b]}", "notify[0]: got both, allowed: a webhook or a command"),
        (
            "{on: [finish], command: [a]}",
            "notify[0].on[0]: got 'finish' (str), allowed: finished, failed, paused, target_reached, budget; "
            "did you mean 'finished'?",
        ),
        ("{on: [], command: [a]}", f"notify[0].on: got [], allowed: some of {', '.join(KINDS)}"),
        ("{command: []}", "notify[0].command: got [], allowed: a program and its arguments"),
        ("{command: page me}", "notify[0].command: got 'page me' (str), allowed: a list of texts or null"),
        (
            "{command: [a], format: slak}",
            "notify[0].format: unknown alert format 'slak'; did you mean 'slack'? "
            "allowed: plain, slack, discord, teams",
        ),
        ("{command: [a], channel: x}", "notify[0].channel: unknown key; allowed: command, format, on, webhook"),
        (f"{{webhook: https://example.com/{SECRET}}}", f"notify[0].webhook: got a URL, {WHERE}"),
        (f"{{webhook: {{url: https://example.com/{SECRET}}}}}", "notify[0].webhook.url: unknown key"),
        ("{webhook: {}}", f"notify[0].webhook: got neither, {WHERE}"),
        ("{webhook: {env: A, file: /b}}", f"notify[0].webhook: got both, {WHERE}"),
        (
            f"{{webhook: {{env: 'https://example.com/{SECRET}'}}}}",
            "notify[0].webhook.env: got a URL, allowed: the name of an environment variable, such as SLACK_WEBHOOK",
        ),
        (
            f"{{webhook: {{file: 'https://example.com/{SECRET}'}}}}",
            "notify[0].webhook.file: got a URL, allowed: an absolute path, or ~/…",
        ),
        ("{webhook: {file: hook}}", "notify[0].webhook.file: got 'hook' (str), allowed: an absolute path, or ~/…"),
        (f"https://hooks.slack.com/services/{SECRET}", "notify[0]: got 'https://hooks.slack.com/***' (str), allowed:"),
    ],
)
def test_a_mistake_is_one_line_that_repeats_no_url(lines: Lines, receiver: str, expected: str) -> None:
    (line,) = lines(f"notify:\n- {receiver}\n")
    assert line.startswith(f"x.yaml:8: {expected}")
    assert SECRET not in line
