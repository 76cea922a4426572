"""The store: `results/<key>/`, `progress/<lineage>/`, `studies/<digest>/`, `running/`, `set-aside/`.

A result exists once `results/<key>/result.json` does, which lists every file with its checksum. A result that no
longer matches is reported, moved to `set-aside/` and computed again; it never reaches a metric.
"""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import BodyError, DamagedResult, StoreError
from assay.store.checkpoints import Checkpoints
from assay.store.damage import Damage
from assay.store.downloads import local_copy
from assay.store.folders import KEY, Folder
from assay.store.journal import Computed, Decisions, Suggestions
from assay.store.leases import Leases
from assay.store.records import FileRecord, Files, Reporter, as_json, file_record, file_records, typed
from assay.store.resolved_config import as_run
from assay.store.running import LIFETIME_S, Runs
from assay.store.schema import OriginRecord, ResultRecord, RunningRecord
from assay.store.shards import Shard, Shards, cover, mixed_columns
from assay.text import first_line, json_number
from assay.workload import JSON, Checkpointing, Stage, digest

FORMAT = 1
HISTORY = "history.json"
"""The file with the points that a stage logged."""
Notes = Mapping[str, str | float]
"""What a stage noted about its run: {"train.precision": "bf16", "steps_per_second": 12.5}."""


@dataclass(frozen=True)
class Cost:
    """What a stage used: `count` devices of a kind for `seconds`."""

    device: str
    count: int
    seconds: float
    details: Mapping[str, Any] = field(default_factory=dict)
    """Includes `items`: how many items these seconds were for; the rest of the budget came from a smaller one."""


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from. Empty in older stores."""

    origins: frozenset[str] = frozenset()
    """The origins of every run that computed a part of it; `Store.origin` reads them."""
    hosts: frozenset[str] = frozenset()
    """The machines that computed it."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """What only a worker knows: the versions of CUDA, cuDNN and the driver."""


class StoredResult:
    """A committed result: the `Result` that stages read."""

    def __init__(self, files: Files, content: Mapping[str, Any], path: str) -> None:
        """Raises Damage if the record at `path` is invalid."""
        read = typed(path, ResultRecord, content)
        self._files = files
        self.record = content
        """The raw content, for a digest of all of it. Use the properties for anything else."""
        self.key = read.key
        self.stage = read.stage
        self.version = read.version
        self.metrics: Mapping[str, float] = {name: float(value) for name, value in read.metrics.items()}
        self.cost = Cost(read.cost.device, read.cost.count, read.cost.seconds, read.cost.details)
        self.notes: Notes = read.notes
        made = read.provenance
        self.provenance = Provenance(frozenset(made.origins), frozenset(made.hosts), made.versions)
        self.asked: Mapping[str, JSON] = read.asked
        """Dotted path → the value asked for, where the config has the chosen one: {"train.precision": "auto"}."""
        self.created = read.created
        """Time of the commit: ISO 8601, with its time zone."""
        self.config: Mapping[str, JSON] = read.config
        self.execution: Mapping[str, JSON] = read.execution
        self.inputs: Mapping[str, str] = read.inputs
        """Role → key of the result that was read."""
        self.contents_read = read.read
        """Role → the `content` of the result that was read; empty in older stores."""
        self.rows_read = read.rows
        """The stage whose rows a map stage read, and how they were computed; None if it was given ids."""
        self.budget = read.budget
        self.flops = read.flops
        """Theoretical operations of the whole budget; None if the stage declares none."""
        self.items = read.items
        """Items that the stage declared for the whole budget; None if it declared none."""
        self.files = file_records(read.files)
        self.shards = tuple(Shard(s.start, s.stop, file_record(s.file)) for s in read.shards)
        if path != f"results/{self.key}/result.json" or any(
            not entry.path.startswith(f"results/{self.key}/") for entry in read.entries
        ):
            raise Damage(path, f"is the record of another key, {self.key}")

    @cached_property
    def content(self) -> str:
        """A digest of what a stage may read of it. It differs where a result was computed again and became another."""
        files = {name: file.sha256 for name, file in self.files.items() if name != HISTORY}
        return digest([files, [shard.file.sha256 for shard in self.shards], dict(self.record["metrics"])])

    def file(self, name: str) -> Path:
        if name not in self.files:
            raise KeyError(
                f"result {self.key[:12]} of stage {self.stage} has no file {name!r}; it has: {sorted(self.files)}"
            )
        return local_copy(self._files, self.files[name])

    @property
    def file_bytes(self) -> dict[str, int]:
        """Name → size of the files apart from its rows, which `file` fetches."""
        return {name: record.bytes for name, record in self.files.items()}

    @property
    def bytes(self) -> int:
        """Size of files and shards. Shards shared with a smaller budget count in both."""
        return sum(self.file_bytes.values()) + sum(shard.file.bytes for shard in self.shards)

    @property
    def share_charged(self) -> float:
        """The part of the budget that `cost` covers: the rest was reused from a smaller budget."""
        return float(self.cost.details.get("items", self.budget.amount)) / self.budget.amount

    @property
    def history(self) -> list[dict[str, float]]:
        """The points that the stage logged: [{"step": …, metric: …}, …]."""
        if HISTORY not in self.files:
            return []
        try:
            return json.loads(self.file(HISTORY).read_bytes())
        except (OSError, ValueError) as error:
            raise self._damage(self.files[HISTORY], error) from error

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Rows one shard at a time, in order of ids, each id below the budget exactly once."""
        amount = self.budget.amount
        names = None if columns is None else list(dict.fromkeys(["id", *columns]))
        reached = 0
        for shard in self.shards:
            table = self._read(shard, names).slice(0, amount - shard.start)
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
        """Rows of start ≤ id < stop. Each shard that is read is verified first."""
        tables = []
        for shard in self.shards:
            if shard.start < stop and start < shard.stop:
                if problems := self._files.problems(shard.file):
                    raise DamagedResult(self.key, problems)
                table = self._read(shard, columns)
                tables.append(table.slice(max(0, start - shard.start), stop - max(start, shard.start)))
        return pa.concat_tables(tables)

    def _read(self, shard: Shard, columns: Sequence[str] | None) -> pa.Table:
        try:
            with pq.ParquetFile(local_copy(self._files, shard.file)) as file:
                columns_there = file.schema_arrow.names
                missing = [name for name in columns or () if name not in columns_there]
                table = None if missing else file.read(columns)
        except (OSError, pa.ArrowException) as error:
            raise self._damage(shard.file, error) from error
        if table is None:
            raise KeyError(
                f"result {self.key[:12]} of stage {self.stage} has no {', '.join(missing)} from id {shard.start} "
                f"on; it has: {columns_there}"
            )
        return table

    def _damage(self, file: FileRecord, error: Exception) -> DamagedResult:
        return DamagedResult(self.key, [f"{file.path} cannot be read: {first_line(error)}"])


class Store:
    """Results by key, in a folder or an object store that fsspec knows."""

    def __init__(
        self,
        url: str | Path,
        report: Reporter | None = None,
        *,
        heals: bool = True,
        origin: str = "",
        run: str = "",
    ) -> None:
        """`report` is called with damage. With `heals=False`, for read-only commands, damage is not set aside. `origin`
        is that of the run: what `begin` returned to its driver. `run`: the id of its note in `running/`."""
        self.files = Files(str(url), report, heals=heals, origin=origin)
        self.run = run
        self.origin_records = Folder(
            self.files, "origins", OriginRecord, rf"{KEY}\.json", what="origin {}".format, then="and no longer known"
        )

    @property
    def url(self) -> str:
        return self.files.url

    def get(self, key: str, *, checksum: bool = False) -> StoredResult | None:
        """The result, or None. Always checks sizes; checks contents if asked. Raises DamagedResult."""
        try:
            result = self.read(key)
        except Damage as damage:
            raise DamagedResult(key, [str(damage)]) from damage
        if result is None:
            return None
        every_file = [*result.files.values(), *(shard.file for shard in result.shards)]
        problems = [p for file in every_file for p in self.files.problems(file, checksum=checksum)]
        if problems:
            raise DamagedResult(key, problems)
        return result

    def find(self, key: str, *, checksum: bool = False) -> StoredResult | None:
        """Like `get`, but a damaged result is reported and counts as None: the next run computes it again."""
        try:
            return self.get(key, checksum=checksum)
        except DamagedResult as damage:
            self.files.tell_once(f"results/{key}", f"{damage}; left out, see: assay doctor")
            return None

    def sound(self, key: str) -> StoredResult | None:
        """The result with every checksum verified, or None. A damaged one is reported and set aside."""
        while True:
            before = self._record_or_damage(key)
            try:
                return self.get(key, checksum=True)
            except DamagedResult as damage:
                if self._record_or_damage(key) != before:
                    continue  # checksums take long: meanwhile another run may have set it aside and replaced it
                self.set_aside(key, str(damage))
                return None

    def set_aside(self, key: str, why: str) -> None:
        """Move a result's record, and the folders it lists, to set-aside/ for a person to look at.

        Other folders stay: another run may be uploading to one. An unreadable record lists nothing.
        """
        at = f"results/{key}"
        try:
            result = self.read(key)
            damaged = f"{at}/result.json"
        except Damage as damage:  # perhaps of the folder itself
            result, damaged = None, damage.path
        files = [] if result is None else result.files.values()
        folders = sorted({PurePosixPath(file.path).parts[2] for file in files})  # results/<key>/<folder>/…
        self.files.discard(damaged, why, [f"{at}/{folder}" for folder in folders], "will be computed again")

    def forget(self, stage: Stage, kept: Set[str]) -> bool:
        """Move what is stored of a stage to set-aside/, with the records of its checkpoints and shards, so that it is
        computed anew. Returns whether there was any.

        Larger and smaller budgets share these, so files that a `kept` path names stay: their results list them.
        """
        parts = [folder for folder in self._progress_of(stage) if self.files.names(folder)]
        names = [f"{folder}/{name}" for folder in parts for name in self.files.names(folder)]
        progress = [path for path in names if path not in kept]
        result = [path for path in [f"results/{stage.key}"] if self.files.names(path)]
        moved = [self.files.set_aside(paths) for paths in (result, progress) if paths]
        return any(folder is not None for folder in moved)

    def _progress_of(self, stage: Stage) -> list[str]:
        return [f"progress/{stage.lineage}/{name}" for name in ("checkpoints", "shards", "settled", "charged")]

    def shard_files(self, besides: Set[str]) -> frozenset[str]:
        """The files of shards that results list, but for those with these keys."""
        results = (result for result in self.results() if result.key not in besides)
        return frozenset(shard.file.path for result in results for shard in result.shards)

    def read(self, key: str) -> StoredResult | None:
        """The result by its record; its files are not checked. Raises Damage."""
        path = f"results/{key}/result.json"
        content = self.files.read_record(path)
        return None if content is None else StoredResult(self.files, content, path)

    def _record_or_damage(self, key: str) -> Mapping[str, Any] | str | None:
        """The record of a key, a description of its damage, or None if there is none."""
        try:
            result = self.read(key)
            return None if result is None else result.record
        except Damage as damage:
            return str(damage)

    def commit(
        self,
        stage: Stage,
        output: Path,
        metrics: Mapping[str, float],
        cost: Cost,
        history: Sequence[Mapping[str, float]] = (),
        notes: Notes | None = None,
        provenance: Provenance = Provenance(),  # frozen
    ) -> StoredResult:
        """Commit the files in `output` (or the stage's finished shards) under the stage's key.

        If there is a result already, it stays: the same key means the same result.
        """
        existing = self.sound(stage.key)
        if existing is not None:
            return existing
        if history:
            (output / HISTORY).write_text(json.dumps(list(history), allow_nan=True))
        shards: list[Shard] = []
        if stage.kind == "map":
            shards = cover(self.shards(stage).good(), stage.amount)
            reached = shards[-1].stop if shards else 0
            if reached < stage.amount:
                raise StoreError(f"stage {stage.name} is incomplete: id {reached} of {stage.amount} is missing")
            if mixed := mixed_columns(shards, stage.stored_prefix):
                raise BodyError(
                    f"stage {stage.name}: {mixed}; expected one type for all ids. If its body was edited in between, "
                    "raise the stage's version to compute all of them again"
                )
        folder = uuid.uuid4().hex[:8]
        files = self.files.upload_folder(output, f"results/{stage.key}/{folder}")
        config, asked = as_run(stage.config, notes or {})
        execution, asked_of_execution = as_run(stage.execution, notes or {})
        record = {
            "format": FORMAT,
            "key": stage.key,
            "lineage": stage.lineage,
            "stage": stage.name,
            "version": stage.version,
            "body": list(stage.body),
            "config": config,
            "execution": execution,
            "asked": asked | asked_of_execution,
            "inputs": {role: source.key for role, source in stage.inputs.items()},
            "read": self._contents(stage),
            "rows": None if stage.rows is None else _rows_entry(stage.rows, notes or {}),
            "budget": {
                "path": stage.budget.path if stage.budget else "",
                "amount": stage.amount,
                "unit": stage.unit,
            },
            "flops": stage.flops,
            "items": stage.items,
            "metrics": {name: json_number(float(value)) for name, value in metrics.items()},
            "cost": asdict(cost),
            "notes": dict(notes or {}),
            "provenance": self._made(provenance, shards),
            "files": as_json(files),
            "shards": [asdict(shard) for shard in shards],
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.files.write_record(f"results/{stage.key}/result.json", record)
        self.files.remove_leftovers(f"results/{stage.key}", {folder})
        if stage.kind == "train":
            checkpoints = self.checkpoints(stage)
            checkpoints.prune(stage.amount, replace(checkpoints.rule, keep_last=1))
        committed = self.get(stage.key)
        assert committed is not None
        return committed

    def _contents(self, stage: Stage) -> dict[str, str]:
        """Role → the content of the input that a stage has read."""
        read = ((role, self.read(source.key)) for role, source in stage.inputs.items())
        return {role: result.content for role, result in read if result is not None}

    def _made(self, provenance: Provenance, shards: Sequence[Shard]) -> dict[str, JSON]:
        """Where a result comes from: what the caller knows, this process, and those that wrote its shards."""
        origins = {*provenance.origins, self.files.origin, *(shard.origin for shard in shards)} - {""}
        hosts = {*provenance.hosts, socket.gethostname(), *(shard.host for shard in shards)} - {""}
        versions = {name: version for shard in shards for name, version in shard.versions.items()}
        return {"origins": sorted(origins), "hosts": sorted(hosts), "versions": versions | dict(provenance.versions)}

    def begin(self, content: Mapping[str, JSON]) -> None:
        """Write the origin of a run, which everything that is stored from now on names."""
        origin = digest(content)
        self.origin_records.write(f"{origin}.json", content)
        self.files.origin = origin

    def origin(self, origin: str) -> OriginRecord | None:
        """What a run said of itself; None if that is not known, or damaged."""
        return self.origin_records.read(f"{origin}.json")

    def origins_of_progress(self, stage: Stage) -> frozenset[str]:
        """The origins of the runs that computed the part of a stage that is stored."""
        if stage.kind == "train":
            return self.checkpoints(stage).origins(stage.amount)
        if stage.kind == "map":
            return frozenset(shard.origin for shard in cover(self.shards(stage).listed(), stage.amount)) - {""}
        return frozenset()

    def checkpoints(self, stage: Stage) -> Checkpoints:
        rule = stage.checkpointing or Checkpointing(every=stage.amount)
        return Checkpoints(self.files, stage.lineage, stage.amount, rule)

    def shards(self, stage: Stage) -> Shards:
        return Shards(self.files, stage.lineage)

    def decisions(self, study: JSON) -> Decisions:
        """The decisions of a study's scheduler; `study` is what identifies the study."""
        return Decisions(self.files, f"studies/{digest(study)}/decisions")

    def suggestions(self, study: JSON, batch: int = 1) -> Suggestions:
        """The suggestions of a study's searcher, `batch` at a time."""
        return Suggestions(self.files, f"studies/{digest(study)}/suggestions", batch)

    def computed(self, study: Mapping[str, JSON]) -> Computed:
        """The stages that the runs of a study computed; `study` includes its `sweep` and `profile`."""
        facts = {name: study[name] for name in ("sweep", "profile") if name in study}
        return Computed(self.files, f"studies/{digest(study)}/computed", facts)

    @property
    def runs(self) -> Runs:
        return Runs(self.files)

    def running(self, within_s: float = LIFETIME_S) -> list[RunningRecord]:
        """The runs in progress, the latest first: those that renewed their record within this time."""
        return self.runs.live(within_s)

    def leases(self) -> Leases:
        """What the run of this store computes while no other run does; empty-handed if it has no run."""
        return Leases(self.files, self.run)

    def probe(self) -> None:
        """Raises StoreError unless the store can be read and written and has space. Called before expensive work."""
        self.files.probe()

    def staging(self) -> AbstractContextManager[Path]:
        return self.files.staging()

    def results(self) -> Iterator[StoredResult]:
        """Every result with a readable record. Damaged ones are reported, and left for `sound` to set aside."""
        for key in self.known():
            try:
                result = self.read(key)
            except Damage as damage:
                self.files.tell_once(
                    f"results/{key}", f"stored result {key} is damaged: {damage}; left out, see: assay doctor"
                )
            else:
                if result is not None:
                    yield result

    def known(self) -> list[str]:
        """The keys that have a folder, finished or not."""
        return [name for name in self.files.names("results") if re.fullmatch(KEY, name)]


def _rows_entry(stage: Stage, notes: Notes) -> dict[str, JSON]:
    inputs = {role: source.key for role, source in stage.inputs.items()}
    return {"key": stage.key, "stage": stage.name, "config": as_run(stage.config, notes)[0], "inputs": inputs}
