"""A training's checkpoints, kept by lineage: a larger budget starts from what a smaller one left.

A checkpoint is written in parts, one a rank, and is there when its record is: whole or absent, checked before use.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.store.downloads import local_copy
from assay.store.records import FileRecord, Files, Report, as_json, file_records
from assay.workload import Checkpointing

Part = Mapping[str, FileRecord]
"""File name → record: what one rank wrote."""


@dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint: every rank's files by name."""

    step: int
    files: Mapping[str, FileRecord]
    score: float | None = None

    @property
    def place(self) -> str:
        """The folder of the store that holds all its files."""
        name, file = next(iter(self.files.items()))
        return file.path.removesuffix(f"/{name}")

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())


def kept(scores: Mapping[int, float | None], rule: Checkpointing) -> set[int]:
    """Of the steps that have a checkpoint, those that stay. `scores`: step → score, None where there is none."""
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

    def __init__(self, files: Files, lineage: str, rule: Checkpointing, report: Report) -> None:
        self._files = files
        self._folder = f"progress/{lineage}/checkpoints"
        self.rule = rule
        self._report = report

    def steps(self) -> list[int]:
        return sorted(int(n.removesuffix(".json")) for n in self._files.names(self._folder) if n.endswith(".json"))

    # Saving: a place, every rank's part, one record

    def new_place(self, step: int) -> str:
        """A fresh folder of the store, for every rank to put its part of a checkpoint in."""
        return f"{self._folder}/{step:09d}-{uuid.uuid4().hex[:8]}"

    def upload(self, part: Path, place: str) -> Part:
        """Move the files in a local folder to the place. They count for nothing until they are committed."""
        return self._files.upload_folder(part, place)

    def commit(self, step: int, parts: Sequence[Part], score: float | None = None) -> Checkpoint:
        """Make the uploaded parts a checkpoint, in one step, and drop what need not stay any more.

        A score that is no finite number counts as none.
        """
        files: dict[str, FileRecord] = {}
        for rank, part in enumerate(parts):
            if twice := sorted(files.keys() & part.keys()):
                raise ValueError(f"rank {rank} wrote {twice}, as another rank did; a file's name must tell its rank")
            files |= part
        score = score if score is not None and math.isfinite(score) else None
        record = {"step": step, "score": score, "files": as_json(files)}
        self._files.write_record(self._record(step), record)
        self.prune(step, self.rule)
        return Checkpoint(step, files, score)

    def prune(self, step: int, rule: Checkpointing) -> None:
        """Drop checkpoints at or below `step` that need not stay, and files there that no record names.

        Those files are what a save that was cut off left behind; larger budgets' are left alone.
        """
        there = {s: checkpoint for s in self.steps() if s <= step and (checkpoint := self._readable(s)) is not None}
        stay = kept({s: checkpoint.score for s, checkpoint in there.items()}, rule)
        for old in there.keys() - stay:
            self._files.remove(self._record(old))
        places = {there[s].place for s in stay}
        for name in self._files.names(self._folder):
            place = f"{self._folder}/{name}"
            if not name.endswith(".json") and int(name.partition("-")[0]) <= step and place not in places:
                self._files.remove(place)

    # Going on from one

    def latest(self, at_most: int) -> Checkpoint | None:
        """The last good checkpoint at or below a step; damaged ones are told of and dropped."""
        for step in reversed([s for s in self.steps() if s <= at_most]):
            checkpoint = self._readable(step)
            if checkpoint is None:
                continue
            problems = [p for file in checkpoint.files.values() for p in self._files.problems(file)]
            if not problems:
                return checkpoint
            self._drop(step, "; ".join(problems))
        return None

    def fetch(self, checkpoint: Checkpoint) -> Path:
        """A local folder with the checkpoint's files, to read from until `forget`."""
        if self._files.is_local:
            return self._files.local_path(checkpoint.place)
        folder = Path(tempfile.mkdtemp(prefix="assay-checkpoint-"))
        for name, file in checkpoint.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(local_copy(self._files, file))
        return folder

    def forget(self, folder: Path) -> None:
        """Remove what `fetch` downloaded: it was read once, and may be as large as all that a training holds."""
        if self._files.is_local:
            return
        for link in folder.rglob("*"):
            if link.is_symlink():
                link.readlink().unlink(missing_ok=True)  # another worker of this machine may have come first
        shutil.rmtree(folder)

    def _record(self, step: int) -> str:
        return f"{self._folder}/{step:09d}.json"

    def _readable(self, step: int) -> Checkpoint | None:
        try:
            content = self._files.read_record(self._record(step))
        except ValueError as error:
            self._drop(step, str(error))
            return None
        return None if content is None else Checkpoint(step, file_records(content["files"]), content.get("score"))

    def _drop(self, step: int, why: str) -> None:
        """Its files go at the next prune."""
        self._report(f"checkpoint of step {step} is damaged and was dropped: {why}")
        self._files.remove(self._record(step))
