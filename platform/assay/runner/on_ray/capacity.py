"""What a cluster has, as of now."""

from __future__ import annotations

from collections import Counter

import ray


def capacity() -> dict[str, float]:
    """Resource → amount, over the nodes that are alive and were not told that they will be taken away."""
    # Ray has no public way to ask for draining nodes; its Train watches them by this call, too.
    leaving = ray._private.state.state.get_draining_nodes()
    total: Counter[str] = Counter()
    for node in ray.nodes():
        if node["Alive"] and node["NodeID"] not in leaving:
            total.update(node["Resources"])
    return dict(total)
