"""Trials on Ray Tune. A trial holds almost no resources: it asks the broker which of its stages to compute."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from assay.events import Emit, Event
from assay.execution.packing import total
from assay.execution.pause import Pause
from assay.execution.ray import private
from assay.execution.ray.aside import aside
from assay.execution.ray.broker_actor import BrokerActor
from assay.execution.ray.capacity import TRIAL_MEMORY_BYTES, capacity
from assay.execution.ray.deaths import RAY_ENDED, in_words, quoted
from assay.execution.ray.growth import grow
from assay.execution.ray.scheduler import StudyScheduler
from assay.execution.ray.trial import TrialWork, climb
from assay.execution.ray.watch import LEAVE_S, ended_by, gone, lose, while_it_lives
from assay.execution.requirements import need
from assay.execution.rung_decisions import RungDecisions
from assay.planning import Plan
from assay.planning.labels import serves
from assay.shown import is_notebook
from assay.store import Store

TRIALS_PER_CPU = 2
MOST_TO_RACE = 8
PASS_ON_S = 0.2


def run_trials(
    plan: Plan, store: Store, done: Sequence[str], scratch_url: str, decisions: RungDecisions, pause: Pause
) -> None:
    """Compute every stage of the plan that is not done, on the connected cluster.

    Failed stages are reported by `decisions.emit`; trials that do not need them continue. Returns early when asked to
    pause. Raises ClusterLost as soon as the cluster is gone.
    """
    work = partial(_run_trials, plan, store, done, scratch_url, decisions, pause)
    try:
        while_it_lives(work, decisions.emit)
    finally:
        pause.is_heard = False


def _run_trials(
    plan: Plan,
    store: Store,
    done: Sequence[str],
    scratch_url: str,
    decisions: RungDecisions,
    pause: Pause,
    lost: Future[None],
    over: threading.Event,
) -> None:
    sweep = plan.sweep
    titles = {key: f"{stage.name} ({serves(plan, key)})" for key, stage in plan.stages.items()}
    works = [
        TrialWork(
            index=number,
            rungs={number: rung.stages for number, rung in enumerate(planned.rungs)},
            needs={stage.key: need(stage, sweep.resources) for stage in planned.stages},
            store_url=store.url,
            origin=store.files.origin,
            run=store.run,
            scratch_url=scratch_url,
            retries=sweep.limits.retries,
            metric=sweep.objective.name,
            titles={stage.key: titles[stage.key] for rung in planned.rungs for stage in rung.stages},
        )
        for number, planned in enumerate(plan.trials)
    ]
    driver_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # On the driver's node: the loss of any other must not take all trials with it.
    actor = ray.remote(BrokerActor).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=driver_node)
    broker = actor.remote(list(done))
    stop = threading.Event()
    errors: list[Exception] = []
    mail = aside(lambda: _deliver(broker, decisions.emit, stop, pause, errors, lost))
    growing = aside(lambda: _grow(broker, pause, stop, errors))
    aside(lambda: _pass_on(broker, pause, over))
    pause.is_heard = True
    try:
        for group in _groups(works, decisions, pause):
            tune_group = partial(_tune, plan, store, group, broker, scratch_url, decisions, over)
            _despite_memory(tune_group, sweep.limits.retries, decisions.emit)
    finally:
        pause.is_heard = False
        stop.set()
        if not over.is_set():
            broker.end.remote()
        wait_for([mail, growing], LEAVE_S if over.is_set() else None)
    if errors:
        raise errors[0]


def _groups(works: Sequence[TrialWork], decisions: RungDecisions, pause: Pause) -> Iterator[Sequence[TrialWork]]:
    """The trials that Tune runs at a time: all, or, if all wait for all, those that climb to the next rung."""
    if not decisions.waits_for_all:
        yield works
        return
    for rung in works[0].rungs:
        climbing = [
            replace(works[number], rungs={rung: works[number].rungs[rung]}) for number in decisions.climbing(rung)
        ]
        if not climbing:
            return  # a race that is over before its last rung
        yield climbing
        if pause.reason is not None:
            return
        decisions.promote(rung)


def _despite_memory(tune_group: Callable[[], None], retries: int, emit: Emit) -> None:
    """Repeat if Ray ended a trial's own process for memory: Tune raises then, as for an unknown error."""
    for retry in range(1, retries + 2):
        try:
            tune_group()
            return
        except Exception as error:
            why = in_words(error)
            if not why.startswith(RAY_ENDED):
                raise
            why = why.replace("its process", "a trial's own process")
            if retry > retries:
                raise ended_by(f"{why}; let fewer stages run at once, or give Ray a larger machine") from error
            again = f"{why}; all trials start over from what is stored, retry {retry} of {retries}"
            emit(Event("warning", message=again))


def _tune(
    plan: Plan,
    store: Store,
    works: Sequence[TrialWork],
    broker: Any,
    scratch_url: str,
    decisions: RungDecisions,
    over: threading.Event,
) -> None:
    sweep = plan.sweep
    cpus = total(capacity()).get("CPU", 0)
    refs = {work.index: ray.put(work) for work in works}  # each trial fetches only its own
    leaves = {work.index: work.rungs[max(work.rungs)][-1].key for work in works}

    def died(trial: int, error: Exception, retry: int) -> None:
        why = in_words(error)
        if retry:
            again = (
                f"the trial's own process failed; retry {retry} of {sweep.limits.retries}, from what is stored: {why}"
            )
            decisions.emit(Event("warning", leaves[trial], trial=trial, message=f"{plan.trials[trial].name}: {again}"))
            return
        message = f"{quoted(str(error))}\nthe trial's own process failed: {why}"
        with suppress(ray.exceptions.RayError):  # `_deliver` notices a lost cluster too, and reports it
            lost = ray.get(broker.lose.remote(trial, leaves[trial], message))
            store.leases().give_back({plan.stages[key].lineage for key in lost})

    # Races get more trials at once, unless all wait at each rung: a rung tells more, the more trials have reached it.
    # A cluster without CPUs grows.
    races = sweep.scheduler.facts.races and not decisions.waits_for_all
    least = MOST_TO_RACE if races or not cpus else 1
    several = max(round(cpus * TRIALS_PER_CPU), least)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(climb, works=refs, broker=broker), _beside_the_driver()),
        param_space={"trial": tune.grid_search([work.index for work in works])},
        tune_config=tune.TuneConfig(
            scheduler=StudyScheduler(decisions, died, over),
            max_concurrent_trials=sweep.limits.concurrent_trials or several,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=f"{sweep.name}-{uuid.uuid4().hex[:8]}",
            storage_path=scratch_url,
            verbose=0,
            progress_reporter=_Silent() if is_notebook() else None,
            failure_config=tune.FailureConfig(max_failures=sweep.limits.retries),
        ),
    )
    tuner.fit()


class _Silent(tune.ProgressReporter):  # type: ignore[misc]
    """In a notebook, Tune's own reporter would clear the cell's output again and again, whatever `verbose` is."""

    def should_report(self, trials: Sequence[object], done: bool = False) -> bool:
        return False


def _beside_the_driver() -> tune.PlacementGroupFactory:
    """What a trial holds, on the driver's node, where no other machine that is lost takes a trial with it.

    This also protects the controller of its training, which Ray starts beside the trial, not on a node with a notice.
    """
    node = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    return tune.PlacementGroupFactory([{"memory": TRIAL_MEMORY_BYTES}], bundle_label_selector=[node])


def _deliver(
    broker: Any, emit: Emit, stop: threading.Event, pause: Pause, errors: list[Exception], lost: Future[None]
) -> None:
    """Pass events from the broker's mailbox to the driver, until stopped and the mailbox is empty.

    A listener that raises ends the run: trainings save, and the caller gets the error.
    """
    seen = 0
    while True:
        stopping = stop.is_set()
        try:
            events = ray.get(broker.events.remote(seen))
        except ray.exceptions.RayError as error:
            reason = gone(private.node())
            lose(lost, reason or f"the process that directs the trials is gone ({in_words(error)})")
            return
        try:
            for event in events:
                emit(event)
        except Exception as error:
            errors.append(error)
            pause.ask(f"a listener failed: {error}")
            return
        seen += len(events)
        if stopping and not events:
            return


def _grow(broker: Any, pause: Pause, stop: threading.Event, errors: list[Exception]) -> None:
    """Run `grow`; if the cluster cannot be queried, end the run, since waiting stages would wait forever."""
    try:
        grow(broker, stop)
    except ray.exceptions.RayActorError:
        return  # the cluster is going away
    except Exception as error:
        errors.append(error)
        pause.ask(f"the cluster cannot be queried: {error}")


def _pass_on(broker: Any, pause: Pause, stop: threading.Event) -> None:
    """Tell the broker when the run is asked to pause. A thread, since a signal handler must not call Ray."""
    while not stop.is_set():
        if pause.wait(PASS_ON_S):
            with suppress(ray.exceptions.RayError):  # the cluster is going away
                ray.get(broker.pause.remote())
            return
