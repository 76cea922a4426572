"""A study whose smoke profile has run: what was printed, and its report."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Study:
    out: str
    """What was printed, the log and the table."""
    folder: Path
    """The report's."""

    @cached_property
    def report(self) -> dict[str, Any]:
        return json.loads((self.folder / "report.json").read_text())

    @property
    def trials(self) -> dict[str, dict[str, Any]]:
        return {row["trial"]: row for row in self.report["trials"]}

    @property
    def columns(self) -> list[str]:
        with (self.folder / "table.csv").open() as file:
            return next(csv.reader(file))

    @property
    def pictures(self) -> list[str]:
        return list(self.report["pictures"])

    def metric(self, trial: str, name: str) -> float:
        return float(self.trials[trial]["metrics"][name])

    def picture(self, name: str) -> np.ndarray[Any, Any]:
        """A picture of the report, in grey levels (H, W)."""
        return np.asarray(Image.open(self.folder / name).convert("L"))
