"""Trials on Ray Tune. A trial holds next to nothing: it asks the broker which of its stages to compute."""

from __future__ import annotations

import threading
import traceback
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from assay.errors import UserError
from assay.planning import Plan
from assay.runner.broker import Request, too_large
from assay.runner.checks import refuse
from assay.runner.events import Emit, Event
from assay.runner.needs import need
from assay.runner.on_ray.broker_actor import BrokerActor, RemoteEmit
from assay.runner.on_ray.capacity import capacity
from assay.runner.on_ray.job import Job, execute
from assay.runner.on_ray.task import remote_refusals
from assay.spec import Resources
from assay.store import Store
from assay.workload import Stage

TRIAL_MEMORY_BYTES = 512 << 20
"""All that a trial holds, since it only asks the broker and waits. Not a sliver of a CPU: what is left of that CPU
would be too little for a worker that needs a whole one."""
TRIALS_PER_CPU = 2


@dataclass(frozen=True)
class TrialWork:
    """What a trial's process is sent."""

    index: int
    stages: tuple[Stage, ...]
    resources: Resources
    store_url: str
    scratch_url: str
    retries: int
    metric: str

    def requests(self) -> list[Request]:
        return [
            Request(s.key, s.lineage, s.name, tuple(i.key for i in s.inputs.values()), need(s, self.resources))
            for s in self.stages
        ]


def run_trials(plan: Plan, store: Store, done: Sequence[str], scratch_url: str, emit: Emit) -> None:
    """Compute every stage of the plan that is not done, on the cluster this process is connected to.

    Failed stages are told through `emit`; the trials that do not need them go on.
    """
    sweep = plan.sweep
    works = [
        TrialWork(t.trial.index, t.stages, sweep.resources, store.url, scratch_url, sweep.limits.retries, sweep.metric)
        for t in plan.trials
    ]
    room = capacity()
    _refuse_what_cannot_fit(works, room)
    refuse((stage for key, stage in plan.stages.items() if key not in done), remote_refusals)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # On the driver's node: no other may take all the trials with it.
    actor = ray.remote(BrokerActor).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here)
    broker = actor.remote(list(done))
    stop = threading.Event()
    mail = threading.Thread(target=_deliver, args=(broker, emit, stop), daemon=True)
    mail.start()
    try:
        _tune(plan, works, broker, scratch_url, room.get("CPU", 1))
    finally:
        stop.set()
        mail.join()


def _refuse_what_cannot_fit(works: Sequence[TrialWork], room: Mapping[str, float]) -> None:
    requests = [request for work in works for request in work.requests()]
    reasons = {reason for r in requests if (reason := too_large(r.name, r.need, room))}
    if reasons:
        raise UserError("\n".join(sorted(reasons)) + "\nAsk for less under `resources`, or use a larger cluster.")


def _tune(plan: Plan, works: Sequence[TrialWork], broker: Any, scratch_url: str, cpus: float) -> None:
    sweep = plan.sweep
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(_trial, works=list(works), broker=broker), {"memory": TRIAL_MEMORY_BYTES}
        ),
        param_space={"trial": tune.grid_search(list(range(len(works))))},
        tune_config=tune.TuneConfig(
            metric=sweep.metric,
            mode=sweep.mode,
            max_concurrent_trials=sweep.limits.concurrent_trials or max(1, round(cpus * TRIALS_PER_CPU)),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=f"{sweep.name}-{uuid.uuid4().hex[:8]}",
            storage_path=scratch_url,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=sweep.limits.retries),
        ),
    )
    tuner.fit()


def _trial(config: Mapping[str, Any], works: Sequence[TrialWork], broker: Any) -> None:
    """One trial. Stage failures are the broker's to remember; only a dead process makes Tune try again."""
    work = works[config["trial"]]
    ray.get(broker.abandon.remote(work.index))
    emit = RemoteEmit(broker)
    stages = {stage.key: stage for stage in work.stages}
    while True:
        decision = ray.get(broker.next.remote(work.index, work.requests()))
        if decision.action == "run":
            stage = stages[decision.key]
            emit(Event("started", stage.key, trial=work.index))
            job = Job(stage, work.store_url, work.scratch_url, work.resources, work.retries, decision.units, broker)
            try:
                execute(job)
            except Exception as error:
                # The one place where a stage's own failure ends: told to the driver with its traceback.
                ray.get(broker.fail.remote(stage.key, _cause(error)))
            else:
                ray.get(broker.finish.remote(stage.key))
        elif decision.action == "failed":
            tune.report({work.metric: float("nan")})
            return
        elif decision.action == "done":
            result = Store(work.store_url).get(work.stages[-1].key)
            assert result is not None
            tune.report({work.metric: result.metrics[work.metric]})
            return


def _cause(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).strip()


def _deliver(broker: Any, emit: Emit, stop: threading.Event) -> None:
    """Carry events from the broker's mailbox to the driver until told to stop and the box is empty."""
    seen = 0
    while True:
        stopping = stop.is_set()
        try:
            events = ray.get(broker.events.remote(seen))
        except ray.exceptions.RayError:
            return  # the cluster is going away, and with it whoever would write
        for event in events:
            emit(event)
        seen += len(events)
        if stopping and not events:
            return
