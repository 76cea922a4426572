"""An alert as each service takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assay.alerts import Alert
from assay.alerts.formats import body_of
from assay.sweep.notify import ALERT_FORMATS
from installed import install

ALERT = Alert(
    "failed", "norms", "smoke", "norms (smoke): 1 trial failed", ("<!channel> @everyone a*b_c & d", "why"), {"n": 1}
)


def body(format: str, alert: Alert = ALERT) -> Any:
    return json.loads(body_of(alert, format))


def test_plain_has_facts_for_programs() -> None:
    plain = body("plain")
    assert plain.pop("at") == ALERT.at
    assert plain == {
        "kind": "failed",
        "sweep": "norms",
        "profile": "smoke",
        "title": "norms (smoke): 1 trial failed",
        "text": "<!channel> @everyone a*b_c & d\nwhy",
        "facts": {"n": 1},
    }


def test_slack_gets_a_text_that_calls_nobody() -> None:
    text = "*norms (smoke): 1 trial failed*\n&lt;!channel&gt; @everyone a*b_c &amp; d\nwhy"
    assert body("slack") == {"text": text}


def test_discord_gets_a_content_that_mentions_nobody_and_has_no_markup_of_names() -> None:
    discord = body("discord")
    assert set(discord) == {"content", "allowed_mentions"}
    assert discord["allowed_mentions"] == {"parse": []}
    assert discord["content"].startswith("**norms (smoke): 1 trial failed**\n")
    assert r"a\*b_c" in discord["content"], "an underscore within a word is one there, too"


def test_teams_gets_an_adaptive_card() -> None:
    teams = body("teams")
    assert teams["type"] == "message"
    (attachment,) = teams["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.2")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    runs = [run for block in card["body"] for run in block["inlines"]]
    assert [run["text"] for run in runs] == [ALERT.title, *ALERT.lines]


@pytest.mark.parametrize(("format", "most"), [("slack", 4_000), ("discord", 2_000), ("teams", 28_000)])
def test_no_service_gets_more_than_it_takes(format: str, most: int) -> None:
    long = Alert("failed", "norms", None, "norms: failed", tuple("é_" * 50 for _ in range(1_000)))
    sent = body(format, long)
    text = sent["text"] if format == "slack" else sent["content"] if format == "discord" else json.dumps(sent)
    assert len(text) <= most


def test_a_message_has_no_secret_and_forges_no_line() -> None:
    alert = Alert("failed", "norms", None, "norms: failed", ("lost s3://me:hunter2@host/x\nall is well\x1b[2J",))
    for format in ALERT_FORMATS:
        sent = body_of(alert, format).decode()
        assert "hunter2" not in sent
        assert "\x1b" not in json.loads(sent).get("text", "")
    assert body("plain", alert)["text"] == r"lost s3://***@host/x\nall is well\x1b[2J"


def test_an_installed_package_adds_a_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from assay.sweep.notify import AlertFormat\n"
        "SHORT = AlertFormat('short_alerts:short', 10)\n"
        "def short(alert, most):\n    return [alert.title[:most]]\n"
    )
    install(tmp_path, monkeypatch, "short_alerts", code, {"assay.alert_formats": "short = short_alerts:SHORT"})
    assert body("short") == ["norms (smo"]
