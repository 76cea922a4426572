"""Checks of the workload protocol: what a stage graph and a jackknife file may contain.

What bodies return is checked at run time: assay.workload.returned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from assay.errors import StageError
from assay.workload.protocol import Workload
from assay.workload.stage import JSON, Stage, shown, topological


def stage_graph(workload: Workload, config: Mapping[str, JSON]) -> list[Stage]:
    """Every stage of a resolved config, each once, inputs before their readers; the last is the trial's leaf.

    Stages check themselves; this checks the graph. Raises StageError if the workload breaks the protocol; other errors
    of `workload.stages` pass through.
    """
    where = f"workload {workload.name}"
    try:
        leaves = workload.stages(config)
    except StageError as error:
        raise StageError(f"{where}, {error}") from error
    if not isinstance(leaves, Sequence) or not leaves or not all(isinstance(leaf, Stage) for leaf in leaves):
        raise StageError(f"{where}: stages() returned {shown(leaves)}, expected a list of one or more Stages")
    if streamed := next((leaf for leaf in leaves if leaf.streamed), None):
        raise StageError(
            f"{where}: stages() returned {streamed.name}, which is streamed; expected stages that are stored"
        )
    stages = topological(leaves)
    leaf = leaves[-1]
    if stages[-1].key != leaf.key:
        raise StageError(f"{where}: its last stage {leaf.name} is read by another of its leaves; put that one last")
    if leaf.kind == "map":
        raise StageError(
            f"{where}: its last stage {leaf.name} is a map stage, whose rows have no metrics; expected a train "
            "or reduce stage, which returns the trial's"
        )
    return stages


def replicates(text: str) -> dict[str, tuple[tuple[float, ...], tuple[int, ...]]]:
    """Metric → its replicates and the sizes of its blocks, from the text of a jackknife file. Raises ValueError saying
    what is wrong."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"there is no valid JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"there is {shown(content)}, not an object")
    metrics = {}
    for name, entry in content.items():
        if not isinstance(entry, dict):
            raise ValueError(f"{name!r} is {shown(entry)}, not an object")
        values, sizes = entry.get("replicates", []), entry.get("sizes", [])
        for key, numbers in (("replicates", values), ("sizes", sizes)):
            if not isinstance(numbers, list) or any(type(number) not in (int, float) for number in numbers):
                raise ValueError(f"{key} of {name!r} are {shown(numbers)}, not a list of numbers")
        if sizes and (len(sizes) != len(values) or min(sizes) <= 0 or len(sizes) < 2):
            raise ValueError(f"{name!r} has {len(values)} replicates and the sizes {shown(sizes)}")
        metrics[name] = tuple(map(float, values)), tuple(sizes)
    return metrics
