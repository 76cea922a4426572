"""The current resources of the cluster."""

from __future__ import annotations

from collections.abc import Mapping

import ray
from ray.util.placement_group import PlacementGroup, remove_placement_group

from assay.execution.ray import private

TRIAL_MEMORY_BYTES = 512 << 20
"""What a trial holds, since it only asks the broker and waits. No fraction of a CPU: the rest of that CPU would be too
little for a worker that needs a whole one."""


def capacity() -> list[Mapping[str, float]]:
    """Resource → amount, per node that is alive and not announced to be taken away."""
    leaving = private.leaving_nodes()
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in leaving]


def free_what_the_dead_hold() -> None:
    """Remove the placement groups of this run whose creator died, such as the controller of a training.

    Ray keeps them until the run ends (ray#54305). Ray Train has a process that cleans up, but it needs the dashboard,
    which may not run.
    """
    job = ray.get_runtime_context().get_job_id()
    for group in private.placement_groups():
        is_ours = group.creator_job_id.hex() == job and not ray.ActorID(group.creator_actor_id).is_nil()
        if is_ours and group.creator_actor_dead and group.state != group.REMOVED:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
