"""Read report.json files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ValidationError

from assay.errors import UserError
from assay.home import Home

REPORT = "report.json"


class _Failure(BaseModel):
    stage: str
    key: str
    cause: str


class _Trial(BaseModel):
    trial: str
    rank: int | None
    metrics: Mapping[str, float | None]
    failure: _Failure | None


class _Arm(BaseModel):
    arm: str
    mean: float


class ReportFile(BaseModel):
    """The fields of a report.json that are read back."""

    sweep: str
    profile: str | None
    file: str
    sets: Sequence[str]
    metric: str
    created: AwareDatetime
    trials: Sequence[_Trial]
    arms: Sequence[_Arm] = ()
    """Best first; empty for a sweep with one seed."""
    pictures: Sequence[str] = ()
    grids: Mapping[str, str] = {}

    @classmethod
    def read(cls, folder: Path) -> ReportFile:
        """The report in a folder. Raises UserError if there is none, or if it is cut off or something else."""
        file = folder / REPORT
        try:
            return cls.model_validate_json(file.read_bytes())
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"])) or "it"
            raise UserError(f"{file} is not a report of a sweep: {where}: {problem['msg']}") from error
        except OSError as error:
            raise UserError(f"{file} cannot be read: {error.strerror}") from error

    @property
    def first(self) -> tuple[str, float | None] | None:
        """The name and value of the best: an arm if there are several seeds, else a trial, as in the table."""
        if self.arms:
            return self.arms[0].arm, self.arms[0].mean
        ranked = next((trial for trial in self.trials if trial.rank == 1), None)
        return None if ranked is None else (ranked.trial, ranked.metrics.get(self.metric))


def reports(home: Home) -> Iterator[tuple[Path, ReportFile | UserError]]:
    """The folder and content of every report in a home, or the error in it."""
    for file in sorted(home.report("any").parent.glob(f"*/{REPORT}")):
        try:
            yield file.parent, ReportFile.read(file.parent)
        except UserError as error:
            yield file.parent, error
