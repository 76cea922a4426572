"""Check that the stages of a plan can run on the connected cluster, before anything starts."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from functools import partial

import ray

from assay.errors import AssayError, UserError
from assay.events import Emit, Event
from assay.execution.broker import too_large
from assay.execution.ray.capacity import TRIAL_MEMORY_BYTES, capacity
from assay.execution.ray.growth import limit
from assay.execution.ray.watch import while_it_lives
from assay.execution.requirements import need
from assay.planning import Plan, check_where_stages_run
from assay.planning.checks import Check, Finding, findings
from assay.text import size


def check_here(plan: Plan, done: Collection[str], emit: Emit) -> None:
    """Raise UserError if stages that are not done do not fit, or their checks refuse. Raises ClusterLost as soon as the
    cluster is gone."""
    while_it_lives(partial(_check, plan, done, emit), emit)


def _check(plan: Plan, done: Collection[str], emit: Emit, lost: Future[None], over: threading.Event) -> None:
    _refuse_what_cannot_fit(plan, done)
    _refuse_without_memory()
    for message in check_where_stages_run(plan, done, _remote_findings):
        emit(Event("warning", message=message, once=message))


def _refuse_what_cannot_fit(plan: Plan, done: Collection[str]) -> None:
    needs = [(stage.name, need(stage, plan.sweep.resources)) for key, stage in plan.needed.items() if key not in done]
    machines = capacity()
    if not any(too_large(name, stage_need, machines) for name, stage_need in needs):
        return
    most = limit(machines)
    verb = "has" if most == machines else "grows to"
    if reasons := {reason for name, stage_need in needs if (reason := too_large(name, stage_need, most, verb))}:
        raise UserError("\n".join(sorted(reasons)) + "\nAsk for less under `resources`, or use a larger cluster.")


def _refuse_without_memory() -> None:
    node_id = ray.get_runtime_context().get_node_id()
    memory = next(node["Resources"].get("memory", 0) for node in ray.nodes() if node["NodeID"] == node_id)
    if memory < TRIAL_MEMORY_BYTES:
        raise AssayError(
            f"Ray has {size(memory)} of memory to assign on this machine, allowed: {size(TRIAL_MEMORY_BYTES)} or "
            "more, for a trial; free some, or use a machine with more"
        )


def _remote_findings(checks: Sequence[Check]) -> list[Finding]:
    """Run `findings` on the cluster, whose files and packages may differ from those here. One task: it is quick."""
    try:
        return ray.get(ray.remote(findings).options(num_cpus=1).remote(checks))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
