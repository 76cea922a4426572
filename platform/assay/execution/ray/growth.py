"""Clusters that start machines when they are needed: how far they may grow, and asking them to."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.autoscaler.sdk import request_resources

from assay.execution.packing import total
from assay.execution.ray import private

LOOK_S = 1.0
"""How often those who wait look at the cluster again."""
REPORT_S = 60.0
"""How long a cluster that has just started may take to say whether it starts machines."""
NO_LIMIT = {"CPU": math.inf, "GPU": math.inf}


def limit(room: Sequence[Mapping[str, float]]) -> Sequence[Mapping[str, float]]:
    """The most that a cluster whose machines are `room` may come to have; as if it were one machine, where it grows."""
    told = private.most_resources()
    if told is not None:
        has = total(room)
        return [{name: max(has.get(name, 0.0), told.get(name, 0.0)) for name in {*has, *told}}]
    deadline = time.monotonic() + REPORT_S
    while (starts := private.starts_machines()) is None and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return [NO_LIMIT] if starts else room


def grow(broker: Any, stop: threading.Event) -> None:
    """Look after those who wait for room, until told to stop: ask for machines while they do, and then for none."""
    is_asking = False
    try:
        while not stop.wait(LOOK_S):
            wanted = ray.get(broker.look.remote())
            if not is_asking:
                if not wanted or not private.starts_machines():
                    continue
                # It asks for what Train and Data want, and no more: so nobody keeps machines for a run that was killed,
                # which asks no more.
                private.start_autoscaling_coordinator()
            request_resources(bundles=[dict(bundle) for bundle in wanted])
            is_asking = bool(wanted)
    finally:
        if is_asking:
            request_resources(bundles=[])
