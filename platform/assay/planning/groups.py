"""Trainings that the workers of a sweep's `resources` could never do: known when it is planned."""

from __future__ import annotations

from collections.abc import Iterable

from assay.errors import UserError
from assay.spec import Resources
from assay.workload import Stage, canonical_json, load_attribute


def refuse_impossible_groups(stages: Iterable[Stage], resources: Resources) -> None:
    """Raise one UserError with all that the trainings' group checks refuse, for any number of workers there may be."""
    group = resources.train
    distinct = {
        canonical_json([stage.name, stage.group_check, stage.config, stage.execution]): stage
        for stage in stages
        if stage.group_check is not None
    }
    refused: dict[str, None] = {}
    for stage in distinct.values():
        assert stage.group_check is not None
        check = load_attribute(stage.group_check)
        for workers in range(group.least_workers, group.most_workers + 1):
            try:
                check(stage.config, stage.execution, workers, group.gpus_per_worker)
            except UserError as error:
                refused[f"{stage.name}: {error}"] = None
                break
    if refused:
        raise UserError("\n".join(refused))
