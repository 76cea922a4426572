"""Trials on Ray Tune. A trial holds next to nothing: it asks the broker which of its stages to compute."""

from __future__ import annotations

import threading
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from assay.errors import AssayError, UserError
from assay.planning import Plan, check_where_stages_run
from assay.report.words import size
from assay.runner.broker import Request, too_large
from assay.runner.events import Emit, Event
from assay.runner.judge import Judge
from assay.runner.needs import need
from assay.runner.on_ray.broker_actor import BrokerActor, RemoteEmit
from assay.runner.on_ray.capacity import capacity
from assay.runner.on_ray.growth import grow, limit
from assay.runner.on_ray.job import Job, execute
from assay.runner.on_ray.scheduler import TIME, StudyScheduler, rung_time, tune_scheduler
from assay.runner.on_ray.task import remote_findings
from assay.runner.pause import Pause, Paused
from assay.runner.room import Machine, total
from assay.spec import Resources, Scheduler
from assay.store import Store
from assay.workload import Stage

TRIAL_MEMORY_BYTES = 512 << 20
"""All that a trial holds, since it only asks the broker and waits. Not a sliver of a CPU: what is left of that CPU
would be too little for a worker that needs a whole one."""
TRIALS_PER_CPU = 2
MOST_TO_RACE = 8
PASS_ON_S = 0.2


@dataclass(frozen=True)
class TrialWork:
    """What a trial's process is sent."""

    index: int
    rungs: Mapping[int, tuple[Stage, ...]]
    """Those that it climbs now, lowest first, by number."""
    scheduler: Scheduler
    resources: Resources
    store_url: str
    scratch_url: str
    retries: int
    metric: str

    def requests(self, rung: int) -> list[Request]:
        return [
            Request(s.key, s.lineage, s.name, tuple(i.key for i in s.sources), need(s, self.resources))
            for s in self.rungs[rung]
        ]


def run_trials(plan: Plan, store: Store, done: Sequence[str], scratch_url: str, judge: Judge, pause: Pause) -> None:
    """Compute every stage of the plan that is not done, on the cluster this process is connected to.

    Failed stages are told through the judge's `emit`; the trials that do not need them go on. Returns early when the
    run is asked to pause.
    """
    sweep = plan.sweep
    works = [
        TrialWork(
            index=number,
            rungs={number: rung.stages for number, rung in enumerate(planned.rungs)},
            scheduler=sweep.scheduler,
            resources=sweep.resources,
            store_url=store.url,
            scratch_url=scratch_url,
            retries=sweep.limits.retries,
            metric=sweep.metric,
        )
        for number, planned in enumerate(plan.trials)
    ]
    _refuse_what_cannot_fit(works, capacity())
    _refuse_without_memory()
    for message in check_where_stages_run(plan, done, remote_findings):
        judge.emit(Event("warning", message=message, once=message))
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # On the driver's node: no other may take all the trials with it.
    actor = ray.remote(BrokerActor).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here)
    broker = actor.remote(list(done))
    stop = threading.Event()
    trouble: list[Exception] = []
    mail = threading.Thread(target=_deliver, args=(broker, judge.emit, stop, pause, trouble), daemon=True)
    mail.start()
    threading.Thread(target=_pass_on, args=(broker, pause, stop), daemon=True).start()
    growing = threading.Thread(target=_grow, args=(broker, pause, stop, trouble), daemon=True)
    growing.start()
    pause.is_heard = True
    try:
        for group in _groups(works, judge, pause):
            _tune(plan, group, broker, scratch_url, judge)
    finally:
        pause.is_heard = False
        stop.set()
        mail.join()
        growing.join()
    if trouble:
        raise trouble[0]


def _groups(works: Sequence[TrialWork], judge: Judge, pause: Pause) -> Iterator[Sequence[TrialWork]]:
    """What Tune is given at a time: everything; or, where all wait for all, those that climb to the next rung."""
    if not judge.waits_for_all:
        yield works
        return
    for rung in works[0].rungs:
        climbing = [replace(works[number], rungs={rung: works[number].rungs[rung]}) for number in judge.climbing(rung)]
        yield climbing
        if pause.reason is not None:
            return
        judge.cut(rung)


def _refuse_what_cannot_fit(works: Sequence[TrialWork], room: Sequence[Machine]) -> None:
    requests = [request for work in works for rung in work.rungs for request in work.requests(rung)]
    if not any(too_large(r.name, r.need, room) for r in requests):
        return
    most = limit(room)
    verb = "has" if most == room else "grows to"
    if reasons := {reason for r in requests if (reason := too_large(r.name, r.need, most, verb))}:
        raise UserError("\n".join(sorted(reasons)) + "\nAsk for less under `resources`, or use a larger cluster.")


def _refuse_without_memory() -> None:
    here = ray.get_runtime_context().get_node_id()
    memory = next(node["Resources"].get("memory", 0) for node in ray.nodes() if node["NodeID"] == here)
    if memory < TRIAL_MEMORY_BYTES:
        raise AssayError(
            f"Ray has {size(memory)} of memory to give on this machine, allowed: {size(TRIAL_MEMORY_BYTES)} or "
            "more, for a trial; free some, or run where there is more"
        )


def _tune(plan: Plan, works: Sequence[TrialWork], broker: Any, scratch_url: str, judge: Judge) -> None:
    sweep = plan.sweep
    cpus = total(capacity()).get("CPU", 0)
    refs = {work.index: ray.put(work) for work in works}  # each trial fetches its own
    leaves = {work.index: work.rungs[max(work.rungs)][-1].key for work in works}

    def lost(trial: int, cause: str) -> None:
        with suppress(ray.exceptions.RayError):  # who carries events notices as well, and tells
            ray.get(broker.lose.remote(trial, leaves[trial], f"the trial's own process failed: {cause}"))

    # Who races needs company: a rung tells more, the more trials have come there. A cluster without CPUs grows.
    least = MOST_TO_RACE if sweep.scheduler.name != "fifo" or not cpus else 1
    several = max(round(cpus * TRIALS_PER_CPU), least)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, works=refs, broker=broker), _beside_the_driver()),
        param_space={"trial": tune.grid_search([work.index for work in works])},
        tune_config=tune.TuneConfig(
            scheduler=StudyScheduler(tune_scheduler(sweep.scheduler), judge, sweep.metric, sweep.mode, lost),
            max_concurrent_trials=sweep.limits.concurrent_trials or several,
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


def _beside_the_driver() -> tune.PlacementGroupFactory:
    """What a trial holds, on the driver's node. There no machine that is lost or taken away takes a trial with it.

    Nor the controller of its training, which Ray starts where the trial is, and not where a notice was given.
    """
    here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    return tune.PlacementGroupFactory([{"memory": TRIAL_MEMORY_BYTES}], bundle_label_selector=[here])


def _trial(config: Mapping[str, Any], works: Mapping[int, ray.ObjectRef], broker: Any) -> None:
    """One trial, rung by rung. Stage failures are the broker's to remember; only a dead process makes Tune try again.

    After a report Tune's scheduler may end it there.
    """
    work: TrialWork = ray.get(works[config["trial"]])
    ray.get(broker.abandon.remote(work.index))
    store = Store(work.store_url, heals=False)
    for rung, stages in work.rungs.items():
        if not _climb(work, rung, broker):
            tune.report({work.metric: float("nan")})
            return
        result = store.get(stages[-1].key)
        assert result is not None
        value = result.metrics[work.metric]
        tune.report({work.metric: value, "rung": rung, TIME: rung_time(work.scheduler, rung)})


def _climb(work: TrialWork, rung: int, broker: Any) -> bool:
    """Compute what the broker asks for, until every stage of the rung is there; whether it came to that."""
    emit = RemoteEmit(broker)
    stages = {stage.key: stage for stage in work.rungs[rung]}
    while True:
        decision = ray.get(broker.next.remote(work.index, work.requests(rung)))
        if decision.action == "run":
            stage = stages[decision.key]
            emit(Event("started", stage.key, trial=work.index))
            job = Job(stage, work.store_url, work.scratch_url, work.resources, work.retries, decision.units, broker)
            try:
                execute(job)
            except Paused:
                ray.get(broker.leave.remote(stage.key))
                return False
            except Exception as error:
                # The one place where a stage's own failure ends: told to the driver with its traceback.
                ray.get(broker.fail.remote(stage.key, _cause(error)))
            else:
                ray.get(broker.finish.remote(stage.key))
        elif decision.action != "wait":
            return bool(decision.action == "done")


def _cause(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).strip()


def _deliver(broker: Any, emit: Emit, stop: threading.Event, pause: Pause, trouble: list[Exception]) -> None:
    """Carry events from the broker's mailbox to the driver until told to stop and the box is empty.

    A listener that raises ends the run: trainings save, and the caller gets the error.
    """
    seen = 0
    while True:
        stopping = stop.is_set()
        try:
            events = ray.get(broker.events.remote(seen))
        except ray.exceptions.RayError as error:
            trouble.append(AssayError(f"this run lost touch with its cluster: {error}"))
            return
        try:
            for event in events:
                emit(event)
        except Exception as error:
            trouble.append(error)
            pause.ask(f"a listener failed: {error}")
            return
        seen += len(events)
        if stopping and not events:
            return


def _grow(broker: Any, pause: Pause, stop: threading.Event, trouble: list[Exception]) -> None:
    """`grow`; a cluster that cannot be asked ends the run, since whoever waits would wait for ever."""
    try:
        grow(broker, stop)
    except ray.exceptions.RayActorError:
        return  # the cluster is going away
    except Exception as error:
        trouble.append(error)
        pause.ask(f"the cluster cannot be looked at: {error}")


def _pass_on(broker: Any, pause: Pause, stop: threading.Event) -> None:
    """Tell the broker when the run is asked to pause. A thread, since a signal handler must not call Ray."""
    while not stop.is_set():
        if pause.wait(PASS_ON_S):
            with suppress(ray.exceptions.RayError):  # the cluster is going away
                ray.get(broker.pause.remote())
            return
