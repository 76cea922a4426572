"""The protocol of `assay.workload`, held to: what a workload's stage graph may be, and what a jackknife file may hold.

What bodies return is checked where they run: assay.workload.returned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from assay.errors import StageError
from assay.workload.protocol import Workload
from assay.workload.stage import JSON, Stage, shown, topological


def stage_graph(workload: Workload, config: Mapping[str, JSON]) -> list[Stage]:
    """Every stage of a resolved config, each once, inputs before what reads them; the last is the trial's leaf.

    A stage checks itself when it is made; here is what takes the whole graph to see. Raises StageError where the
    workload breaks the protocol; what else `workload.stages` raises passes.
    """
    where = f"workload {workload.name}"
    try:
        leaves = workload.stages(config)
    except StageError as error:
        raise StageError(f"{where}, {error}") from error
    if not isinstance(leaves, Sequence) or not leaves or not all(isinstance(leaf, Stage) for leaf in leaves):
        raise StageError(f"{where}: stages() returned {shown(leaves)}, expected a list of one or more Stages")
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
    """Metric → its replicates and the sizes of its blocks, from the text of a jackknife file. Raises ValueError that
    says what is wrong."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"there is no JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"there is {shown(content)}, and no object")
    found = {}
    for name, said in content.items():
        if not isinstance(said, dict):
            raise ValueError(f"{name!r} is {shown(said)}, and no object")
        values, sizes = said.get("replicates", []), said.get("sizes", [])
        for key, numbers in (("replicates", values), ("sizes", sizes)):
            if not isinstance(numbers, list) or any(type(number) not in (int, float) for number in numbers):
                raise ValueError(f"{key} of {name!r} are {shown(numbers)}, and no list of numbers")
        if sizes and (len(sizes) != len(values) or min(sizes) <= 0 or len(sizes) < 2):
            raise ValueError(f"{name!r} has {len(values)} replicates and the sizes {shown(sizes)}")
        found[name] = tuple(map(float, values)), tuple(sizes)
    return found
