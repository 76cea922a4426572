"""One executor a kind of stage: Ray Train for training, Ray Data for fan-outs, a Ray task for reductions.

Each is called inside a trial's process, blocks until the stage is committed, and raises what the body raised.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

import ray
import ray.data
import ray.train
import ray.train.torch

from assay.runner.events import Event
from assay.runner.on_ray.broker_actor import RemoteEmit
from assay.runner.work import MapStep, commit_map, here, ids_of, pending, reduce, train_worker
from assay.spec import Resources
from assay.store import Store
from assay.workload import Stage


@dataclass(frozen=True)
class Job:
    """A stage to compute, and what a worker needs to do it."""

    stage: Stage
    store_url: str
    scratch_url: str
    resources: Resources
    retries: int
    broker: Any

    def store(self) -> Store:
        """The store as a worker opens it: what it has to say reaches the driver."""
        emit = RemoteEmit(self.broker)
        return Store(self.store_url, report=lambda message: emit(Event("warning", message=message)))

    def execute(self) -> None:
        {"train": train, "map": fan_out, "reduce": reduce_task}[self.stage.kind](self)


def train(job: Job) -> None:
    """A worker group that runs the body; rank 0 commits. A worker that dies restarts the group from a checkpoint."""
    group = job.resources.train
    trainer = ray.train.torch.TorchTrainer(
        _train_loop,
        train_loop_config={"job": job},
        scaling_config=ray.train.ScalingConfig(
            num_workers=group.workers,
            use_gpu=group.gpus_per_worker > 0,
            resources_per_worker={"CPU": group.cpus_per_worker, "GPU": group.gpus_per_worker},
        ),
        run_config=ray.train.RunConfig(
            name=f"{job.stage.name}-{job.stage.key[:12]}",
            storage_path=job.scratch_url,
            failure_config=ray.train.FailureConfig(max_failures=job.retries),
        ),
    )
    trainer.fit()


def _train_loop(config: dict[str, Any]) -> None:
    job: Job = config["job"]
    context = ray.train.get_context()
    place = here(threads=max(1, int(job.resources.train.cpus_per_worker)))
    train_worker(
        job.stage,
        job.store(),
        place,
        RemoteEmit(job.broker),
        rank=context.get_world_rank(),
        world_size=context.get_world_size(),
    )


class RayMapStep(MapStep):
    """A MapStep as an actor of a Ray Data pool."""

    def __init__(self, job: Job, index: int) -> None:
        place = here(threads=max(1, int(job.resources.sample.cpus_per_actor)))
        super().__init__(job.stage, index, job.store(), place, RemoteEmit(job.broker))


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
    commit_map(stage, store, here(1), group.actors[1], time.monotonic() - started)


def _quiet_data() -> None:
    """Progress is shown by assay, errors are raised; Ray Data's own account goes to its log file."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = None  # a block is a shard: never split


def reduce_task(job: Job) -> None:
    group = job.resources.reduce
    task = ray.remote(_reduce).options(
        num_cpus=group.cpus, num_gpus=group.gpus, max_retries=job.retries, scheduling_strategy="DEFAULT"
    )
    ray.get(task.remote(job))


def _reduce(job: Job) -> None:
    place = here(threads=max(1, int(job.resources.reduce.cpus)))
    reduce(job.stage, job.store(), place, RemoteEmit(job.broker))
