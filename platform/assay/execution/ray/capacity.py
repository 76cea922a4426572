"""What a cluster has, as of now."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import ray
from ray.util.placement_group import PlacementGroup, remove_placement_group

from assay.execution.ray import private

TRIAL_MEMORY_BYTES = 512 << 20
"""All that a trial holds, since it only asks the broker and waits. Not a sliver of a CPU: what is left of that CPU
would be too little for a worker that needs a whole one."""


def leaving_nodes() -> Collection[str]:
    """Ids of the nodes that will be taken away."""
    # Ray's Train watches for notices, too, but in an actor of the group's: where one comes before that actor runs, and
    # there is room for it on the announced node alone, it never starts.
    return private.leaving_nodes()


def capacity() -> list[Mapping[str, float]]:
    """Resource → amount, per node that is alive and was not told that it will be taken away."""
    leaving = leaving_nodes()
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in leaving]


def free_what_the_dead_hold() -> None:
    """Remove the placement groups of this run whose creator died, as the controller of a training may.

    Ray keeps them until the run is over (ray#54305). Its Train has a process that looks after them, but by the
    dashboard, which there need not be.
    """
    job = ray.get_runtime_context().get_job_id()
    for group in private.placement_groups():
        is_ours = group.creator_job_id.hex() == job and not ray.ActorID(group.creator_actor_id).is_nil()
        if is_ours and group.creator_actor_dead and group.state != group.REMOVED:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
