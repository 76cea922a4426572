"""Half-done work, kept by lineage: a training's checkpoints, a fan-out's shards.

Stages that differ only in their budget share a lineage, so a larger budget starts from what a smaller one left.
Checkpoints and shards are records too: whole or absent, checked before use, set aside when damaged.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.store.records import FileRecord, Files, as_json, file_records, local_copy

Range = tuple[int, int]
Report = Callable[[str], None]


class Checkpoints:
    """The checkpoints of one training, by step."""

    def __init__(self, files: Files, lineage: str, report: Report) -> None:
        self._files = files
        self._folder = f"progress/{lineage}/checkpoints"
        self._report = report

    def steps(self) -> list[int]:
        return sorted(int(n.removesuffix(".json")) for n in self._files.names(self._folder) if n.endswith(".json"))

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Commit a checkpoint that `write` puts in an empty folder; keep it and the one before."""
        with self._files.staging() as staging:
            write(staging)
            files = self._files.upload_folder(staging, f"{self._folder}/{step:09d}-{uuid.uuid4().hex[:8]}")
        self._files.write_record(f"{self._folder}/{step:09d}.json", {"step": step, "files": as_json(files)})
        self.prune(step, keep=2)

    def prune(self, step: int, keep: int = 1) -> None:
        """Of the checkpoints at or below `step`, drop all but the last `keep`; larger budgets' stay."""
        for old in [s for s in self.steps() if s <= step][:-keep]:
            self._drop(old)

    def latest(self, at_most: int) -> tuple[int, Path] | None:
        """(step, local folder) of the last good checkpoint at or below a step; damaged ones are told of and dropped."""
        for step in reversed([s for s in self.steps() if s <= at_most]):
            problems = self._problems(step)
            if not problems:
                return step, self._fetch(step)
            self._report(f"checkpoint of step {step} is damaged and was dropped: {'; '.join(problems)}")
            self._drop(step)
        return None

    def _record(self, step: int) -> dict[str, FileRecord]:
        content = self._files.read_record(f"{self._folder}/{step:09d}.json")
        return file_records(content["files"]) if content else {}

    def _problems(self, step: int) -> list[str]:
        try:
            files = self._record(step)
        except ValueError as error:
            return [str(error)]
        return [p for file in files.values() for p in self._files.problems(file)]

    def _fetch(self, step: int) -> Path:
        files = self._record(step)
        if self._files.is_local:
            first = next(iter(files.values()))
            return self._files.local_path(first.path).parent
        folder = local_copy(self._files, next(iter(files.values()))).parent / f"checkpoint-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        for name, file in files.items():
            (folder / name).symlink_to(local_copy(self._files, file))
        return folder

    def _drop(self, step: int) -> None:
        self._files.remove(f"{self._folder}/{step:09d}.json")
        for name in self._files.names(self._folder):
            if name.startswith(f"{step:09d}-"):
                self._files.remove(f"{self._folder}/{name}")


@dataclass(frozen=True)
class Shard:
    """Rows of the ids start ≤ id < stop, in one parquet file."""

    start: int
    stop: int
    file: FileRecord


class Shards:
    """The finished shards of one fan-out, by range of ids."""

    def __init__(self, files: Files, lineage: str, report: Report) -> None:
        self._files = files
        self._folder = f"progress/{lineage}/shards"
        self._report = report

    def write(self, table: pa.Table) -> Shard:
        """Commit rows whose `id` column is a contiguous, ascending range. Raises ValueError when it is not."""
        ids = table.column("id").to_numpy()
        start, stop = int(ids[0]), int(ids[-1]) + 1
        if len(ids) != stop - start or (len(ids) > 1 and not bool((ids[1:] - ids[:-1] == 1).all())):
            raise ValueError(
                f"a shard must hold each id of its range once, in order; got {len(ids)} from {start} to {stop - 1}"
            )
        name = f"{start:09d}-{stop:09d}"
        with self._files.staging() as staging:
            pq.write_table(table, staging / "rows.parquet", compression="zstd")
            file = self._files.upload(staging / "rows.parquet", f"{self._folder}/{name}-{uuid.uuid4().hex[:8]}.parquet")
        self._files.write_record(
            f"{self._folder}/{name}.json", {"start": start, "stop": stop, "files": as_json({"rows": file})}
        )
        return Shard(start, stop, file)

    def listed(self) -> list[Shard]:
        """Every shard with a whole record, by start, its content unchecked."""
        return self._shards(check=False)

    def good(self) -> list[Shard]:
        """Every shard that is whole, by start. A damaged one is reported and dropped, so that it is drawn again."""
        return self._shards(check=True)

    def _shards(self, check: bool) -> list[Shard]:
        shards = []
        for name in [n for n in self._files.names(self._folder) if n.endswith(".json")]:
            problems: list[str] = []
            try:
                content = self._files.read_record(f"{self._folder}/{name}")
                if content is None:
                    continue  # dropped by another process since it was listed
                shard = Shard(content["start"], content["stop"], file_records(content["files"])["rows"])
                shards.append(shard)
                problems = self._files.problems(shard.file) if check else []
            except ValueError as error:
                problems = [str(error)]
            if problems and check:
                self._report(
                    f"shard {name.removesuffix('.json')} is damaged and will be drawn again: {'; '.join(problems)}"
                )
                self._files.remove(f"{self._folder}/{name}")
                shards = [s for s in shards if f"{s.start:09d}-{s.stop:09d}.json" != name]
        return sorted(shards, key=lambda s: (s.start, -s.stop))


def cover(shards: Iterable[Shard], amount: int) -> list[Shard]:
    """The shards, in order, that together hold every id below `amount` once; those that add nothing are left out."""
    chosen: list[Shard] = []
    reached = 0
    for shard in shards:
        if shard.start == reached and reached < amount:
            chosen.append(shard)
            reached = shard.stop
    return chosen


def missing_ranges(shards: Iterable[Shard], amount: int, shard_size: int) -> list[Range]:
    """The ids below `amount` that no shard holds, as ranges that end at multiples of `shard_size` or at a shard."""
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
