"""The records of the store, one class per kind. Whatever is read is validated as one of these, or is damaged.

`stem` is the prefix of the record's file name, and `entries` are the files that it lists: a record that lies elsewhere,
or that lists files of others, is misplaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from assay.workload import JSON, digest

MOST = 10**15
"""No count exceeds this, and a float represents it exactly."""

Count = Annotated[int, Field(ge=0, le=MOST)]
Amount = Annotated[int, Field(ge=1, le=MOST)]
Seconds = Annotated[float, Field(ge=0, le=float(MOST), allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Scalar = str | bool | int | float
Decision = Literal["go on", "stop", "reached", "won", "tied", "finished"]
"""A trial at a rung: it climbs; others are better; it has reached the target; there is no higher rung."""


def _with_zone(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"got {text!r}, allowed: a time with its zone")
    return text


When = Annotated[str, AfterValidator(_with_zone)]
"""A time in ISO 8601, with its time zone."""


class Record(BaseModel):
    """A valid record. Unknown fields, of older or newer versions, are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    @property
    def stem(self) -> str:
        return ""

    @property
    def entries(self) -> Sequence[FileEntry]:
        return ()


class FileEntry(Record):
    """A committed file; `path` is relative to the store's root."""

    path: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    @field_validator("path")
    @classmethod
    def _is_below_the_root(cls, path: str) -> str:
        if "\0" in path or not path or PurePosixPath(path).is_absolute() or ".." in path.split("/"):
            raise ValueError(f"got {path!r}, allowed: a path below the store's root")
        return path


class ShardEntry(Record):
    """Rows of the ids start ≤ id < stop, as a result lists them."""

    start: Count
    stop: Amount
    file: FileEntry
    device: str = ""
    seconds: Seconds = 0.0
    origin: str = ""
    host: str = ""


class CostEntry(Record):
    device: str
    count: Count
    seconds: Seconds
    details: dict[str, Any] = Field(default_factory=dict)

    @field_validator("details")
    @classmethod
    def _counts_items(cls, details: dict[str, Any]) -> dict[str, Any]:
        items = details.get("items", 0)
        if isinstance(items, bool) or not isinstance(items, int | float) or not 0 <= items <= MOST:
            raise ValueError(f"got {items!r} items, allowed: a number ≥ 0")
        return details


class BudgetEntry(Record):
    path: str
    amount: Amount
    unit: str


class RowsEntry(Record):
    """How the rows that a map stage was given were made: nothing else says so where they are not stored."""

    key: str
    stage: str
    config: dict[str, Any]
    inputs: dict[str, str]


class ProvenanceEntry(Record):
    """Where a result comes from."""

    origins: list[str] = Field(default_factory=list)
    """The origins of every run that computed a part of it. See OriginRecord."""
    hosts: list[str] = Field(default_factory=list)
    """The machines that computed it."""
    versions: dict[str, str] = Field(default_factory=dict)
    """What only a worker knows: the versions of CUDA, cuDNN and the driver."""


class ResultRecord(Record):
    """results/<key>/result.json"""

    format: Literal[1]
    key: str
    stage: str
    version: int | None = None
    """None in older stores."""
    config: dict[str, Any]
    execution: dict[str, Any]
    asked: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, str]
    read: dict[str, str] = Field(default_factory=dict)
    """Role → the content of the input that was read, since a result may be computed again under its key. Empty in older
    stores."""
    rows: RowsEntry | None = None
    budget: BudgetEntry
    flops: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    items: Count | None = Field(default=None, validation_alias=AliasChoices("items", "images"))
    """The first stores call them images."""
    metrics: dict[str, Number | Literal["nan", "inf", "-inf"]]
    cost: CostEntry
    notes: dict[str, Scalar] = Field(default_factory=dict)
    provenance: ProvenanceEntry = Field(default_factory=ProvenanceEntry)
    """Empty in older stores."""
    files: dict[str, FileEntry]
    shards: list[ShardEntry]
    created: When

    @model_validator(mode="after")
    def _answers_what_was_asked(self) -> ResultRecord:
        if unanswered := sorted(self.asked.keys() - self.notes.keys()):
            raise ValueError(f"has no note for {', '.join(unanswered)}")
        return self

    @property
    def entries(self) -> Sequence[FileEntry]:
        return [*self.files.values()]


class RepositoryEntry(Record):
    """The state of a Git repository."""

    folder: str
    commit: str | None
    branch: str | None
    remote: str | None
    is_dirty: bool
    untracked: list[str]
    diff: str
    """What differs from the commit, in files that Git tracks."""


class CommandEntry(Record):
    """A command, and the code that it found."""

    command: str
    user: str
    host: str
    repositories: list[RepositoryEntry]


class OriginRecord(CommandEntry):
    """origins/<digest of its content>.json, written by the driver of a run."""

    python: str
    platform: str
    versions: dict[str, str]
    """Distribution → version."""
    modules: dict[str, str]
    """Module → hash of its code, for the modules of the workloads."""
    submitted: CommandEntry | None
    """The command that submitted a job, on another machine."""


class CheckpointRecord(Record):
    """progress/<lineage>/checkpoints/<step>-<when>-<id>.json"""

    step: Count
    score: Number | None = None
    amount: Count = 0
    origins: list[str] = Field(default_factory=list)
    files: Annotated[dict[str, FileEntry], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_one_folder(self) -> CheckpointRecord:
        if len({file.path.removesuffix(f"/{name}") for name, file in self.files.items()}) > 1:
            raise ValueError("got files in several folders, allowed: one")
        return self

    @property
    def stem(self) -> str:
        return f"{self.step:09d}"

    @property
    def entries(self) -> Sequence[FileEntry]:
        return [*self.files.values()]


class _Rows(Record):
    rows: FileEntry


class ShardRecord(Record):
    """progress/<lineage>/shards/<start>-<stop>-<id>.json"""

    start: Count
    stop: Amount
    files: _Rows
    device: str = ""
    seconds: Seconds = 0.0
    origin: str = ""
    host: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    settled: dict[str, Scalar] = Field(default_factory=dict)
    """The values chosen for what the config leaves open. Older stores have them in progress/<lineage>/settled/ only."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Column → Arrow type. Empty in older stores."""

    @model_validator(mode="after")
    def _has_rows(self) -> ShardRecord:
        if self.stop <= self.start:
            raise ValueError(f"got the ids from {self.start} to below {self.stop}, allowed: one or more")
        return self

    @property
    def stem(self) -> str:
        return f"{self.start:09d}-{self.stop:09d}"

    @property
    def entries(self) -> Sequence[FileEntry]:
        return [self.files.rows]


class SettledRecord(Record):
    """progress/<lineage>/settled/<digest of both>.json"""

    path: str
    answer: Scalar

    @property
    def stem(self) -> str:
        return digest([self.path, self.answer])


class ChargedRecord(Record):
    """progress/<lineage>/charged/<amount>.json"""

    amount: Count

    @property
    def stem(self) -> str:
        return f"{self.amount:09d}"


class ReaderRecord(Record):
    """progress/<lineage>/readers/<a checkpoint's name>-<when>-<id>"""


class DecisionRecord(Record):
    """studies/<digest>/decisions/<key of the rung's leaf>.json"""

    leaf: str
    decision: Decision

    @property
    def stem(self) -> str:
        return self.leaf


class SuggestionRecord(Record):
    """studies/<digest>/suggestions/<number>.json"""

    values: dict[str, JSON]


class ComputedRecord(Record):
    """studies/<digest>/computed/<key>.json"""

    key: str
    sweep: str = ""
    profile: str | None = None

    @property
    def stem(self) -> str:
        return self.key


class RunningStageEntry(Record):
    """A stage that a run computes now, as displays show it."""

    name: str
    trials: str
    """Those that it is for: "AdaGN", "all 4 trials"."""
    done: Count
    amount: Amount
    unit: str
    has_budget: bool
    seconds: Seconds
    """Since it started, in this run."""
    begun_at: Count
    """How much was done then."""
    rate: str | None
    """ "12.5 it/s"; None until there is progress."""
    left_s: Seconds | None
    metric: str | None
    """What is shown beside it: the newest value of a metric."""
    value: Number | str | None


class NoteEntry(Record):
    """Something that happened, shown once."""

    number: Count
    """Its place among all notes of the run."""
    kind: str
    text: str
    detail: str


class BoardEntry(Record):
    """A run as its displays show it."""

    sweep: str
    trials_done: Count
    trials_failed: Count
    trials: Count
    stages_done: Count
    stages: Count
    seconds: Seconds
    left_s: Seconds | None
    running: list[RunningStageEntry]
    notes: list[NoteEntry]
    """The latest."""


class RunningRecord(Record):
    """running/<id>.json: a run in progress"""

    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    sweep: str
    profile: str | None = None
    user: str
    host: str
    pid: Count
    process: str = ""
    """Tells on the same machine whether it still runs; empty where the system does not say, and in older stores."""
    command: str
    """Without secrets."""
    job: str | None = None
    """The id of the Ray job that it is."""
    started: When
    renewed: When
    board: BoardEntry | None = None
    """None before the first stage."""
    keys: list[str] = Field(default_factory=list)
    """The stages that it reads or computes."""
    lineages: list[str] = Field(default_factory=list)
    studies: list[str] = Field(default_factory=list)

    @property
    def stem(self) -> str:
        return self.id


class LeaseRecord(Record):
    """leases/<lineage>-<slot>.json: a run computes a stage of this lineage"""

    lineage: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    run: str

    @property
    def stem(self) -> str:
        return f"{self.lineage}-"
