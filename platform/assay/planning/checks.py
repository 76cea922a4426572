"""What stages refuse and warn of before anything is computed: no work begins that could only fail at its end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from assay.errors import NotHere, UserError, passing_warnings
from assay.look import a_look
from assay.planning.import_paths import refuse_missing_functions
from assay.planning.passes import with_streamed
from assay.planning.plan import Plan, Warned
from assay.sweep import Resources
from assay.workload import Stage, canonical_json, load_attribute

Absence = Literal["warned of", "refused", "left"]
"""What becomes of a check that does not find here what may be there where stages run: a run on a cluster leaves it to
the check that it makes there."""


@dataclass(frozen=True)
class Check:
    """A check of stages that are alike to it. Picklable, so that it can be made where the stages will run."""

    stage: str
    keys: tuple[str, ...]
    function: str
    calls: tuple[tuple[Any, ...], ...]
    """Arguments of each call. Nothing more is asked after the first that is refused."""


@dataclass(frozen=True)
class Finding:
    """What a check says of its stages."""

    stage: str
    keys: tuple[str, ...]
    kind: Literal["refusal", "absence", "warning"]
    message: str


@a_look()
def findings(checks: Sequence[Check]) -> list[Finding]:
    """What the checks say, in their order. What is no UserError is a bug of the check, and raised."""
    said: list[Finding] = []
    for check in checks:
        warned: list[str] = []
        try:
            function = load_attribute(check.function)
            with passing_warnings(warned.append):
                for arguments in check.calls:
                    function(*arguments)
        except NotHere as error:
            said.append(Finding(check.stage, check.keys, "absence", str(error)))
        except ImportError as error:
            message = f"its check {check.function} needs what is not installed: {error}"
            said.append(Finding(check.stage, check.keys, "absence", message))
        except UserError as error:
            said.append(Finding(check.stage, check.keys, "refusal", str(error)))
        said += [Finding(check.stage, check.keys, "warning", message) for message in dict.fromkeys(warned)]
    return said


def checked(plan: Plan, stored: Collection[str] = (), absence: Absence = "warned of") -> Plan:
    """The plan, with what the checks of its stages warn of, as far as that can be seen from here.

    Raises UserError with everything that is refused of stages that are not `stored`. Those that are stored were good
    once: they are only warned of.
    """
    lacking = [stage for key, stage in plan.needed.items() if key not in stored]
    refuse_missing_functions(
        (plan.trials_of[stage.key][0].workload.name, part) for stage, part in with_streamed(lacking)
    )
    stages = plan.needed.values()
    said = findings([*_group_checks(stages, plan.sweep.resources), *checks_of(stages)])
    raise_refusals(plan, said, stored, with_absences=absence == "refused")
    told = ("warning", "absence") if absence == "warned of" else ("warning",)
    warned: dict[str, set[str]] = {}
    for finding in said:
        if finding.kind in told:
            elsewhere = "; a run needs it where its stages run" if finding.kind == "absence" else ""
            users = (trial.name for key in finding.keys for trial in plan.trials_of[key])
            warned.setdefault(finding.message + elsewhere, set()).update(users)
    names = [trial.name for trial in plan.trials]
    by_checks = (Warned(text, tuple(name for name in names if name in users)) for text, users in warned.items())
    return replace(plan, warned_by_checks=tuple(by_checks))


def check_where_stages_run(
    plan: Plan, stored: Collection[str], ask: Callable[[Sequence[Check]], Sequence[Finding]]
) -> list[str]:
    """Raise UserError where a check of what is missing refuses there; returns what is warned of. `ask` is not called
    when there are no checks."""
    checks = checks_of(stage for key, stage in plan.needed.items() if key not in stored)
    said = ask(checks) if checks else []
    raise_refusals(plan, said, stored, with_absences=True)
    return list(dict.fromkeys(finding.message for finding in said if finding.kind == "warning"))


def raise_refusals(plan: Plan, said: Sequence[Finding], stored: Collection[str], *, with_absences: bool) -> None:
    """One UserError with what is refused, once each, at the line of the sweep that it is about, where one is named."""
    refused: dict[tuple[str, str], list[str]] = {}
    kinds = ("refusal", "absence") if with_absences else ("refusal",)
    for finding in said:
        lacking = [key for key in finding.keys if key not in stored]
        if finding.kind in kinds and lacking:
            where = plan.sweep.written(finding.message, plan.trials_of[lacking[0]][0].trial)
            refused.setdefault((where, finding.message), []).append(finding.stage)
    if refused:
        lines = (
            f"{where}{', '.join(dict.fromkeys(stages))}: {message}" for (where, message), stages in refused.items()
        )
        raise UserError("\n".join(lines))


def checks_of(stages: Iterable[Stage]) -> list[Check]:
    """Every distinct check: stages that share a config are asked once."""
    return _distinct(
        (stage, part.check, [(dict(part.config),)]) for stage, part in with_streamed(stages) if part.check is not None
    )


def _group_checks(stages: Iterable[Stage], resources: Resources) -> list[Check]:
    """Whether the trainings can be done by a group of any size that the sweep's resources allow."""
    asked = []
    for stage in stages:
        if stage.group_check is not None:
            group = resources.group_of(stage)
            (least, most), (_, gpus) = group.units, group.of_each
            calls = [(dict(stage.config), dict(stage.execution), n, gpus) for n in range(least, most + 1)]
            asked.append((stage, stage.group_check, calls))
    return _distinct(asked)


def _distinct(asked: Iterable[tuple[Stage, str, list[tuple[Any, ...]]]]) -> list[Check]:
    alike: dict[str, list[tuple[Stage, str, list[tuple[Any, ...]]]]] = {}
    for stage, function, calls in asked:
        alike.setdefault(canonical_json([function, calls]), []).append((stage, function, calls))
    return [
        Check(
            ", ".join(dict.fromkeys(stage.name for stage, _, _ in same)),
            tuple(stage.key for stage, _, _ in same),
            same[0][1],
            tuple(same[0][2]),
        )
        for same in alike.values()
    ]
