"""Passes of map stages on Ray Data: a pool of actors over ids."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import ray
import ray.data

from assay.errors import AssayError
from assay.execution.ray.deaths import death_of, with_advice
from assay.execution.ray.job import Job
from assay.execution.work import Lane, Part, are_rows_stored, commit_pass, parts_of
from assay.planning.passes import rows_of
from assay.text import PLACE


class RayLane(Lane):
    """A lane of a pass, as an actor of a Ray Data pool.

    Ray restarts a dead actor, and retries its shard, without limit. It may have died because its machine was lost, or
    because of what it does each time: so the attempts are counted, and what exceeds `job.retries` fails.
    """

    def __init__(self, job: Job, parts: Sequence[Part]) -> None:
        self._job, self._parts = job, parts
        self._start = f"the start of {ray.get_runtime_context().get_actor_id()}"
        self._begin(self._start, "as it started")
        with job.failures_told():
            super().__init__(job.stages, parts, job.store(), job.place(), job.emit)

    def __call__(self, block: pa.Table) -> pa.Table:
        """A block is the number of a part. Returns one row per stage that stored it, with the seconds that it took."""
        (number,) = block.column("part").to_pylist()
        part = self._parts[number]
        where = f"{PLACE}the ids {part.start:,} to {part.stop - 1:,}"
        self._begin(str(part.start), where)
        with self._job.failures_told():
            try:
                seconds = self.compute(part)
            except Exception as error:
                error.add_note(where)
                raise
        return pa.table(
            {"key": list(seconds), "seconds": list(seconds.values()), "device": [self.device] * len(seconds)}
        )

    def _begin(self, what: str, where: str) -> None:
        job, after = self._job, None if what == self._start else self._start
        me = ray.get_runtime_context().get_worker_id()
        died = ray.get(job.broker.begun.remote(job.stage.key, what, me, after))
        if not died:
            return
        why = with_advice(death_of(died[-1]), "map")
        if len(died) <= job.retries:
            job.warn(f"its process ended {where}; retry {len(died)} of {job.retries}: {why}")
            return
        with job.failures_told():
            raise AssayError(
                f"{job.stage.name}: its process died {len(died):,} times {where}, allowed: limits.retries, which is "
                f"{job.retries}: {why}"
            )


def fan_out(job: Job) -> None:
    """Do the parts that are still missing, with as many actors as the broker granted, and commit.

    The grant is for the whole pass: what it holds is used from the start, and what is free later is for others.
    """
    store = job.store()
    started = time.monotonic()
    parts = parts_of(job.stages, store)
    size = min(job.units, len(parts))
    took, devices = _pipeline(job, parts, size) if parts else ({}, set())
    notes = {stage.key: ray.get(job.broker.notes.remote(stage.key)) for stage in job.stages}
    seconds = time.monotonic() - started
    commit_pass(job.stages, store, devices, job.need.threads, max(1, size), seconds, took, parts, notes)


def _pipeline(job: Job, parts: Sequence[Part], size: int) -> tuple[Mapping[str, float], set[str]]:
    """A pool of actors, each a lane; every block is a part, which the lane stores. Returns the seconds that they took,
    by the key of the stage, and their devices.

    An actor that dies is started again, and its shard drawn again, up to `job.retries` times. All are gone, and what
    they held is free, once this has returned.
    """
    _quiet_data()
    unit, rows = job.need.unit, rows_of(job.stages)
    path, *_ = (job.stage if rows is None or are_rows_stored(parts) else rows).body
    name = path.rpartition(":")[2]
    # A block a part, built here: read tasks would compete with the actors for the last CPU.
    blocks = [{"part": number} for number in range(len(parts))]
    dataset = ray.data.from_items(blocks, override_num_blocks=len(blocks)).map_batches(
        type(name, (RayLane,), {}),  # so that Ray's dashboard and logs call it Sampler, and not RayLane
        fn_constructor_kwargs={"job": job, "parts": parts},
        batch_size=None,
        batch_format="pyarrow",
        # One shard at a time: the last ones are shared out evenly.
        compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),
        num_cpus=unit.get("CPU", 0.0),
        num_gpus=unit.get("GPU", 0.0),
    )
    took, devices = Counter[str](), set[str]()
    for bundle in dataset.iter_internal_ref_bundles():
        for done in (row for block in ray.get(list(bundle.block_refs)) for row in block.to_pylist()):
            took[done["key"]] += done["seconds"]
            devices.add(done["device"])
    return took, devices


def _quiet_data() -> None:
    """Progress is shown by assay, errors are raised; Ray Data's own account goes to its log file."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = None  # a block is a shard: never split
