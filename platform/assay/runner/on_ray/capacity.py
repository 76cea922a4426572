"""What a cluster has, as of now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import ray


def leaving_nodes() -> Collection[str]:
    """Ids of the nodes that will be taken away."""
    # Ray has no public way to ask. Its Train watches by this call, too, but in an actor of the group's: where a notice
    # comes before that actor runs, and there is room for it on the announced node alone, it never starts.
    return ray._private.state.state.get_draining_nodes()


def capacity() -> dict[str, float]:
    """Resource → amount, over the nodes that are alive and were not told that they will be taken away."""
    leaving = leaving_nodes()
    total: Counter[str] = Counter()
    for node in ray.nodes():
        if node["Alive"] and node["NodeID"] not in leaving:
            total.update(node["Resources"])
    return dict(total)
