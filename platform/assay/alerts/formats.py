"""The JSON of an alert, as different services take it. A longer text than a service takes is cut."""

from __future__ import annotations

import json

from assay.alerts.alert import Alert
from assay.report.tables.neutral import markdown
from assay.sweep.notify import ALERT_FORMATS
from assay.text import shorten
from assay.workload import JSON, load_attribute

SLACK_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""The three characters with a meaning in Slack's texts, such as <!channel>."""


def body_of(alert: Alert, format: str) -> bytes:
    """The message in UTF-8. Raises whatever the format's function does."""
    facts = ALERT_FORMATS[format]
    message = load_attribute(facts.body)(alert, facts.most)
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode(errors="replace")


def plain(alert: Alert, most: int) -> JSON:
    """Ours: `facts` are for programs."""
    return {
        "kind": alert.kind,
        "sweep": alert.sweep,
        "profile": alert.profile,
        "at": alert.at,
        "title": alert.title,
        "text": shorten("\n".join(alert.lines), most),
        "facts": dict(alert.facts),
    }


def slack(alert: Alert, most: int) -> JSON:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks; texts longer than 4,000 characters
    may be split or cut."""
    title, *lines = (line.translate(SLACK_ENTITIES) for line in (alert.title, *alert.lines))
    return {"text": shorten("\n".join([f"*{title}*", *lines]), most)}


def discord(alert: Alert, most: int) -> JSON:
    """https://discord.com/developers/docs/resources/webhook#execute-webhook; nobody is mentioned, whatever a trial is
    called."""
    title, *lines = (markdown(line) for line in (alert.title, *alert.lines))
    return {"content": shorten("\n".join([f"**{title}**", *lines]), most), "allowed_mentions": {"parse": []}}


def teams(alert: Alert, most: int) -> JSON:
    """An adaptive card, as the trigger "When a Teams webhook request is received" takes it, of at most 28 KB.

    A TextRun, unlike a TextBlock, shows its text as it is, without Markdown.
    """
    text = shorten("\n".join(alert.lines), most)
    title: JSON = {"type": "TextRun", "text": alert.title, "weight": "Bolder", "size": "Medium"}
    runs: list[JSON] = [[title], *([{"type": "TextRun", "text": line}] for line in text.splitlines())]
    card: JSON = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [{"type": "RichTextBlock", "inlines": run} for run in runs],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}
