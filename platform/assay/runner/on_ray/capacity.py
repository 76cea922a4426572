"""What a cluster has, as of now."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import ray


def leaving_nodes() -> Collection[str]:
    """Ids of the nodes that will be taken away."""
    # Ray has no public way to ask. Its Train watches by this call, too, but in an actor of the group's: where a notice
    # comes before that actor runs, and there is room for it on the announced node alone, it never starts.
    return ray._private.state.state.get_draining_nodes()


def capacity() -> list[Mapping[str, float]]:
    """Of every node that is alive and was not told that it will be taken away: resource → amount."""
    leaving = leaving_nodes()
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in leaving]
