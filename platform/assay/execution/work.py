"""The work itself, one function a kind of stage: what every executor calls, in-process or inside a Ray worker.

Each commits its own result, so what was computed is safe before anyone is told.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from assay.errors import AssayError, passing_warnings
from assay.events import Emit, Event
from assay.execution.batch_size import MOST_ON_CPU, BatchSize
from assay.execution.contexts import Context, Laps, Leaving, MapContext, WorkerContext, device_versions
from assay.execution.ranks import ALONE, Ranks
from assay.execution.retries import blame
from assay.execution.system_meter import SystemMeter
from assay.imported import imported
from assay.planning.passes import Pass, as_charged, rows_of
from assay.store import Cost, Notes, Store
from assay.store.shards import Range, missing_ranges
from assay.text import PLACE
from assay.workload import Stage
from assay.workload.columns import to_numpy
from assay.workload.returned import body_runs, check_output, load_body, operator, returned_columns, returned_metrics

C = TypeVar("C", bound=Context)


@dataclass(frozen=True)
class Place:
    """Where a body runs."""

    device: str = "cpu"
    threads: int = 1

    def prepare(self) -> None:
        """Ray sets OMP_NUM_THREADS from num_cpus; torch must be told what the worker was really given. Where it is not
        imported yet, it may never be, which saves seconds; if the body imports it, it asks the environment."""
        if (torch := imported("torch")) is not None:
            torch.set_num_threads(self.threads)
        else:
            os.environ["OMP_NUM_THREADS"] = str(self.threads)


def here(threads: int) -> Place:
    """The device this process was given: the first visible GPU, or the CPU."""
    import torch

    return Place("cuda:0" if torch.cuda.is_available() else "cpu", threads)


def device_name(device: str) -> str:
    """What the ledger calls it."""
    if device == "cpu":
        return f"cpu ({platform.machine()})"
    import torch

    return torch.cuda.get_device_name(device)


@contextmanager
def warnings_told(stage: Stage, emit: Emit) -> Iterator[None]:
    """What a body warns of reaches the user, and not only the log of the process it happens to run in."""
    with passing_warnings(
        lambda message: emit(Event("warning", stage.key, message=f"{stage.name}: {message}", once=message))
    ):
        yield


def train_worker(
    stage: Stage,
    store: Store,
    place: Place,
    emit: Emit,
    ranks: Ranks = ALONE,
    is_leaving: Callable[[], bool] = lambda: False,
) -> int | None:
    """Run a train body as one worker of a group; rank 0 commits. Returns the step at which the body left, or None."""
    place.prepare()
    body = load_body(stage, 0)
    with store.staging() as output, warnings_told(stage, emit):
        ctx = _context(WorkerContext, stage, store, output, place, emit, ranks=ranks, is_leaving=is_leaving)
        try:
            with body_runs(stage, stage.body[0]):
                returned = body(ctx)
        except Leaving as leaving:
            return leaving.step
        except Exception as error:
            error.add_note(f"{PLACE}step {ctx.reached:,}")
            raise
        if ranks.rank == 0:
            _commit(ctx, returned, {"items": ctx.items, **ctx.cost_details})
    return None


def reduce(stage: Stage, store: Store, place: Place, emit: Emit) -> None:
    place.prepare()
    body = load_body(stage, 0)
    with store.staging() as output, warnings_told(stage, emit):
        ctx = _context(Context, stage, store, output, place, emit)
        with body_runs(stage, stage.body[0]):
            returned = body(ctx)
        _commit(ctx, returned, {"items": 1})


def _context(kind: type[C], stage: Stage, store: Store, output: Path, place: Place, emit: Emit, **more: Any) -> C:
    return kind(stage, store, output, place.device, place.threads, emit, device_name=device_name(place.device), **more)


def _commit(ctx: Context, returned: object, details: Mapping[str, float]) -> None:
    metrics = returned_metrics(ctx.stage, returned)
    check_output(ctx.stage, ctx.output)
    cost = replace(ctx.cost, details={"threads": ctx.threads, **details})
    ctx.store.commit(ctx.stage, ctx.output, metrics, cost, ctx.history, ctx.notes, ctx.provenance)


def pending(stage: Stage, store: Store) -> list[Range]:
    """The ranges of ids that a map stage still has to do. Every id of a range is stored with the same columns."""
    spans = missing_ranges(store.shards(stage).good(), stage.amount, stage.shard_size)
    for first in set(stage.stored_prefix.values()):
        spans = [part for start, stop in spans for part in _cut(start, stop, first)]
    return spans


def _cut(start: int, stop: int, at: int) -> list[Range]:
    return [(start, at), (at, stop)] if start < at < stop else [(start, stop)]


@dataclass(frozen=True)
class Part:
    """The ids start ≤ id < stop of a pass: each of its stages has stored all of them, or none."""

    start: int
    stop: int
    missing: tuple[str, ...]
    """Keys of the stages that have not stored them, in the order of the pass. Never empty."""
    are_rows_stored: bool
    """Whether the rows that the stages read are stored, so that they need not be computed."""


def parts_of(stages: Pass, store: Store) -> list[Part]:
    """The parts of a pass of map stages that are not stored."""
    missing = {stage.key: pending(stage, store) for stage in stages}
    rows = rows_of(stages)
    without_rows: list[Range] = []
    if rows is not None:
        without_rows = missing[rows.key] if rows.key in missing else pending(rows, store)
    cuts = sorted({end for spans in (*missing.values(), without_rows) for span in spans for end in span})
    parts = []
    for start, stop in pairwise(cuts):
        keys = tuple(key for key, spans in missing.items() if _covers(spans, start))
        if keys:
            parts.append(Part(start, stop, keys, rows is not None and not _covers(without_rows, start)))
    return parts


def are_rows_stored(parts: Sequence[Part]) -> bool:
    return all(part.are_rows_stored for part in parts)


def _covers(spans: Sequence[Range], id: int) -> bool:
    return any(start <= id < stop for start, stop in spans)


def ids_of(part: Part) -> pa.Table:
    return pa.table({"id": np.arange(part.start, part.stop, dtype=np.int64)})


class Operator:
    """One body of a map stage's chain, called on a block of rows (a shard's worth or less)."""

    def __init__(
        self,
        stage: Stage,
        index: int,
        store: Store,
        place: Place,
        emit: Emit,
        noted_for: Sequence[str],
        laps: Laps,
        meter: SystemMeter,
    ) -> None:
        self.stage = stage
        self._emit = emit
        temporary = Path(tempfile.gettempdir())
        more = {"noted_for": noted_for, "laps": laps, "meter": meter}
        self._ctx = _context(MapContext, stage, store, temporary, place, emit, **more)
        self.notes: Notes = self._ctx.notes
        self._is_first = index == 0 and stage.rows is None
        most = min(stage.shard_size, MOST_ON_CPU) if place.device == "cpu" else stage.shard_size
        self._batch_size = BatchSize(stage.batch_size, most)
        self._path = stage.body[index]
        self._schema: pa.Schema | None = None
        self._body = operator(stage, index, self._ctx)
        self._ctx.settle()

    def __call__(self, block: pa.Table, progress_of: str | None = None) -> pa.Table:
        """Pass a block through the body, a batch at a time, as progress of the stage with the key `progress_of`."""
        outputs: list[pa.Table] = []
        start = 0
        self._ctx.begin_block(progress_of)
        while start < block.num_rows:
            began = time.monotonic()
            columns = self._call(block.slice(start, self._batch_size.size))
            if columns is None:
                continue  # with a smaller batch
            outputs.append(columns)
            start += columns.num_rows
            self._ctx.finish_batch(columns.num_rows)
            self._batch_size.took(columns.num_rows, time.monotonic() - began)
        if self._is_first and self.stage.batch_size == "auto" and self._batch_size.is_settled:
            self._ctx.note("batch_size", self._batch_size.size)
        return pa.concat_tables(outputs)

    def _call(self, batch: pa.Table) -> pa.Table | None:
        """The body on a batch; None where memory ran out, and a smaller one is to be tried."""
        try:
            with warnings_told(self.stage, self._emit), body_runs(self.stage, self._path):
                returned = self._body(to_numpy(batch))
        except _memory_errors() as error:
            if not self._batch_size.ran_out_of_memory():
                raise AssayError(f"{self.stage.name}: memory runs out with one id at a time: {error}") from error
        else:
            columns = returned_columns(self.stage, self._path, batch.column("id"), returned, self._schema)
            self._schema = columns.schema
            return columns
        # Here the error is gone, and with it the frames that hold the batch's memory.
        if (torch := imported("torch")) is not None:
            torch.cuda.empty_cache()  # nothing where there is no GPU
        message = f"memory ran out with batches of {batch.num_rows}; going on with {self._batch_size.size}"
        self._emit(Event("warning", self.stage.key, message=f"{self.stage.name}: {message}"))
        return None


def _memory_errors() -> tuple[type[Exception], ...]:
    """What a body raises where memory runs out; a device's is torch's, where that is imported."""
    torch = imported("torch")
    return (MemoryError,) if torch is None else (MemoryError, torch.cuda.OutOfMemoryError)


class Lane:
    """One process's share of a pass: a part's rows are computed once, and passed to every stage that needs them."""

    def __init__(self, stages: Pass, parts: Sequence[Part], store: Store, place: Place, emit: Emit) -> None:
        """`parts` are those of the pass. If the rows of all are stored, the bodies that compute them are not loaded."""
        self._since_write, self._since_report = Laps(), Laps()
        place.prepare()
        meter = SystemMeter(place.device)
        self.device = device_name(place.device)
        self._rows = rows_of(stages)
        self._readers = [stage for stage in stages if self._rows is None or stage.key != self._rows.key]
        self._shards = {stage.key: store.shards(stage) for stage in stages}

        def chain(stage: Stage, noted_for: Sequence[str]) -> list[Operator]:
            count = range(len(stage.body))
            measured = self._since_report, meter
            return [Operator(stage, index, store, place, emit, noted_for, *measured) for index in count]

        self._chains: dict[str, list[Operator]] = {}
        if self._rows is not None:
            keys = [stage.key for stage in stages]
            noted_for = [self._rows.key] if self._rows.key in keys else keys
            self._chains[self._rows.key] = [] if are_rows_stored(parts) else chain(self._rows, noted_for)
            self._stored = store.shards(self._rows)
            self._listed = self._stored.listed()
        for stage in self._readers:
            with _blamed(stage):
                self._chains[stage.key] = chain(stage, [stage.key])

    def compute(self, part: Part) -> dict[str, float]:
        """Compute and store a part. Returns the seconds that each stage is charged for it, by key."""
        table, reported, seconds = ids_of(part), set[str](), dict[str, float]()

        def through(stage: Stage, progress_of: str, table: pa.Table) -> pa.Table:
            for call in self._chains[stage.key]:
                table = call(table, None if progress_of in reported else progress_of)
                reported.add(progress_of)
            return table

        def write(stage: Stage, table: pa.Table) -> None:
            unwanted = [name for name, count in stage.stored_prefix.items() if part.start >= count]
            seconds[stage.key] = self._since_write.lap()
            wanted = table.drop_columns(unwanted)
            self._shards[stage.key].write(wanted, self.device, seconds[stage.key], device_versions())

        if part.are_rows_stored:
            table = self._stored.rows(self._listed, part.start, part.stop)
        elif self._rows is not None:
            table = through(self._rows, part.missing[0], table)
            if self._rows.key in part.missing:
                write(self._rows, table)
        for stage in self._readers:
            if stage.key in part.missing:
                with _blamed(stage):
                    write(stage, through(stage, stage.key, table))
        return seconds

    @property
    def notes(self) -> dict[str, Notes]:
        """Key of a stage → the notes of its bodies."""
        return {key: {k: v for step in chain for k, v in step.notes.items()} for key, chain in self._chains.items()}


@contextmanager
def _blamed(stage: Stage) -> Iterator[None]:
    """Attribute what is raised within to one stage of a pass, rather than to all of them."""
    try:
        yield
    except Exception as error:
        blame(error, stage.key)
        raise


def commit_pass(
    stages: Pass,
    store: Store,
    devices: Collection[str],
    threads: int,
    count: int,
    seconds: float,
    took: Mapping[str, float],
    parts: Sequence[Part],
    notes: Mapping[str, Notes],
) -> None:
    """Commit the map stages of a pass, all of whose shards are stored.

    Each stage is charged with its own time: `took`, the device-seconds that this run spent on its shards, and those of
    its shards from interrupted runs. The first is also charged with the remainder of the `seconds` that the run took on
    `count` lanes, which includes computing rows that are not stored.
    """
    first, *others = stages
    rows = rows_of(stages)
    makes_rows = rows is not None and rows.streamed and store.find(rows.key) is None
    shared = dict[str, str | float]()
    if rows is not None and all(rows.key != stage.key for stage in stages):
        shared = {**store.shards(rows).settled(), **notes.get(rows.key, {})}
    spent = {stage.key: took.get(stage.key, 0.0) / count for stage in others}
    spent[first.key] = max(0.0, seconds - sum(spent.values()))
    for stage in stages:
        shards = store.shards(stage)
        mine = [part for part in parts if stage.key in part.missing]
        begun = {part.start for part in mine}
        earlier = [shard for shard in shards.uncharged(stage.amount) if shard.start not in begun]
        items = sum(part.stop - part.start for part in mine) + sum(shard.stop - shard.start for shard in earlier)
        names = {*devices, *(shard.device for shard in earlier if shard.device)} or {device_name("cpu")}
        before = sum(shard.seconds for shard in earlier) / count  # times count it is device-seconds
        cost = Cost(", ".join(sorted(names)), count, spent[stage.key] + before, {"threads": threads, "items": items})
        charged = as_charged(stage) if stage is first and makes_rows else stage
        with store.staging() as output:
            store.commit(charged, output, {}, cost, notes={**shared, **shards.settled(), **notes.get(stage.key, {})})
        shards.charge(stage.amount)
