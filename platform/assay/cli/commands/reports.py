"""Read the reports here, for commands that list sweeps or go through them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ValidationError

from assay.errors import UserError
from assay.home import Home
from assay.report import REPORT


class _Trial(BaseModel):
    trial: str
    rank: int | None
    metrics: Mapping[str, float | None]
    failure: Any


class _Arm(BaseModel):
    """One arm over several seeds."""

    arm: str
    mean: float


class ReportOf(BaseModel):
    """The part of a report.json that is read back."""

    sweep: str
    profile: str | None
    file: str
    sets: Sequence[str]
    metric: str
    created: AwareDatetime
    trials: Sequence[_Trial]
    arms: Sequence[_Arm] = ()
    """Best first; empty for a sweep with one seed."""

    @property
    def first(self) -> tuple[str, float | None] | None:
        """The name and value of the best: an arm if there are several seeds, else a trial, as in the table."""
        if self.arms:
            return self.arms[0].arm, self.arms[0].mean
        ranked = next((trial for trial in self.trials if trial.rank == 1), None)
        return None if ranked is None else (ranked.trial, ranked.metrics.get(self.metric))


def reports(home: Home) -> Iterator[tuple[Path, ReportOf | UserError]]:
    """Every report here with its folder, or the error in it: the next run rewrites one that was cut off."""
    for file in sorted(home.report("any").parent.glob(f"*/{REPORT}")):
        try:
            yield file.parent, ReportOf.model_validate_json(file.read_bytes())
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(map(str, wrong["loc"])) or "it"
            yield file.parent, UserError(f"{file} is not a report of a sweep: {where}: {wrong['msg']}")
        except OSError as error:
            yield file.parent, UserError(f"{file} cannot be read: {error.strerror}")
