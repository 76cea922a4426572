"""Clusters that start machines when they are needed: how far they may grow, and asking them to."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray.autoscaler._private.util import format_readonly_node_type
from ray.autoscaler.sdk import request_resources
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.data._internal.cluster_autoscaler import get_or_create_autoscaling_coordinator
from ray.experimental.internal_kv import _internal_kv_get

from assay.execution.packing import total

LOOK_S = 1.0
"""How often those who wait look at the cluster again."""
REPORT_S = 60.0
"""How long a cluster that has just started may take to say whether it starts machines."""
NO_LIMIT = {"CPU": math.inf, "GPU": math.inf}


def limit(room: Sequence[Mapping[str, float]]) -> Sequence[Mapping[str, float]]:
    """The most that a cluster whose machines are `room` may come to have; as if it were one machine, where it grows."""
    # Only some autoscalers say how far they go; Ray's own, and KubeRay's, do not.
    told = ray._private.state.state.get_max_resources_from_cluster_config()
    if told is not None:
        has = total(room)
        return [{name: max(has.get(name, 0.0), told.get(name, 0.0)) for name in {*has, *told}}]
    deadline = time.monotonic() + REPORT_S
    while (starts := _starts_machines()) is None and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return [NO_LIMIT] if starts else room


def grow(broker: Any, stop: threading.Event) -> None:
    """Look after those who wait for room, until told to stop: ask for machines while they do, and then for none."""
    is_asking = False
    try:
        while not stop.wait(LOOK_S):
            wanted = ray.get(broker.look.remote())
            if not is_asking:
                if not wanted or not _starts_machines():
                    continue
                # Ray's Train and Data ask by this actor. Every 20 s it asks anew for what they want, and no more: so
                # nobody keeps machines for a run that was killed, which asks no more.
                get_or_create_autoscaling_coordinator()
            request_resources(bundles=[dict(bundle) for bundle in wanted])
            is_asking = bool(wanted)
    finally:
        if is_asking:
            request_resources(bundles=[])


def _starts_machines() -> bool | None:
    """Whether the cluster starts machines by itself; None while it has not said so."""
    if is_autoscaler_v2(fetch_from_server=True):
        return True  # who runs a cluster chooses this one for that
    status = _internal_kv_get(DEBUG_AUTOSCALING_STATUS)
    report = json.loads(status).get("autoscaler_report") if status else None
    if not report:
        return None
    # On a cluster of fixed machines the autoscaler only looks on, and makes each node a type of its own.
    types = report["node_type_mapping"]
    return any(kind != format_readonly_node_type(node) for node, kind in types.items())
