"""The protocol of `assay.workload`, held to: what a workload's stage graph may be, and what a jackknife file may hold.

What bodies return is checked where they run: assay.execution.returned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import get_args

from assay.errors import UserError
from assay.text import shorten
from assay.workload import JSON, Stage, StageKind, Workload, topological


def stage_graph(workload: Workload, config: Mapping[str, JSON]) -> list[Stage]:
    """Every stage of a resolved config, each once, inputs before what reads them; the last is the trial's leaf.

    Raises UserError where the workload breaks the protocol; what `workload.stages` raises itself passes.
    """
    leaves = workload.stages(config)
    where = f"workload {workload.name}"
    if not isinstance(leaves, Sequence) or not leaves or not all(isinstance(leaf, Stage) for leaf in leaves):
        raise UserError(f"{where}: stages() returned {shown(leaves)}, expected a list of one or more Stages")
    try:
        stages = topological(leaves)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: the config of a stage is not plain JSON, as expected: {error}") from error
    for stage in stages:
        if wrong := _stage_problem(stage):
            raise UserError(f"{where}, stage {stage.name}: {wrong}")
    leaf = leaves[-1]
    if stages[-1].key != leaf.key:
        raise UserError(f"{where}: its last stage {leaf.name} is read by another of its leaves; put that one last")
    if leaf.kind == "map":
        raise UserError(
            f"{where}: its last stage {leaf.name} is a map stage, whose rows have no metrics; expected a train "
            "or reduce stage, which returns the trial's"
        )
    return stages


def _stage_problem(stage: Stage) -> str | None:
    """What is wrong with a stage's own fields; None when nothing is."""
    if stage.kind not in get_args(StageKind):
        return f"its kind is {stage.kind!r}, allowed: {', '.join(get_args(StageKind))}"
    paths: object = stage.body  # a string is a likely slip, and would be taken letter by letter
    if not isinstance(paths, tuple) or not paths or not all(isinstance(p, str) and _is_import_path(p) for p in paths):
        return f'its body is {shown(paths)}, expected import paths such as ("package.module:attribute",)'
    if stage.kind != "map" and len(paths) > 1:
        return f"it has {len(paths)} bodies ({', '.join(paths)}), allowed for a {stage.kind} stage: one"
    if not isinstance(stage.amount, int) or stage.amount < 1:
        return f"its budget is {shown(stage.amount)}, allowed: a whole number of {stage.unit}, 1 or more"
    return None


def _is_import_path(path: str) -> bool:
    module, _, attribute = path.partition(":")
    return bool(module) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


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


def shown(value: object) -> str:
    """A value in a message: its type, and as much of it as fits a line."""
    if value is None:
        return "None"
    text = " ".join(repr(value).split())
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and not isinstance(value, (int, float)):
        return f"a {type(value).__module__.partition('.')[0]} {type(value).__name__} of shape {tuple(shape)}"
    return f"{shorten(text)} ({type(value).__name__})"
