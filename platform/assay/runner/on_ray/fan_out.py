"""Sampling and feature extraction on Ray Data: a pipeline of actor pools over ids."""

from __future__ import annotations

import logging
import time

import ray
import ray.data

from assay.runner.needs import threads
from assay.runner.on_ray.job import Job
from assay.runner.work import MapStep, commit_map, here, ids_of, pending


class RayMapStep(MapStep):
    """A MapStep as an actor of a Ray Data pool."""

    def __init__(self, job: Job, index: int) -> None:
        place = here(threads(job.stage, job.resources))
        super().__init__(job.stage, index, job.store(), place, job.emit)


def fan_out(job: Job) -> None:
    """A pipeline of actor pools over the ids that are still missing; every block is a shard."""
    stage, group, store = job.stage, job.resources.sample, job.store()
    started = time.monotonic()
    spans = pending(stage, store)
    if spans:
        _quiet_data()
        # Blocks in memory need no read tasks, which would compete with the actors for the last CPU.
        dataset = ray.data.from_arrow([ids_of(span) for span in spans])
        share = 1 / len(stage.body)  # the operators of a lane take turns, so they split what it is given
        for index in range(len(stage.body)):
            dataset = dataset.map_batches(
                RayMapStep,
                fn_constructor_kwargs={"job": job, "index": index},
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(min_size=min(group.actors[0], len(spans)), max_size=group.actors[1]),
                num_cpus=group.cpus_per_actor * share,
                num_gpus=group.gpus_per_actor * share,
            )
        for _ in dataset.iter_internal_ref_bundles():
            pass  # the last operator writes the shards; what comes out is only ids
    notes = ray.get(job.broker.notes.remote(stage.key))
    commit_map(stage, store, here(1), group.actors[1], time.monotonic() - started, spans, notes)


def _quiet_data() -> None:
    """Progress is shown by assay, errors are raised; Ray Data's own account goes to its log file."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = None  # a block is a shard: never split
