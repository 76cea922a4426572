"""Sampling and feature extraction on Ray Data: a pipeline of actor pools over ids."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import pyarrow as pa
import ray
import ray.data

from assay.errors import AssayError
from assay.execution.ray.deaths import death_of, with_advice
from assay.execution.ray.job import Job
from assay.execution.work import MapStep, commit_map, ids_of, pending
from assay.store.shards import Range
from assay.text import PLACE


class RayMapStep(MapStep):
    """A MapStep as an actor of a Ray Data pool.

    Ray starts one that died again, and its shard with it, for ever. It may have died of a machine that was lost, or of
    what it does each time: so whatever is begun more often than `job.retries` allows fails.
    """

    def __init__(self, job: Job, index: int) -> None:
        self._job, self._operator = job, index
        self._start = f"the start of {ray.get_runtime_context().get_actor_id()}"
        self._begin(self._start, "as it started")
        with job.failures_told():
            super().__init__(job.stage, index, job.store(), job.place(), job.emit)

    def __call__(self, block: pa.Table) -> pa.Table:
        """The first operator is given a range of ids instead of the ids."""
        if self._first:
            (span,) = block.to_pylist()
            block = ids_of((span["start"], span["stop"]))
        ids = block.column("id")
        where = f"{PLACE}the ids {ids[0].as_py():,} to {ids[-1].as_py():,}"
        self._begin(f"{self._operator} {ids[0]}", where)
        with self._job.failures_told():
            try:
                return super().__call__(block)
            except Exception as error:
                error.add_note(where)
                raise

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
    """Do the ids that are still missing, with as many actors as the broker granted, and commit.

    The grant is for the whole stage: what it holds is used from the start, and what is free later is for others.
    """
    stage, store = job.stage, job.store()
    started = time.monotonic()
    spans = pending(stage, store)
    size = min(job.units, len(spans))
    devices = _pipeline(job, spans, size) if spans else set()
    notes = ray.get(job.broker.notes.remote(stage.key))
    seconds = time.monotonic() - started
    commit_map(stage, store, devices, job.need.threads, max(1, size), seconds, spans, notes)


def _pipeline(job: Job, spans: Sequence[Range], size: int) -> set[str]:
    """A pool of actors an operator; every block is a shard, which the last operator writes. Returns their devices.

    An actor that dies is started again, and its shard drawn again, up to `job.retries` times. All are gone, and what
    they held is free, once this has returned.
    """
    _quiet_data()
    stage, unit = job.stage, job.need.unit
    # A block a shard, built here: read tasks would compete with the actors for the last CPU.
    blocks = [{"start": start, "stop": stop} for start, stop in spans]
    dataset = ray.data.from_items(blocks, override_num_blocks=len(blocks))
    for index, share in enumerate(_shares(len(stage.body))):
        body = stage.body[index].rpartition(":")[2]
        dataset = dataset.map_batches(
            type(body, (RayMapStep,), {}),  # so that Ray's dashboard and logs call it Sampler, and not RayMapStep
            fn_constructor_kwargs={"job": job, "index": index},
            batch_size=None,
            batch_format="pyarrow",
            # One shard at a time: the last ones are shared out evenly.
            compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),
            num_cpus=unit.get("CPU", 0.0) * share,
            num_gpus=unit.get("GPU", 0.0) * share,
        )
    devices: set[str] = set()
    for bundle in dataset.iter_internal_ref_bundles():
        for written in ray.get(list(bundle.block_refs)):
            devices.update(written.column("device").to_pylist())
    return devices


def _shares(operators: int) -> list[float]:
    """How the operators of a lane split what it is given: nearly all for the first, which does the work.

    Equal shares would let two first operators share one GPU, and leave the next GPU to two that hardly need it.
    """
    rest = 0.1
    return [1 - rest * (operators - 1), *[rest] * (operators - 1)]


def _quiet_data() -> None:
    """Progress is shown by assay, errors are raised; Ray Data's own account goes to its log file."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = None  # a block is a shard: never split
