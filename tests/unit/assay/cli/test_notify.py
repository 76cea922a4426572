"""`assay notify`, and alerts of a run from the command line: what is printed, and that the URL is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.alerts import delivery
from webhook_server import SECRET, service

Assay = Callable[..., Any]
HOOK = "notify[0], the webhook in $HOOK"


def settings(project: Path, text: str) -> None:
    (project / ".assay").mkdir(exist_ok=True)
    (project / ".assay/settings.yaml").write_text(text)


def test_a_test_alert_goes_to_whom_the_sweep_or_the_home_names(
    assay: Assay, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = assay("notify")
    assert nobody.code == 2
    assert nobody.err == "notify: got nobody in .assay/settings.yaml, allowed: a list of webhooks and commands\n"
    settings(project, "notify: [{on: [failed], webhook: {env: HOOK}}]\n")
    with service([200, 200, 404]) as told:
        monkeypatch.setenv("HOOK", told.url)
        for args in (("notify",), ("notify", "norms")):
            sent = assay(*args)
            assert (sent.code, sent.out, sent.err) == (0, f"{HOOK}: delivered\n", "")
        refused = assay("notify", "norms")
        assert (refused.code, refused.out, refused.err) == (3, "", f"{HOOK}: not delivered: HTTP 404\n")
    assert told.kinds() == ["test"] * 3
    assert [body["sweep"] for body in told.bodies] == ["assay", "norms", "norms"]


def test_wrong_settings_are_refused_before_a_run(assay: Assay, project: Path) -> None:
    settings(project, "notify: {command: [page]}\n")
    for command in ("validate", "plan", "run"):
        refused = assay(command, "norms")
        assert refused.code == 2
        assert refused.err.startswith(".assay/settings.yaml:1: notify: got {'command': ['page']} (mapping), allowed: a")


@pytest.mark.slow
def test_a_run_prints_in_one_line_what_was_not_delivered(
    assay: Assay, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAUSES_S", (0.0, None))
    settings(project, "notify: [{webhook: {env: HOOK}}]\n")
    with service([503] * 9) as told:
        monkeypatch.setenv("HOOK", told.url)
        result = assay("run", "norms", "--profile", "smoke")
    assert result.code == 0
    said = [line for line in result.out.splitlines() if "delivered" in line]
    assert len(said) == 1
    assert f"warning: alerts that could not be delivered: 1 of 1 to {HOOK}: HTTP 503" in said[0]
    assert "best" in result.out
    assert SECRET not in result.out + result.err
    assert [path for path in project.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()] == []
