"""A training's checkpoints, kept by lineage: a larger budget resumes from a smaller one.

A checkpoint is written in parts, one per rank, and exists once its record does: whole or absent, verified before use.
Its folder and its record are named "step-time-id", so that concurrent runs of the same training never overwrite each
other's.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from assay.store.downloads import local_copy
from assay.store.folders import Folder
from assay.store.records import FileRecord, Files, as_json, file_records
from assay.store.schema import CheckpointRecord, ReaderRecord
from assay.store.scratch import FETCHED, is_recent, scratch
from assay.workload import Checkpointing

RankFiles = Mapping[str, FileRecord]
"""File name → record of each file that one rank wrote."""


@dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint: the files of all ranks by name."""

    step: int
    files: Mapping[str, FileRecord]
    score: float | None = None
    amount: int = 0
    """The budget of the training that saved it."""
    origins: tuple[str, ...] = ()
    """Names of the records of the runs that computed it."""

    @property
    def place(self) -> str:
        """The folder of the store with all its files."""
        name, file = next(iter(self.files.items()))
        return file.path.removesuffix(f"/{name}")

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())

    def is_only_resume_point(self, steps: set[int]) -> bool:
        """Whether a training for this budget could resume here, but from none of these `steps` at or after it."""
        return self.step < self.amount and not any(self.step <= step <= self.amount for step in steps)


def kept(scores: Mapping[int, float | None], rule: Checkpointing) -> set[int]:
    """The steps whose checkpoints are kept. `scores`: step → score, or None if it has none."""
    steps = sorted(scores)
    stay = set(steps[-rule.keep_last :])
    if rule.keep_every is not None:
        stay |= {step for step in steps if step % rule.keep_every == 0}
    scored = [(score, step) for step, score in scores.items() if score is not None]
    if rule.keep_best and scored:
        stay.add(min(scored)[1])
    return stay


class Checkpoints:
    """The checkpoints of one training, by step."""

    def __init__(self, files: Files, lineage: str, amount: int, rule: Checkpointing) -> None:
        self._files = files
        self._folder = f"progress/{lineage}/checkpoints"
        self.records = Folder(
            *(files, self._folder, CheckpointRecord, r"[0-9]+(-\w+)*(\.json)?"),
            what=lambda name: f"checkpoint of step {_step(name)}",
            then="training resumes from the previous one",
        )
        self.readers = Folder(
            *(files, f"progress/{lineage}/readers", ReaderRecord, r"[0-9]+(-\w+)*-[0-9]+-\w+"),
            what="note of a reader {}".format,
            then="and rewritten",
            rebuild=lambda name: {},
            suffix="",
        )
        self._amount = amount
        self.rule = rule
        self._reading: str | None = None
        self._downloads: dict[Path, _Download] = {}

    def steps(self) -> list[int]:
        return sorted({_step(name) for name in self.records.records()})

    def origins(self, at_most: int) -> frozenset[str]:
        """Names of the records of the runs that computed the last checkpoint at or below a step."""
        names = [name for name in self.records.records() if _step(name) <= at_most]
        checkpoint = self._read(names[-1]) if names else None
        return frozenset() if checkpoint is None else frozenset(checkpoint.origins)

    # Saving: a folder, each rank's part, one record

    def new_place(self, step: int) -> str:
        """A fresh folder of the store for the parts of one checkpoint."""
        return f"{self._folder}/{step:09d}-{_now_and_id()}"

    def upload(self, part: Path, place: str) -> RankFiles:
        """Move the files of a local folder into the store. They do not count until they are committed."""
        return self._files.upload_folder(part, place)

    def commit(
        self, step: int, parts: Sequence[RankFiles], score: float | None = None, origins: Collection[str] = ()
    ) -> Checkpoint:
        """Commit the uploaded parts as one checkpoint, atomically, and remove checkpoints that are no longer needed.

        A score that is not finite counts as none. The checkpoint that `latest` returned must have been read by now.
        """
        files: dict[str, FileRecord] = {}
        for rank, part in enumerate(parts):
            if twice := sorted(files.keys() & part.keys()):
                raise ValueError(f"rank {rank} wrote {twice}, as another rank did; put the rank into file names")
            files |= part
        self._end_reading()
        score = score if score is not None and math.isfinite(score) else None
        saved = Checkpoint(step, files, score, self._amount, tuple(sorted(origins)))
        facts = {"step": step, "score": score, "amount": self._amount, "origins": [*saved.origins]}
        record = {**facts, "files": as_json(files)}
        self.records.write(f"{PurePosixPath(saved.place).name}.json", record)
        self.prune(step, self.rule)
        return saved

    def prune(self, step: int, rule: Checkpointing) -> None:
        """Remove checkpoints at or below `step` that are no longer needed, and the remains of interrupted saves.

        Other runs may train the same now. So these stay: folders without a record, which may be uploads in progress;
        what other runs read; and the last checkpoint towards a budget that all later ones exceed. All of these go once
        they are too old for anybody to be using them.
        """
        committed = {n: c for n in self.records.records() if _step(n) <= step and (c := self._read(n)) is not None}
        newest = {checkpoint.step: name for name, checkpoint in committed.items()}  # runs may have saved the same step
        stay = kept({s: committed[name].score for s, name in newest.items()}, rule)
        for name, checkpoint in reversed(committed.items()):
            if checkpoint.is_only_resume_point(stay) and _begun_recently(name):
                stay.add(checkpoint.step)
        dropped = committed.keys() - {newest[s] for s in stay}
        for name in dropped:
            self._files.remove(f"{self._folder}/{name}")
        # Not earlier: readers that started before the record was removed show up here; later ones find no record.
        read = self._read_by_others()
        places = {committed[newest[s]].place for s in stay}
        no_longer = {committed[name].place for name in dropped}
        for name in self.records.names():
            place = f"{self._folder}/{name}"
            if name.endswith(".json") or _step(name) > step or place in places | read:
                continue
            if place in no_longer or not _begun_recently(name):
                self._files.remove(place)

    # Resuming

    def latest(self, at_most: int) -> Checkpoint | None:
        """The last intact checkpoint at or below a step; damaged ones are reported and set aside.

        Its files stay until this object's next `commit`, whatever other runs prune.
        """
        seen: set[str] = set()
        # Listed again each time: meanwhile another run may have saved a later one and removed this one.
        while names := [n for n in self.records.records() if _step(n) <= at_most and n not in seen]:
            name = names[-1]
            seen.add(name)
            checkpoint = self._begin_reading(name)
            if checkpoint is None:
                continue
            problems = [p for file in checkpoint.files.values() for p in self._files.problems(file)]
            if not problems:
                return checkpoint
            self._end_reading()
            self.records.discard(name, "; ".join(problems), [PurePosixPath(checkpoint.place).name])
        return None

    def fetch(self, checkpoint: Checkpoint) -> Path:
        """A local folder with the checkpoint's files; call `forget` when they are read."""
        if self._files.is_local:
            return self._files.local_path(checkpoint.place)
        stack = ExitStack()
        folder = stack.enter_context(scratch(Path(tempfile.gettempdir()), FETCHED))
        copies = [self._download(file, folder / name) for name, file in checkpoint.files.items()]
        self._downloads[folder] = _Download(stack, copies)
        return folder

    def forget(self, folder: Path) -> None:
        """Remove what `fetch` downloaded: it is read once, and may be as large as the whole training state."""
        if self._files.is_local:
            return
        download = self._downloads.pop(folder)
        for copy in download.copies:
            copy.unlink(missing_ok=True)  # another worker of this machine may have been first
        download.folder.close()

    def _download(self, file: FileRecord, target: Path) -> Path:
        """Returns the copy that all workers of this machine share."""
        target.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                copy = local_copy(self._files, file)
                os.link(copy, target)  # keeps it readable when another worker forgets the copy
                return copy
            except FileNotFoundError:  # a worker just did
                continue

    def _begin_reading(self, name: str) -> Checkpoint | None:
        """The checkpoint, protected from pruning from now on; None if it is damaged or gone."""
        checkpoint = self._read(name)
        if checkpoint is None:
            return None
        self._reading = f"{PurePosixPath(checkpoint.place).name}-{_now_and_id()}"
        self.readers.write(self._reading, {})
        if self._read(name) is None:  # another run removed it, perhaps without seeing this reader
            self._end_reading()
            return None
        return checkpoint

    def _end_reading(self) -> None:
        if self._reading is not None:
            self._files.remove(f"{self.readers.path}/{self._reading}")
            self._reading = None

    def _read_by_others(self) -> set[str]:
        """The folders that somebody reads from."""
        places = set()
        for name in self.readers.names():  # a reader's name says what it reads
            if _begun_recently(name):
                places.add(f"{self._folder}/{name.rsplit('-', 2)[0]}")
            else:
                self._files.remove(f"{self.readers.path}/{name}")
        return places

    def _read(self, name: str) -> Checkpoint | None:
        record = self.records.read(name)
        if record is None:
            return None
        files = file_records(record.files)
        return Checkpoint(record.step, files, record.score, record.amount, tuple(record.origins))


@dataclass(frozen=True)
class _Download:
    folder: ExitStack
    """Closing it removes the folder."""
    copies: Sequence[Path]


def read_lately(files: Files, lineage: str) -> bool:
    """Whether somebody began to read a checkpoint of this training within a day, and has not said that it ended."""
    return any(map(_begun_recently, files.names(f"progress/{lineage}/readers")))


def _now_and_id() -> str:
    return f"{int(time.time())}-{uuid.uuid4().hex[:8]}"


def _step(name: str) -> int:
    return int(name.removesuffix(".json").partition("-")[0])


def _begun_recently(name: str) -> bool:
    """Whether the time in a name (see `_now_and_id`) is recent. Older names, "step" and "step-id", have no time."""
    parts = name.removesuffix(".json").split("-")
    return len(parts) > 2 and parts[-2].isdecimal() and is_recent(int(parts[-2]))
