"""The store: `results/<key>/`, `progress/<lineage>/`, `studies/<digest>/`, `set-aside/`.

A result is there when `results/<key>/result.json` is; that record lists every file with its checksum. A result that no
longer matches is reported, moved to `set-aside/` and computed again; it never reaches a metric.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import DamagedResult, StoreError
from assay.store.checkpoints import Checkpoints
from assay.store.choices import as_run
from assay.store.downloads import local_copy
from assay.store.journal import Computed, Decisions, Suggestions
from assay.store.records import FileRecord, Files, Report, as_json, file_records
from assay.store.shards import Shard, Shards, cover
from assay.workload import JSON, Checkpointing, Stage, digest

FORMAT = 1
Notes = Mapping[str, str | float]
"""What a stage said it chose or found: {"train.precision": "bf16", "images_per_second": 12.5}."""


@dataclass(frozen=True)
class Cost:
    """What a stage took: `count` devices of a kind for so many seconds."""

    device: str
    count: int
    seconds: float
    details: Mapping[str, Any] = field(default_factory=dict)
    """Among them `items`: how many of the budget's these seconds were for, and not paid for by a smaller budget."""


class StoredResult:
    """A committed result: the `Result` that stages read."""

    def __init__(self, files: Files, record: Mapping[str, Any]) -> None:
        self._files = files
        self.record = record
        self.key: str = record["key"]
        self.stage: str = record["stage"]
        self.metrics: Mapping[str, float] = {k: _decode_number(v) for k, v in record["metrics"].items()}
        self.cost = Cost(**record["cost"])
        self.notes: Notes = record.get("notes", {})
        self.asked: Mapping[str, JSON] = record.get("asked", {})
        """Dotted path → what was asked, where the record's config says what was chosen: {"train.precision": "auto"}."""
        self.files = file_records(record["files"])
        self.shards = tuple(Shard(s["start"], s["stop"], FileRecord(**s["file"])) for s in record["shards"])

    def file(self, name: str) -> Path:
        if name not in self.files:
            raise KeyError(
                f"result {self.key[:12]} of stage {self.stage} has no file {name!r}; it has: {sorted(self.files)}"
            )
        return local_copy(self._files, self.files[name])

    @property
    def share_charged(self) -> float:
        """How much of its budget `cost` was for: a larger budget goes on from what a smaller one paid for."""
        amount = int(self.record["budget"]["amount"])
        return float(self.cost.details.get("items", amount)) / amount

    @property
    def history(self) -> list[dict[str, float]]:
        """The points that the stage logged: [{"step": …, metric: …}, …]."""
        return json.loads(self.file("history.json").read_text()) if "history.json" in self.files else []

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Rows a shard at a time, in the order of ids, each id below the budget exactly once."""
        amount = int(self.record["budget"]["amount"])
        wanted = None if columns is None else list(dict.fromkeys(["id", *columns]))
        reached = 0
        for shard in self.shards:
            table = self._read(shard, wanted).slice(0, amount - shard.start)
            ids = table.column("id").to_numpy()
            if len(ids) == 0 or ids[0] != reached or ids[-1] != reached + len(ids) - 1:
                raise DamagedResult(self.key, [f"{shard.file.path} does not hold the ids from {reached} on"])
            reached += len(ids)
            yield table
        if reached != amount:
            raise DamagedResult(self.key, [f"holds {reached} rows, its budget is {amount}"])

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return pa.concat_tables(self.batches(columns))

    def rows(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of start ≤ id < stop, from the shards that hold them: each is verified before it is read."""
        tables = []
        for shard in self.shards:
            if shard.start < stop and start < shard.stop:
                if problems := self._files.problems(shard.file):
                    raise DamagedResult(self.key, problems)
                table = self._read(shard, columns)
                tables.append(table.slice(max(0, start - shard.start), stop - max(start, shard.start)))
        return pa.concat_tables(tables)

    def _read(self, shard: Shard, columns: Sequence[str] | None) -> pa.Table:
        with pq.ParquetFile(local_copy(self._files, shard.file)) as file:
            there = file.schema_arrow.names
            if missing := [name for name in columns or () if name not in there]:
                raise KeyError(
                    f"result {self.key[:12]} of stage {self.stage} has no {', '.join(missing)} from id {shard.start} "
                    f"on; it has: {there}"
                )
            return file.read(columns)


class Store:
    """Results by key, on a folder or any URL that fsspec knows."""

    def __init__(self, url: str | Path, report: Report | None = None) -> None:
        self.files = Files(str(url))
        self._report = report or (lambda message: None)

    @property
    def url(self) -> str:
        return self.files.url

    def get(self, key: str, *, checksum: bool = False) -> StoredResult | None:
        """The result, or None. Sizes are checked always, contents when asked. Raises DamagedResult."""
        try:
            record = self.files.read_record(f"results/{key}/result.json")
        except ValueError as error:
            raise DamagedResult(key, [str(error)]) from error
        if record is None:
            return None
        if record["format"] != FORMAT or record["key"] != key:
            raise DamagedResult(key, [f"is a record of format {record['format']} for key {record['key']}"])
        result = StoredResult(self.files, record)
        every_file = [*result.files.values(), *(shard.file for shard in result.shards)]
        problems = [p for file in every_file for p in self.files.problems(file, checksum=checksum)]
        if problems:
            raise DamagedResult(key, problems)
        return result

    def sound(self, key: str) -> StoredResult | None:
        """The result with every checksum verified, or None: a damaged one is reported and set aside."""
        while True:
            before = self._record_or_damage(key)
            try:
                return self.get(key, checksum=True)
            except DamagedResult as damage:
                if self._record_or_damage(key) != before:
                    continue  # checksums take long: meanwhile another run set it aside, and maybe put a whole one there
                where = self.set_aside(key)
                self._report(f"{damage}; set aside in {where}, will be computed again")
                return None

    def set_aside(self, key: str) -> str:
        """Move a result out of the way, for a person to look at: its record, and what that names.

        What else is there stays: another run may be uploading a whole one. A record that cannot be read names nothing.
        """
        record = self._record_or_damage(key)
        files = file_records(record.get("files", {})) if isinstance(record, dict) else {}
        folders = {PurePosixPath(file.path).parts[2] for file in files.values()}  # of results/<key>/<folder>/…
        where = f"set-aside/{key}-{uuid.uuid4().hex[:8]}"
        for name in ["result.json", *sorted(folders)]:
            self.files.move(f"results/{key}/{name}", f"{where}/{name}")
        return self.files.at(where)

    def _record_or_damage(self, key: str) -> dict[str, Any] | str | None:
        """The record of a key, in words how it is damaged, or None where there is none."""
        try:
            return self.files.read_record(f"results/{key}/result.json")
        except ValueError as error:
            return str(error)

    def commit(
        self,
        stage: Stage,
        output: Path,
        metrics: Mapping[str, float],
        cost: Cost,
        history: Sequence[Mapping[str, float]] = (),
        notes: Notes | None = None,
    ) -> StoredResult:
        """Commit the files in `output` (or the stage's finished shards) under the stage's key.

        A result that is already there stays: the same key means the same result.
        """
        there = self.sound(stage.key)
        if there is not None:
            return there
        if history:
            (output / "history.json").write_text(json.dumps(list(history), allow_nan=True))
        shards: list[Shard] = []
        if stage.kind == "map":
            shards = cover(self.shards(stage).good(), stage.amount)
            reached = shards[-1].stop if shards else 0
            if reached < stage.amount:
                raise StoreError(
                    f"stage {stage.name} is not whole: ids from {reached} on are missing, of {stage.amount}"
                )
        files = self.files.upload_folder(output, f"results/{stage.key}/{uuid.uuid4().hex[:8]}")
        config, asked = as_run(stage.config, notes or {})
        execution, asked_of_execution = as_run(stage.execution, notes or {})
        record = {
            "format": FORMAT,
            "key": stage.key,
            "lineage": stage.lineage,
            "stage": stage.name,
            "version": stage.version,
            "config": config,
            "execution": execution,
            "asked": asked | asked_of_execution,
            "inputs": {role: source.key for role, source in stage.inputs.items()},
            "budget": {
                "path": stage.budget.path if stage.budget else "",
                "amount": stage.amount,
                "unit": stage.unit,
            },
            "flops": stage.flops,
            "images": stage.images,
            "metrics": {name: _encode_number(float(value)) for name, value in metrics.items()},
            "cost": asdict(cost),
            "notes": dict(notes or {}),
            "files": as_json(files),
            "shards": [asdict(shard) for shard in shards],
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.files.write_record(f"results/{stage.key}/result.json", record)
        if stage.kind == "train":
            checkpoints = self.checkpoints(stage)
            checkpoints.prune(stage.amount, replace(checkpoints.rule, keep_last=1))
        committed = self.get(stage.key)
        assert committed is not None
        return committed

    def checkpoints(self, stage: Stage) -> Checkpoints:
        rule = stage.checkpointing or Checkpointing(every=stage.amount)
        return Checkpoints(self.files, stage.lineage, stage.amount, rule, self._report)

    def shards(self, stage: Stage) -> Shards:
        return Shards(self.files, stage.lineage, self._report)

    def decisions(self, study: JSON) -> Decisions:
        """What the scheduler of a study decided; `study` is whatever tells it from other studies."""
        return Decisions(self.files, f"studies/{digest(study)}/decisions")

    def suggestions(self, study: JSON) -> Suggestions:
        """What the searcher of a study suggested."""
        return Suggestions(self.files, f"studies/{digest(study)}/suggestions")

    def computed(self, study: JSON) -> Computed:
        """Which stages the runs of a study computed."""
        return Computed(self.files, f"studies/{digest(study)}/computed")

    def probe(self) -> None:
        """Raises StoreError unless it can be read and written, and has room: asked before anything expensive."""
        self.files.probe()

    def staging(self) -> AbstractContextManager[Path]:
        return self.files.staging()

    def results(self) -> Iterator[StoredResult]:
        """Every result whose record can be read; damaged ones are left for `sound` to report."""
        for key in self.files.names("results"):
            try:
                record = self.files.read_record(f"results/{key}/result.json")
            except ValueError:
                record = None
            if record is not None and record["format"] == FORMAT:
                yield StoredResult(self.files, record)


def _encode_number(value: float) -> float | str:
    """JSON has no NaN or infinity; a metric may be one, and must say so."""
    return value if math.isfinite(value) else str(value)


def _decode_number(value: float | str) -> float:
    return float(value)
