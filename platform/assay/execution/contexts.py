"""The contexts that stage bodies receive, the same under Ray and in-process."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.events import Emit, Event
from assay.execution.ranks import Ranks
from assay.execution.system_meter import SystemMeter, worker_name
from assay.imported import imported
from assay.store import Cost, Provenance, Store, StoredResult
from assay.store.checkpoints import RankFiles
from assay.store.resolved_config import as_run
from assay.workload import JSON, Checkpointing, Stage
from assay.workload.body_context import BodyContext

PROGRESS_INTERVAL_S = 0.5
MAP_PROGRESS_INTERVAL_S = 2.0
"""Within a batch: a wide fan-out has many workers reporting."""
DRIVER = Path("/proc/driver/nvidia/version")
CONTEXT_FILE = "context.json"
"""The platform's own state, stored in a checkpoint beside the body's files."""


class Context(BodyContext):
    """StageContext: config, inputs, an output folder, progress and metrics."""

    def __init__(
        self,
        stage: Stage,
        store: Store,
        output: Path,
        device: str,
        threads: int,
        emit: Emit,
        *,
        device_name: str,
        meter: SystemMeter | None = None,
    ) -> None:
        super().__init__(stage, output, device, threads)
        self._meter = meter if meter is not None else SystemMeter(device)
        self.store = store
        self._device_name = device_name
        self._emit = emit
        self._started = time.monotonic()
        self._last_progress = 0.0
        self._inputs: dict[str, StoredResult] | None = None

    @property
    def inputs(self) -> Mapping[str, StoredResult]:
        """Each input, with verified checksums: a damaged result never reaches a metric."""
        if self._inputs is None:
            self._inputs = {}
            for role, source in self.stage.inputs.items():
                result = self.store.get(source.key, checksum=True)
                assert result is not None, f"{self.stage.name} started before its input {source.name} was committed"
                self._inputs[role] = result
        return self._inputs

    @property
    def provenance(self) -> Provenance:
        """Where its result comes from, besides this process and run."""
        return Provenance(versions=device_versions())

    @property
    def cost(self) -> Cost:
        """What the stage has taken so far."""
        return Cost(self._device_name, 1, time.monotonic() - self._started)

    def progress(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        super().progress(done, metrics)
        now = time.monotonic()
        if now - self._last_progress >= PROGRESS_INTERVAL_S or done >= self.amount:
            self._last_progress = now
            self._emit(
                Event("progress", self.stage.key, done=self.reached, metrics=dict(metrics or {}), cost=self.cost)
            )
            self._report_system(self.stage.key)

    def _report_system(self, key: str) -> None:
        if used := self._meter.measure():
            self._emit(Event("system", key, metrics=used, worker=worker_name(self.device, self._rank)))

    @property
    def _rank(self) -> int | None:
        """Its rank in a group that trains."""
        return None

    def note(self, name: str, value: str | float) -> None:
        if self.notes.get(name) != value:
            super().note(name, value)
            self._emit(Event("note", self.stage.key, note=(name, value)))


def device_versions() -> dict[str, str]:
    """The versions of CUDA, cuDNN and the driver, if this process uses a GPU. Only the body decides to import torch."""
    torch = imported("torch")
    if torch is None or not torch.cuda.is_available():
        return {}
    driver = re.search(r"Kernel Module\s+([\d.]+)", DRIVER.read_text()) if DRIVER.is_file() else None
    versions = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "driver": driver and driver[1]}
    return {name: str(version) for name, version in versions.items() if version is not None}


class Laps:
    """Measures a process's time so that every second counts once."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def lap(self) -> float:
        """Seconds since the last call."""
        before, self._since = self._since, time.monotonic()
        return self._since - before


class MapContext(Context):
    """The context of one operator of a map stage. Progress counts ids; in a chain, one operator reports it."""

    def __init__(self, *args: Any, noted_for: Sequence[str], laps: Laps, **kwargs: Any) -> None:
        """`noted_for`: the keys of the stages whose results get its notes."""
        super().__init__(*args, **kwargs)
        self._noted_for, self._laps = noted_for, laps
        self._settled = self.store.shards(self.stage).settled()
        self._progress_of: str | None = None
        self._done = self._reported = 0
        """Ids of the current block that are done, and of those, the ones that were reported."""

    @property
    def config(self) -> Mapping[str, JSON]:
        """With the values that existing shards were computed with, where the config leaves them open ("auto")."""
        return as_run(self.stage.config, self._settled)[0]

    def settle(self) -> None:
        """Store the values chosen for what the config leaves open, for all shards. Raises UserError like `Shards`."""
        for path in as_run(self.stage.config, self.notes)[1]:
            self.store.shards(self.stage).settle(path, self.notes[path])

    def begin_block(self, progress_of: str | None) -> None:
        """`progress_of`: the key of the stage whose progress this operator reports, if any."""
        self._progress_of, self._done, self._reported = progress_of, 0, 0

    def finish_batch(self, size: int) -> None:
        self._done += size
        self._report(self._done)

    def note(self, name: str, value: str | float) -> None:
        if self.notes.get(name) != value:
            self.notes[name] = value
            for key in self._noted_for:
                self._emit(Event("note", key, note=(name, value)))

    def progress(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        if time.monotonic() - self._last_progress >= MAP_PROGRESS_INTERVAL_S:
            self._report(self._done + done)

    def _report(self, reached: int) -> None:
        # A batch that ran out of memory is repeated: do not report its ids twice.
        if self._progress_of is not None and reached > self._reported:
            cost = Cost(self._device_name, 1, self._laps.lap())
            self._emit(Event("progress", self._progress_of, done=reached - self._reported, advance=True, cost=cost))
            self._reported, self._last_progress = reached, time.monotonic()
            self._report_system(self._progress_of)


class Leaving(BaseException):
    """Ends the worker group. Not an Exception, so that no body catches it by accident."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(step)


class WorkerContext(Context):
    """TrainContext: a rank in a worker group, and checkpoints that also carry curve, notes and time."""

    def __init__(self, *args: Any, ranks: Ranks, is_leaving: Callable[[], bool], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cost_details: dict[str, float] = {}
        self._ranks = ranks
        self._is_leaving = is_leaving
        self._checkpoints = self.store.checkpoints(self.stage)
        self._device_names = {self._device_name}
        self._origins = {self.store.files.origin} - {""}
        self._hosts = {socket.gethostname()}
        self._seconds_before = 0.0
        self._charged_from = 0
        self._fetched: Path | None = None

    @property
    def rank(self) -> int:
        return self._ranks.rank

    @property
    def _rank(self) -> int:
        return self.rank

    @property
    def world_size(self) -> int:
        return self._ranks.size

    @property
    def seconds(self) -> float:
        """Time spent on this training since the end of a smaller budget, over all runs.

        Times the number of workers it is device-seconds: time with another number of workers is converted.
        """
        return self._seconds_before + time.monotonic() - self._started

    @property
    def cost(self) -> Cost:
        return Cost(", ".join(sorted(self._device_names)), self.world_size, self.seconds)

    @property
    def provenance(self) -> Provenance:
        return Provenance(frozenset(self._origins), frozenset(self._hosts), device_versions())

    @property
    def items(self) -> int:
        """How many items those seconds were for."""
        return self.amount - self._charged_from

    @property
    def checkpointing(self) -> Checkpointing:
        return self._checkpoints.rule

    @property
    def leaving(self) -> bool:
        return self._is_leaving()

    def note(self, name: str, value: str | float) -> None:
        if self.rank == 0:
            super().note(name, value)

    def latest_checkpoint(self) -> tuple[int, Path] | None:
        # Rank 0 chooses and tells the others: a shared disk may not show new files to every machine at once.
        latest = self._ranks.of_first(self._checkpoints.latest(self.amount) if self.rank == 0 else None)
        if latest is None:
            return None
        self._fetched = folder = self._checkpoints.fetch(latest)
        state = json.loads((folder / CONTEXT_FILE).read_text())
        self.history = state["history"]
        self.notes = state.get("notes", {}) | self.notes
        self._origins.update(state.get("origins", []))
        self._hosts.update(state.get("hosts", []))
        if state["step"] == state["amount"] < self.amount:
            self._charged_from = latest.step  # the end of a smaller budget, whose own result was charged for it
        else:
            # Older checkpoints do not record the number of workers or their device.
            self._seconds_before = state["seconds"] * state.get("world_size", self.world_size) / self.world_size
            self._charged_from = state["charged_from"]
            self._device_names.update(state.get("devices", []))
        return latest.step, folder

    def save_checkpoint(self, step: int, write: Callable[[Path], None], score: float | None = None) -> None:
        started = time.monotonic()
        place = self._ranks.of_first(self._checkpoints.new_place(step))
        saved_by = self._ranks.gather((self._upload(write, place), socket.gethostname()))
        parts = [part for part, _ in saved_by]
        self._hosts.update(host for _, host in saved_by)
        if self._fetched is not None:  # every rank that got here has read it
            self._checkpoints.forget(self._fetched)
            self._fetched = None
        if self.rank == 0:
            context = self._upload(lambda folder: self._write_context(folder, step), place)
            saved = self._checkpoints.commit(step, [*parts, context], score, self._origins)
            self.cost_details = {
                "checkpoint_seconds": time.monotonic() - started,
                "checkpoint_bytes": saved.bytes,
            }
        # After the commit, so that the body may rely on it.
        if any(self._ranks.gather(self.leaving)) and step < self.amount:
            raise Leaving(step)

    def _upload(self, write: Callable[[Path], None], place: str) -> RankFiles:
        with self.store.staging() as folder:
            write(folder)
            return self._checkpoints.upload(folder, place)

    def _write_context(self, folder: Path, step: int) -> None:
        config, _ = as_run(self.stage.config, self.notes)
        execution, _ = as_run(self.stage.execution, self.notes)
        state = {
            "step": step,
            "amount": self.amount,
            "charged_from": self._charged_from,
            "history": self.history,
            "notes": self.notes,
            "seconds": self.seconds,
            "config": config,
            "execution": execution,
            "world_size": self.world_size,
            "devices": sorted(self._device_names),
            "origins": sorted(self._origins),
            "hosts": sorted(self._hosts),
        }
        (folder / CONTEXT_FILE).write_text(json.dumps(state))
