"""Schedulers with rungs, and limits, as a sweep file says them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from assay.sweep import Sweep

Lines = Callable[..., list[str]]
Load = Callable[..., Sweep]
# HEAD of conftest takes lines 1 to 6: what a test writes begins on line 7.


def test_rungs(load: Load) -> None:
    sweep = load(
        "scheduler: {name: asha, budget: evaluate.num_samples, rungs: [5000, 15000, 50000]}\n"
        "limits: {v100_days: 6.0, hours: 12, trials: 100, concurrent_trials: 4, retries: 3}\n"
    )
    assert sweep.scheduler.model_dump() == {
        "name": "asha",
        "budget": "evaluate.num_samples",
        "rungs": (5000, 15000, 50000),
        "divisor": 3,
        "target": None,
    }
    assert (sweep.limits.device_days, sweep.limits.hours, sweep.limits.trials) == (6.0, 12.0, 100)
    assert load("scheduler: {budget: evaluate.num_samples, rungs: [5]}\n").scheduler.name == "fifo"


BUDGET = "evaluate.num_samples"


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("{name: asha}", "budget: required with scheduler asha, but missing; allowed: the config path of a budget"),
        (f"{{name: asha, budget: {BUDGET}}}", "rungs: got [], allowed with scheduler asha: at least 2 amounts of"),
        (
            f"{{name: median, budget: {BUDGET}, rungs: [5]}}",
            "rungs: got [5], allowed with scheduler median: at least 2",
        ),
        (f"{{budget: {BUDGET}}}", "rungs: got [], allowed with scheduler fifo: at least 1 amounts of"),
        ("{rungs: [5]}", "rungs: got rungs without a budget; name the config path that they set, as budget: …"),
        ("{target: 5}", "target: got a target without rungs to reach it at; give budget: … and rungs: […]"),
        (f"{{budget: {BUDGET}, rungs: [5, 5]}}", "rungs: got [5, 5], allowed: integers ≥ 1 that increase"),
        (f"{{budget: {BUDGET}, rungs: [5, 3]}}", "rungs: got [5, 3], allowed: integers ≥ 1 that increase"),
        (f"{{budget: {BUDGET}, rungs: [5, 0]}}", "rungs[1]: got 0 (int), allowed: an integer ≥ 1"),
        (f"{{budget: {BUDGET}, rungs: 5}}", "rungs: got 5 (int), allowed: a list of integers ≥ 1"),
        (
            f"{{name: asha, budget: {BUDGET}, rungs: [5, 7], divisor: 1}}",
            "divisor: got 1 (int), allowed: an integer ≥ 2",
        ),
        (
            "{budget: evaluate.num_smples, rungs: [5]}",
            "budget: got 'evaluate.num_smples', which no stage has as its budget",
        ),
        (
            "{budget: train.batch_size, rungs: [5]}",
            "budget: got 'train.batch_size', which no stage has as its budget; all",
        ),
        (f"{{budget: {BUDGET}, rungs: [5, 60000]}}", "rungs[1]: got 60000 (int), allowed: an integer ≥ 1 and ≤ 50000"),
    ],
)
def test_wrong_rungs(lines: Lines, scheduler: str, expected: str) -> None:
    found = lines(f"scheduler: {scheduler}\n")
    assert len(found) == 1, found
    assert found[0].startswith(f"x.yaml:7: scheduler.{expected}")


def test_rungs_own_their_path(lines: Lines) -> None:
    rungs = f"scheduler: {{budget: {BUDGET}, rungs: [5, 7]}}\n"
    says = "the scheduler's rungs set this path; change scheduler.rungs instead"
    assert lines(rungs + f"config: {{{BUDGET}: 5}}\n") == [f"x.yaml:8: config.{BUDGET}: {says}"]
    assert lines(rungs + f"arms: {{a: {{{BUDGET}: 5}}}}\n") == [f"x.yaml:8: arms.a.{BUDGET}: {says}"]
    assert lines(rungs + f"parameters: {{{BUDGET}: {{values: [5, 7]}}}}\n") == [
        f"x.yaml:8: parameters.{BUDGET}: {says}"
    ]
    assert lines(rungs, sets=[f"{BUDGET}=5"]) == [f"--set {BUDGET}=5: {BUDGET}: {says}"]


def test_limits_are_above_zero_and_hours_fit_a_timer(lines: Lines) -> None:
    assert lines("limits: {v100_days: 0}\n") == [
        "x.yaml:7: limits.v100_days: got 0 (int), allowed: a number > 0 or null"
    ]
    assert lines("limits: {hours: 1e7}\n") == [
        "x.yaml:7: limits.hours: got 10000000.0 (float), allowed: a number > 0 and ≤ 1000000 or null"
    ]
    assert lines("limits: {trials: 1.5}\n")[0].startswith(
        "x.yaml:7: limits.trials: got 1.5 (float), allowed: an integer"
    )
