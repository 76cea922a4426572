"""A fan-out's finished shards, kept by lineage: a larger budget continues from a smaller one.

A shard has a record too: whole or absent, verified before use, computed again if damaged. Its file and record have
unique names, since another run may compute the same shard at the same time, and a damaged one is removed alone.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import StoreError, UserError
from assay.store.downloads import local_copy
from assay.store.folders import Folder
from assay.store.records import FileRecord, Files, as_json, file_record
from assay.store.schema import ChargedRecord, SettledRecord, ShardRecord
from assay.workload import digest

Range = tuple[int, int]


@dataclass(frozen=True)
class Shard:
    """Rows of the ids start ≤ id < stop, in one parquet file."""

    start: int
    stop: int
    file: FileRecord
    device: str = ""
    """The device that computed it, and the seconds it took. Empty in older stores."""
    seconds: float = 0.0
    origin: str = ""
    host: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    """Column → type. Empty in older stores."""


class Shards:
    """The finished shards of one fan-out, by range of ids."""

    def __init__(self, files: Files, lineage: str) -> None:
        self._files = files
        at = f"progress/{lineage}"
        self.records = Folder(
            *(files, f"{at}/shards", ShardRecord, r"[0-9]+-[0-9]+(-\w+)?\.(json|parquet)"),
            what="shard {}".format,
            then="will be computed again",
        )
        self.answers = Folder(
            *(files, f"{at}/settled", SettledRecord, r".+\.json"),
            what="chosen value {}".format,
            then="will be chosen again",
        )
        self.charges = Folder(
            *(files, f"{at}/charged", ChargedRecord, r"[0-9]+\.json"),
            what="note of a charge {}".format,
            then="and rewritten",
            rebuild=lambda name: {"amount": int(name)},
        )

    def write(
        self, table: pa.Table, device: str = "", seconds: float = 0.0, versions: Mapping[str, str] | None = None
    ) -> Shard:
        """Commit rows whose `id` column is a contiguous, ascending range. Raises ValueError if it is not. `versions`:
        of CUDA and the like, where they were computed."""
        ids = table.column("id").to_numpy()
        start, stop = int(ids[0]), int(ids[-1]) + 1
        if len(ids) != stop - start or (len(ids) > 1 and not bool((ids[1:] - ids[:-1] == 1).all())):
            raise ValueError(
                f"a shard must hold each id of its range once, in order; got {len(ids)} from {start} to {stop - 1}"
            )
        name = f"{start:09d}-{stop:09d}-{uuid.uuid4().hex[:8]}"
        with self._files.staging() as staging:
            pq.write_table(table, staging / "rows.parquet", compression="zstd")
            file = self._files.upload(staging / "rows.parquet", f"{self.records.path}/{name}.parquet")
        columns = {column.name: str(column.type) for column in table.schema}
        origin, host = self._files.origin, socket.gethostname()
        made = {"device": device, "seconds": seconds, "origin": origin, "host": host, "versions": dict(versions or {})}
        facts = {**made, "settled": dict(self._settled()), "columns": columns}
        content = {"start": start, "stop": stop, "files": as_json({"rows": file}), **facts}
        self.records.write(f"{name}.json", content)
        return Shard(start, stop, file, device, seconds, origin, host, versions or {}, columns)

    def charge(self, amount: int) -> None:
        """Note that a result with this many ids was committed, with the cost of all its shards."""
        self.charges.write(f"{amount:09d}.json", {"amount": amount})

    def uncharged(self, amount: int) -> list[Shard]:
        """Shards below `amount` that no result was charged for: the run that computed them was interrupted."""
        charged = [int(name.removesuffix(".json")) for name in self.charges.records()]  # a charge's name is its amount
        return [shard for shard in cover(self.listed(), amount) if shard.start >= max(charged, default=0)]

    def settle(self, path: str, answer: str | float) -> None:
        """Choose a value that the config leaves open ("auto") for all shards.

        Raises UserError if another worker chose otherwise; this one has computed nothing yet, so results never mix.
        """
        name = f"{digest([path, answer])}.json"
        if self.answers.read(name) is None:
            self.answers.write(name, {"path": path, "answer": answer})
        if others := {a for p, a in self._answers() if p == path and a != answer}:
            chosen = " and ".join(sorted(map(str, {answer, *others})))
            raise UserError(
                f"{path} resolved to {chosen} on different devices, whose results must not be mixed: set {path} to one "
                "of them"
            )

    def settled(self) -> dict[str, str | float]:
        """Dotted path of the config → the value chosen when the first shards were computed."""
        return dict(self._answers())

    def _answers(self) -> list[tuple[str, str | float]]:
        """Shards hold the choices too, in case the record of a choice was damaged."""
        of_shards = [item for record in self.records.all().values() for item in record.settled.items()]
        return [*of_shards, *self._settled()]

    def _settled(self) -> list[tuple[str, str | float]]:
        return [(record.path, record.answer) for record in self.answers.all().values()]

    def listed(self) -> list[Shard]:
        """Every shard with a valid record, by start. Contents are not verified."""
        return _in_order(map(_shard, self.records.all().values()))

    def good(self) -> list[Shard]:
        """Every intact shard, by start. A damaged one is reported and set aside, so that it is computed again."""
        shards = []
        for name, record in self.records.all().items():
            shard = _shard(record)
            if problems := self._files.problems(shard.file):
                self.records.discard(name, "; ".join(problems), self.records.held(record.entries))
            else:
                shards.append(shard)
        return _in_order(shards)

    def rows(self, listed: Iterable[Shard], start: int, stop: int) -> pa.Table:
        """The rows start ≤ id < stop from shards that are listed in order, with verified checksums."""
        tables, reached = [], start
        for shard in listed:
            if shard.start <= reached < min(shard.stop, stop):
                if problems := self._files.problems(shard.file):
                    raise StoreError("; ".join(problems))
                with pq.ParquetFile(local_copy(self._files, shard.file)) as file:
                    tables.append(file.read().slice(reached - shard.start, stop - reached))
                reached = min(shard.stop, stop)
        if reached < stop:
            raise StoreError(f"{self.records.path} has no shard with the id {reached}")
        return pa.concat_tables(tables)


def _in_order(shards: Iterable[Shard]) -> list[Shard]:
    return sorted(shards, key=lambda s: (s.start, -s.stop))


def _shard(record: ShardRecord) -> Shard:
    made = record.device, record.seconds, record.origin, record.host, record.versions
    return Shard(record.start, record.stop, file_record(record.files.rows), *made, record.columns)


def cover(shards: Iterable[Shard], amount: int) -> list[Shard]:
    """The shards, in order, that together hold every id below `amount` once; redundant ones are left out."""
    chosen: list[Shard] = []
    reached = 0
    for shard in shards:
        if shard.start == reached and reached < amount:
            chosen.append(shard)
            reached = shard.stop
    return chosen


def mixed_columns(shards: Iterable[Shard], stored_prefix: Collection[str]) -> str | None:
    """How the columns of a result's shards differ, as a phrase; None if all agree.

    Columns of `stored_prefix` may be missing. Shards of older stores do not list their columns.
    """
    typed = [shard for shard in shards if shard.columns]
    for shard in typed[1:]:
        before, now = typed[0].columns, shard.columns
        for name in {**before, **now}:
            if before.get(name) != now.get(name) and not (name in stored_prefix and name not in now):
                kinds = [columns.get(name, "missing") for columns in (before, now)]
                return (
                    f"its column {name!r} is {kinds[0]} for the ids {typed[0].start:,} to {typed[0].stop - 1:,}, and "
                    f"{kinds[1]} for {shard.start:,} to {shard.stop - 1:,}"
                )
    return None


def missing_ranges(shards: Iterable[Shard], amount: int, shard_size: int) -> list[Range]:
    """The ids below `amount` in no shard, as ranges that end at multiples of `shard_size` or at a shard."""
    gaps: list[Range] = []
    reached = 0
    for shard in [*shards, None]:
        until = amount if shard is None else min(shard.start, amount)
        while reached < until:
            stop = min(until, (reached // shard_size + 1) * shard_size)
            gaps.append((reached, stop))
            reached = stop
        if shard is not None:
            reached = max(reached, shard.stop)
    return gaps
