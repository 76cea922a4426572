"""What a check finds: the answer to one question, and advice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from rich.text import Text

from assay.cli.output import console, print_json
from assay.redaction import hide_secrets

Status = Literal["ok", "warn", "fail"]
STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True)
class Finding:
    status: Status
    what: str
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", hide_secrets(self.found))


def print_findings(findings: Iterable[Finding], is_json: bool) -> int:
    """Print every finding as it is made; returns the exit code: 1 if one is a failure."""
    out, printed = console(), []
    for finding in findings:
        printed.append(finding)
        if not is_json:
            line = Text.assemble((f"{finding.status:<5}", STYLES[finding.status]), f"{finding.what}: {finding.found}")
            out.print(line, soft_wrap=True)
            if finding.advice:
                out.print(f"     {finding.advice}", soft_wrap=True)
    if is_json:
        print_json([asdict(finding) for finding in printed])
    return int(any(finding.status == "fail" for finding in printed))
