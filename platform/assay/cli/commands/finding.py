"""What `assay doctor` finds: one answer to one question, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assay.text import hide_secrets

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    status: Status
    what: str
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", hide_secrets(self.found))
