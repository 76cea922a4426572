"""A training's checkpoints, kept by lineage: a larger budget starts from what a smaller one left.

A checkpoint is written in parts, one a rank, and is there when its record is: whole or absent, checked before use. Its
folder and its record have a name of their own, "step-when-id", so that runs which train the same at the same time write
over nothing of each other's.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from assay.store.downloads import local_copy
from assay.store.folders import Folder
from assay.store.records import FileRecord, Files, as_json, file_records
from assay.store.schema import CheckpointRecord, ReaderRecord
from assay.store.scratch import FETCHED, is_recent, scratch
from assay.workload import Checkpointing

Part = Mapping[str, FileRecord]
"""File name → record: what one rank wrote."""


@dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint: every rank's files by name."""

    step: int
    files: Mapping[str, FileRecord]
    score: float | None = None
    amount: int = 0
    """The budget that it was saved on the way to."""

    @property
    def place(self) -> str:
        """The folder of the store that holds all its files."""
        name, file = next(iter(self.files.items()))
        return file.path.removesuffix(f"/{name}")

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())

    def leads_where_none_does(self, steps: set[int]) -> bool:
        """Whether who is on the way to its budget could go on from it, and from none of these steps that is as far."""
        return self.step < self.amount and not any(self.step <= step <= self.amount for step in steps)


def kept(scores: Mapping[int, float | None], rule: Checkpointing) -> set[int]:
    """Which of the steps that have a checkpoint stay. `scores`: step → score, None where there is none."""
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
            then="training goes on from the one before",
        )
        self.readers = Folder(
            *(files, f"progress/{lineage}/readers", ReaderRecord, r"[0-9]+(-\w+)*-[0-9]+-\w+"),
            what="note of a reader {}".format,
            then="and written anew",
            anew=lambda name: {},
            suffix="",
        )
        self._amount = amount
        self.rule = rule
        self._reading: str | None = None
        self._downloads: dict[Path, _Download] = {}

    def steps(self) -> list[int]:
        return sorted({_step(name) for name in self.records.records()})

    # Saving: a place, every rank's part, one record

    def new_place(self, step: int) -> str:
        """A fresh folder of the store, for every rank to put its part of a checkpoint in."""
        return f"{self._folder}/{step:09d}-{_now_and_id()}"

    def upload(self, part: Path, place: str) -> Part:
        """Move the files in a local folder to the place. They count for nothing until they are committed."""
        return self._files.upload_folder(part, place)

    def commit(self, step: int, parts: Sequence[Part], score: float | None = None) -> Checkpoint:
        """Make the uploaded parts a checkpoint, in one step, and drop what need not stay any more.

        A score that is no finite number counts as none. What `latest` found must have been read.
        """
        files: dict[str, FileRecord] = {}
        for rank, part in enumerate(parts):
            if twice := sorted(files.keys() & part.keys()):
                raise ValueError(f"rank {rank} wrote {twice}, as another rank did; a file's name must tell its rank")
            files |= part
        self._end_reading()
        score = score if score is not None and math.isfinite(score) else None
        saved = Checkpoint(step, files, score, self._amount)
        record = {"step": step, "score": score, "amount": self._amount, "files": as_json(files)}
        self.records.write(f"{PurePosixPath(saved.place).name}.json", record)
        self.prune(step, self.rule)
        return saved

    def prune(self, step: int, rule: Checkpointing) -> None:
        """Drop what need not stay of checkpoints at or below `step`, and what saves that were cut off left there.

        Other runs may train the same at this moment. So these stay: what has no record, which one of them may be
        uploading; what one of them reads; and the last that leads to a budget which all later ones are beyond. When
        they are so old that nobody can be busy with them any more, they go, too.
        """
        there = {n: c for n in self.records.records() if _step(n) <= step and (c := self._read(n)) is not None}
        newest = {checkpoint.step: name for name, checkpoint in there.items()}  # runs may have saved the same step
        stay = kept({s: there[name].score for s, name in newest.items()}, rule)
        for name, checkpoint in reversed(there.items()):
            if checkpoint.leads_where_none_does(stay) and _begun_recently(name):
                stay.add(checkpoint.step)
        dropped = there.keys() - {newest[s] for s in stay}
        for name in dropped:
            self._files.remove(f"{self._folder}/{name}")
        # Only now: who began to read one before its record went is found here, and who comes later finds no record.
        read = self._read_by_others()
        places = {there[newest[s]].place for s in stay}
        no_longer = {there[name].place for name in dropped}
        for name in self.records.names():
            place = f"{self._folder}/{name}"
            if name.endswith(".json") or _step(name) > step or place in places | read:
                continue
            if place in no_longer or not _begun_recently(name):
                self._files.remove(place)

    # Going on from one

    def latest(self, at_most: int) -> Checkpoint | None:
        """The last good checkpoint at or below a step; damaged ones are told of and dropped.

        Its files stay until this object's next `commit`, whatever other runs prune.
        """
        seen: set[str] = set()
        # Listed anew each time: while this one was looked at, another run may have saved a later one and dropped it.
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
        """A local folder with the checkpoint's files, to read from until `forget`."""
        if self._files.is_local:
            return self._files.local_path(checkpoint.place)
        stack = ExitStack()
        folder = stack.enter_context(scratch(Path(tempfile.gettempdir()), FETCHED))
        copies = [self._download(file, folder / name) for name, file in checkpoint.files.items()]
        self._downloads[folder] = _Download(stack, copies)
        return folder

    def forget(self, folder: Path) -> None:
        """Remove what `fetch` downloaded: it was read once, and may be as large as all that a training holds."""
        if self._files.is_local:
            return
        download = self._downloads.pop(folder)
        for copy in download.copies:
            copy.unlink(missing_ok=True)  # another worker of this machine may have come first
        download.folder.close()

    def _download(self, file: FileRecord, target: Path) -> Path:
        """Returns the copy that all workers of this machine share."""
        target.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                copy = local_copy(self._files, file)
                os.link(copy, target)  # it stays to be read here when another worker forgets the copy
                return copy
            except FileNotFoundError:  # one did, just now
                continue

    def _begin_reading(self, name: str) -> Checkpoint | None:
        """A checkpoint whose files nobody drops from now on; None where it is damaged, or is there no more."""
        checkpoint = self._read(name)
        if checkpoint is None:
            return None
        self._reading = f"{PurePosixPath(checkpoint.place).name}-{_now_and_id()}"
        self.readers.write(self._reading, {})
        if self._read(name) is None:  # another run dropped it, and may not have seen that it is being read
            self._end_reading()
            return None
        return checkpoint

    def _end_reading(self) -> None:
        if self._reading is not None:
            self._files.remove(f"{self.readers.path}/{self._reading}")
            self._reading = None

    def _read_by_others(self) -> set[str]:
        """The places that somebody reads from."""
        places = set()
        for name in self.readers.names():  # they say it all
            if _begun_recently(name):
                places.add(f"{self._folder}/{name.rsplit('-', 2)[0]}")
            else:
                self._files.remove(f"{self.readers.path}/{name}")
        return places

    def _read(self, name: str) -> Checkpoint | None:
        record = self.records.read(name)
        if record is None:
            return None
        return Checkpoint(record.step, file_records(record.files), record.score, record.amount)


@dataclass(frozen=True)
class _Download:
    folder: ExitStack
    """Gone once it is closed."""
    copies: Sequence[Path]


def _now_and_id() -> str:
    return f"{int(time.time())}-{uuid.uuid4().hex[:8]}"


def _step(name: str) -> int:
    return int(name.removesuffix(".json").partition("-")[0])


def _begun_recently(name: str) -> bool:
    """Whether a name says so, as `_now_and_id` ends it. Stores have older names, "step" and "step-id", which do not."""
    parts = name.removesuffix(".json").split("-")
    return len(parts) > 2 and parts[-2].isdecimal() and is_recent(int(parts[-2]))
