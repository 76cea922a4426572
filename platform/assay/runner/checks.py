"""What stages refuse before anything is computed: hours of work are not begun that could only fail at their end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from assay.errors import UserError
from assay.workload import JSON, Stage, canonical_json, load_attribute


@dataclass(frozen=True)
class Check:
    """One call of a stage's check. Picklable, so that it can be made where the stage will run."""

    stage: str
    function: str
    config: Mapping[str, JSON]


def checks_of(stages: Iterable[Stage]) -> list[Check]:
    """Every distinct check of the stages, in their order: stages that share a config are asked once."""
    distinct = {
        (stage.check, canonical_json(stage.config)): Check(stage.name, stage.check, dict(stage.config))
        for stage in stages
        if stage.check is not None
    }
    return list(distinct.values())


def refusals(checks: Sequence[Check]) -> list[str]:
    """What is wrong, once each; [] when nothing is. What is no UserError is a bug of the check, and raised."""
    refused_by: dict[str, list[str]] = {}
    for check in checks:
        try:
            load_attribute(check.function)(check.config)
        except UserError as error:
            refused_by.setdefault(str(error), []).append(check.stage)
    return [f"{', '.join(dict.fromkeys(stages))}: {message}" for message, stages in refused_by.items()]


def refuse(stages: Iterable[Stage], ask: Callable[[Sequence[Check]], list[str]] = refusals) -> None:
    """Raise one UserError with everything that the stages' checks refuse. `ask` is not called when there are none."""
    checks = checks_of(stages)
    if checks and (found := ask(checks)):
        raise UserError("\n".join([*found, "Nothing was started."]))
