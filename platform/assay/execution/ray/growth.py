"""Autoscaling clusters: how far they may grow, and requests for more machines."""

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

POLL_S = 1.0
"""How often the cluster is inspected while stages wait."""
REPORT_S = 60.0
"""How long a cluster that has just started may take to say whether it autoscales."""
NO_LIMIT = {"CPU": math.inf, "GPU": math.inf}


def limit(room: Sequence[Mapping[str, float]]) -> Sequence[Mapping[str, float]]:
    """The most that a cluster of the machines `room` may grow to; as one machine, if it grows."""
    most = private.most_resources()
    if most is not None:
        has = total(room)
        return [{name: max(has.get(name, 0.0), most.get(name, 0.0)) for name in {*has, *most}}]
    deadline = time.monotonic() + REPORT_S
    while (starts := private.starts_machines()) is None and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return [NO_LIMIT] if starts else room


def grow(broker: Any, stop: threading.Event) -> None:
    """Until stopped, request machines while stages wait for room, and drop the request afterwards."""
    is_asking = False
    try:
        while not stop.wait(POLL_S):
            bundles = ray.get(broker.look.remote())
            if not is_asking:
                if not bundles or not private.starts_machines():
                    continue
                # The coordinator forwards the requests of Train and Data; if this run is killed, it requests nothing
                # more, and no machine is kept.
                private.start_autoscaling_coordinator()
            request_resources(bundles=[dict(bundle) for bundle in bundles])
            is_asking = bool(bundles)
    finally:
        if is_asking:
            request_resources(bundles=[])
