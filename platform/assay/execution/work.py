"""The work itself, one function a kind of stage: what every executor calls, in-process or inside a Ray worker.

Each commits its own result, so what was computed is safe before anyone is told.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from assay.errors import AssayError, passing_warnings
from assay.execution.batch_size import MOST_ON_CPU, BatchSize
from assay.execution.contexts import Context, Leaving, MapContext, WorkerContext
from assay.execution.events import Emit, Event
from assay.execution.ranks import ALONE, Ranks
from assay.store import Cost, Notes, Store, StoredResult
from assay.store.shards import Range, missing_ranges
from assay.text import PLACE
from assay.workload import Stage
from assay.workload.columns import to_numpy
from assay.workload.returned import body_runs, check_output, load_body, operator, returned_columns, returned_metrics


@dataclass(frozen=True)
class Place:
    """Where a body runs."""

    device: str = "cpu"
    threads: int = 1

    def prepare(self) -> None:
        """Ray sets OMP_NUM_THREADS from num_cpus; torch must be told what the worker was really given. Where it is not
        imported yet, it may never be, which saves seconds; if the body imports it, it asks the environment."""
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(self.threads)
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
        ctx = WorkerContext(
            stage,
            store,
            output,
            place.device,
            place.threads,
            emit,
            device_name=device_name(place.device),
            ranks=ranks,
            is_leaving=is_leaving,
        )
        try:
            with body_runs(stage, stage.body[0]):
                returned = body(ctx)
        except Leaving as leaving:
            return leaving.step
        except Exception as error:
            error.add_note(f"{PLACE}step {ctx.reached:,}")
            raise
        if ranks.rank == 0:
            metrics = returned_metrics(stage, returned)
            check_output(stage, output)
            details = {"threads": place.threads, "items": ctx.items, **ctx.cost_details}
            store.commit(stage, output, metrics, replace(ctx.cost, details=details), ctx.history, ctx.notes)
    return None


def reduce(stage: Stage, store: Store, place: Place, emit: Emit) -> None:
    place.prepare()
    body = load_body(stage, 0)
    with store.staging() as output, warnings_told(stage, emit):
        ctx = Context(stage, store, output, place.device, place.threads, emit, device_name=device_name(place.device))
        with body_runs(stage, stage.body[0]):
            returned = body(ctx)
        metrics = returned_metrics(stage, returned)
        check_output(stage, output)
        cost = replace(ctx.cost, details={"threads": place.threads, "items": 1})
        store.commit(stage, output, metrics, cost, ctx.history, ctx.notes)


def pending(stage: Stage, store: Store) -> list[Range]:
    """The ranges of ids that a map stage still has to do. Every id of a range is stored with the same columns."""
    spans = missing_ranges(store.shards(stage).good(), stage.amount, stage.shard_size)
    for first in set(stage.stored_prefix.values()):
        spans = [part for start, stop in spans for part in _cut(start, stop, first)]
    return spans


def _cut(start: int, stop: int, at: int) -> list[Range]:
    return [(start, at), (at, stop)] if start < at < stop else [(start, stop)]


def ids_of(span: Range) -> pa.Table:
    return pa.table({"id": np.arange(*span, dtype=np.int64)})


class MapStep:
    """One operator of a map stage's chain, called on a block of rows (a shard's worth or less)."""

    def __init__(self, stage: Stage, index: int, store: Store, place: Place, emit: Emit) -> None:
        place.prepare()
        self.stage = stage
        self.device = device_name(place.device)
        self._last = index == len(stage.body) - 1
        self._first = index == 0
        self._emit = emit
        self._shards = store.shards(stage)
        temporary = Path(tempfile.gettempdir())
        self._ctx = MapContext(
            stage,
            store,
            temporary,
            place.device,
            place.threads,
            emit,
            device_name=self.device,
            tells_progress=self._first,
        )
        self.notes: Notes = self._ctx.notes
        most = min(stage.shard_size, MOST_ON_CPU) if place.device == "cpu" else stage.shard_size
        self._batch_size = BatchSize(stage.batch_size, most)
        self._written = time.monotonic()
        self._path = stage.body[index]
        self._schema: pa.Schema | None = None
        self._body = operator(stage, index, self._ctx)
        self._ctx.settle()

    def __call__(self, block: pa.Table) -> pa.Table:
        """The block through the operator, a batch at a time; the last operator commits it as a shard."""
        outputs: list[pa.Table] = []
        start = 0
        self._ctx.begin_block()
        while start < block.num_rows:
            began = time.monotonic()
            columns = self._call(block.slice(start, self._batch_size.size))
            if columns is None:
                continue  # with a smaller batch
            outputs.append(columns)
            start += columns.num_rows
            self._ctx.finish_batch(columns.num_rows)
            self._batch_size.took(columns.num_rows, time.monotonic() - began)
        if self._first and self.stage.batch_size == "auto" and self._batch_size.is_settled:
            self._ctx.note("batch_size", self._batch_size.size)
        table = pa.concat_tables(outputs)
        if not self._last:
            return table
        first = table.column("id")[0].as_py()
        unwanted = [name for name, count in self.stage.stored_prefix.items() if first >= count]
        before, self._written = self._written, time.monotonic()
        self._shards.write(table.drop_columns(unwanted), self.device, self._written - before)
        return table.select(["id"]).append_column("device", pa.array([self.device] * table.num_rows))

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
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()  # nothing where there is no GPU
        message = f"memory ran out with batches of {batch.num_rows}; going on with {self._batch_size.size}"
        self._emit(Event("warning", self.stage.key, message=f"{self.stage.name}: {message}"))
        return None


def _memory_errors() -> tuple[type[Exception], ...]:
    """What a body raises where memory runs out; a device's is torch's, where that is imported."""
    return (MemoryError, *((sys.modules["torch"].cuda.OutOfMemoryError,) if "torch" in sys.modules else ()))


def commit_map(
    stage: Stage,
    store: Store,
    devices: Collection[str],
    threads: int,
    count: int,
    seconds: float,
    spans: Sequence[Range],
    notes: Notes,
) -> StoredResult:
    """Commit a map stage whose shards are all there.

    It is charged with what this run took for its `spans`, and with the shards of runs that were cut off before.
    """
    shards = store.shards(stage)
    begun = {start for start, _ in spans}
    earlier = [shard for shard in shards.uncharged(stage.amount) if shard.start not in begun]
    items = sum(stop - start for start, stop in spans) + sum(shard.stop - shard.start for shard in earlier)
    names = {*devices, *(shard.device for shard in earlier if shard.device)} or {device_name("cpu")}
    seconds += sum(shard.seconds for shard in earlier) / count  # times count it is device-seconds
    cost = Cost(", ".join(sorted(names)), count, seconds, {"threads": threads, "items": items})
    with store.staging() as output:
        result = store.commit(stage, output, {}, cost, notes={**shards.settled(), **notes})
    shards.charge(stage.amount)
    return result
