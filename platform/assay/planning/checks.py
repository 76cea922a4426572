"""Run the checks of stages before anything is computed, so that no work starts that is bound to fail."""

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
"""How to handle files and packages that a check misses here, and that may exist where stages run: a run on a cluster
leaves them to the checks there."""


@dataclass(frozen=True)
class Check:
    """A check shared by stages for which it is the same. Picklable, so that it can run where the stages will."""

    stage: str
    keys: tuple[str, ...]
    function: str
    calls: tuple[tuple[Any, ...], ...]
    """Arguments of each call. The first call that raises is the last."""


@dataclass(frozen=True)
class Finding:
    """A check's message about its stages."""

    stage: str
    keys: tuple[str, ...]
    kind: Literal["refusal", "absence", "warning"]
    message: str


@a_look()
def findings(checks: Sequence[Check]) -> list[Finding]:
    """Run the checks, in order. Any error but UserError is a bug in the check, and raised."""
    results: list[Finding] = []
    for check in checks:
        warned: list[str] = []
        try:
            function = load_attribute(check.function)
            with passing_warnings(warned.append):
                for arguments in check.calls:
                    function(*arguments)
        except NotHere as error:
            results.append(Finding(check.stage, check.keys, "absence", str(error)))
        except ImportError as error:
            message = f"its check {check.function} needs what is not installed: {error}"
            results.append(Finding(check.stage, check.keys, "absence", message))
        except UserError as error:
            results.append(Finding(check.stage, check.keys, "refusal", str(error)))
        results += [Finding(check.stage, check.keys, "warning", message) for message in dict.fromkeys(warned)]
    return results


def checked(plan: Plan, stored: Collection[str] = (), absence: Absence = "warned of") -> Plan:
    """The plan with the warnings of its stages' checks, as far as this machine can tell.

    Raises UserError with all refusals of stages that are not `stored`; stored ones were accepted earlier.
    """
    missing = [stage for key, stage in plan.needed.items() if key not in stored]
    refuse_missing_functions(
        (plan.trials_of[stage.key][0].workload.name, part) for stage, part in with_streamed(missing)
    )
    stages = plan.needed.values()
    results = findings([*_group_checks(stages, plan.sweep.resources), *checks_of(stages)])
    _raise_refusals(plan, results, stored, with_absences=absence == "refused")
    kinds = ("warning", "absence") if absence == "warned of" else ("warning",)
    warned: dict[str, set[str]] = {}
    for finding in results:
        if finding.kind in kinds:
            elsewhere = "; a run needs it where its stages run" if finding.kind == "absence" else ""
            users = (trial.name for key in finding.keys for trial in plan.trials_of[key])
            warned.setdefault(finding.message + elsewhere, set()).update(users)
    names = [trial.name for trial in plan.trials]
    by_checks = (Warned(text, tuple(name for name in names if name in users)) for text, users in warned.items())
    return replace(plan, warned_by_checks=tuple(by_checks))


def check_where_stages_run(
    plan: Plan, stored: Collection[str], ask: Callable[[Sequence[Check]], Sequence[Finding]]
) -> list[str]:
    """Raise UserError if a check of a missing stage refuses it there; return the warnings. `ask` runs `findings` there;
    it is not called if there are no checks."""
    checks = checks_of(stage for key, stage in plan.needed.items() if key not in stored)
    results = ask(checks) if checks else []
    _raise_refusals(plan, results, stored, with_absences=True)
    return list(dict.fromkeys(finding.message for finding in results if finding.kind == "warning"))


def _raise_refusals(plan: Plan, results: Sequence[Finding], stored: Collection[str], *, with_absences: bool) -> None:
    """Raise one UserError with every refusal once, each at the line of the sweep that its message is about."""
    refused: dict[tuple[str, str], list[str]] = {}
    kinds = ("refusal", "absence") if with_absences else ("refusal",)
    for finding in results:
        missing = [key for key in finding.keys if key not in stored]
        if finding.kind in kinds and missing:
            where = plan.sweep.place_of(finding.message, plan.trials_of[missing[0]][0].trial)
            refused.setdefault((where, finding.message), []).append(finding.stage)
    if refused:
        lines = (
            f"{where}{', '.join(dict.fromkeys(stages))}: {message}" for (where, message), stages in refused.items()
        )
        raise UserError("\n".join(lines))


def checks_of(stages: Iterable[Stage]) -> list[Check]:
    """Every distinct check: stages that share a config share one."""
    return _distinct(
        (stage, part.check, [(dict(part.config),)]) for stage, part in with_streamed(stages) if part.check is not None
    )


def _group_checks(stages: Iterable[Stage], resources: Resources) -> list[Check]:
    """Whether a group of each size that the sweep's resources allow can run its training."""
    checks = []
    for stage in stages:
        if stage.group_check is not None:
            group = resources.group_of(stage)
            (least, most), (_, gpus) = group.units, group.of_each
            calls = [(dict(stage.config), dict(stage.execution), n, gpus) for n in range(least, most + 1)]
            checks.append((stage, stage.group_check, calls))
    return _distinct(checks)


def _distinct(checks: Iterable[tuple[Stage, str, list[tuple[Any, ...]]]]) -> list[Check]:
    stages_of: dict[str, tuple[str, list[tuple[Any, ...]], list[Stage]]] = {}
    for stage, function, calls in checks:
        stages_of.setdefault(canonical_json([function, calls]), (function, calls, []))[2].append(stage)
    return [
        Check(", ".join(dict.fromkeys(s.name for s in stages)), tuple(s.key for s in stages), function, tuple(calls))
        for function, calls, stages in stages_of.values()
    ]
