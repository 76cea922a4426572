"""Arms of several seeds: what their seeds say together, and of arms that have different ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import ttest_rel

from assay.planning import Plan, PlannedTrial, Rung
from assay.report import as_json, as_markdown
from assay.results import Table, TrialOutcome, table
from assay.results.intervals import Difference, difference_over_seeds, half_width_over_seeds
from table_text import as_text

Studies = Callable[..., tuple[Plan, list[TrialOutcome]]]


def test_seeds_are_compared_by_students_t() -> None:
    ours, best = {0: 3.1, 1: 3.4, 2: 3.2}, {0: 3.0, 1: 3.2, 2: 3.05}
    gap = difference_over_seeds(ours, best)
    assert gap is not None
    interval = ttest_rel([*ours.values()], [*best.values()]).confidence_interval(0.95)
    assert gap.noise == pytest.approx((interval.high - interval.low) / 2)
    assert gap.value == pytest.approx((interval.high + interval.low) / 2)
    assert difference_over_seeds({**ours, 7: 99.0}, best) == gap, "what one has alone counts for nothing"
    assert difference_over_seeds(ours, {1: 3.0}) == Difference(pytest.approx(0.4))
    assert difference_over_seeds(ours, {5: 3.0}) is None
    assert half_width_over_seeds([1.0]) is None


def test_seeds_are_summed_up_by_arm(study: Studies) -> None:
    """The luckiest seed is of the arm that is worse on the whole."""
    names = [f"{arm}, seed {seed}" for arm in ("lucky", "good", "bad") for seed in (0, 1, 2)]
    values = [1.0, 8.0, 9.0, 3.0, 3.1, 3.2, 9.0, 9.1, 9.3]
    plan, trials = study([{"fid": v} for v in values], names, seeds=(0, 1, 2))
    made = table(plan, trials)
    assert [(a.name, a.seeds, a.from_best and a.from_best.is_beyond_noise) for a in made.arms] == [
        ("good", 3, None),
        ("lucky", 3, False),
        ("bad", 3, True),
    ]
    assert made.best == "good"
    assert made.arms[0].mean == pytest.approx(3.1)
    assert made.arms[0].spread == pytest.approx(0.1)
    assert [a["rank"] for a in as_json(made)["arms"]] == [1, 2, 3]
    assert "| best | good | 3.100 ± 0.248 |" in as_markdown(made)
    text = as_text(made)
    assert "s: over seeds" in text
    assert "mean ± half the width" in text.replace("\n", " ")
    (lucky,) = [line for line in text.splitlines() if "lucky, seed 0" in line]
    assert lucky.split()[0] == "1", "it is first among the trials, and not called best"


def seeded(study: Studies, **arms: list[float | None]) -> Table:
    """The table of arms that have so much at seed 0, 1, …, or nothing yet."""
    names = [f"{arm}, seed {seed}" for arm, values in arms.items() for seed in range(len(values))]
    metrics = [None if v is None else {"fid": v} for values in arms.values() for v in values]
    return table(*study(metrics, names, seeds=range(len(next(iter(arms.values()))))))


def arms_of(made: Table) -> list[tuple[Any, ...]]:
    """Each arm's name, what it lacks, and its distance from the best."""
    return [(arm.name, arm.lacks, arm.from_best and round(arm.from_best.value, 6)) for arm in made.arms]


def test_an_arm_that_lacks_seeds_is_compared_over_those_it_shares(study: Studies) -> None:
    """Its mean is smaller, and yet it is worse: the one seed that it has is the easy one."""
    made = seeded(study, B=[1.005, None, None], A=[1.0, 1.01, 1.02])
    assert arms_of(made) == [("A", (), None), ("B", (1, 2), 0.005)]
    assert made.arms[1].from_best == Difference(pytest.approx(0.005)), "one seed says nothing of noise"
    assert made.best is None, "the other may still come"
    assert made.notes[0] == "not ranked: missing seeds that other arms have: B (1, 2)"
    assert [(arm["rank"], arm["lacks"]) for arm in as_json(made)["arms"]] == [(1, []), (None, [1, 2])]
    (shown,) = [line for line in as_markdown(made).splitlines() if "| B |" in line]
    assert shown == "| - | B | 1.005 | +0.005 | - | 1 of 3 |"


def test_what_is_beyond_noise_is_said_of_shared_seeds_alone(study: Studies) -> None:
    """By their means they are equal; at the seeds that both have, one is worse each time by the same."""
    made = seeded(study, A=[1.0, 2.0, 1.6], B=[1.03, 2.04, None], C=[4.0, 5.0, 6.1])
    assert arms_of(made) == [("A", (), None), ("C", (), 3.5), ("B", (2,), 0.035)]
    assert [arm.from_best and arm.from_best.is_beyond_noise for arm in made.arms] == [None, True, False]
    assert made.best == "A"
    assert "over the seeds that both have" in made.notes[1]


def test_where_no_arm_has_all_seeds_none_is_ranked(study: Studies) -> None:
    made = seeded(study, A=[1.0, 1.1, math.nan], B=[None, 2.0, 3.0])
    assert arms_of(made) == [("A", (2,), None), ("B", (0,), None)]
    assert made.best is None
    assert not {"*", "~"} & set(as_text(made).split("\n\n")[0])


def raced(paper: Callable[..., tuple[Plan, tuple[TrialOutcome, ...]]], left: set[str], budget: str) -> Table:
    """A race of two arms and two seeds; all but what is left was stopped at the first of two rungs."""

    def measure(planned: PlannedTrial, rung: Rung) -> Mapping[str, float] | None:
        if rung.amount == 1000 and planned.name not in left:
            return None
        amount = rung.amount or 0
        fid = {"fast": 3.0, "slow": 5.0}[planned.trial.arm or ""] + planned.trial.seed - amount / 1000
        return {"fid": fid, "num_samples": amount if budget == "evaluate.num_samples" else 50_000}

    arms = {"slow": {"model.norm": "add"}, "fast": {"model.norm": "adagn"}}
    scheduler = {"name": "halving", "budget": budget, "rungs": [100, 1000]}
    plan, trials = paper(measure, arms=arms, scheduler=scheduler, seeds=(0, 1))
    stopped = {trial.rungs[0].leaf.key: "stop" for trial in plan.trials if trial.name not in left}
    return table(replace(plan, decided=stopped), trials)


FAST = {"fast, seed 0", "fast, seed 1"}


@pytest.mark.slow
@pytest.mark.parametrize("budget", ["evaluate.num_samples", "train.iterations"])
@pytest.mark.parametrize(
    ("left", "arms", "best"),
    [
        (FAST, [("fast", (), None)], "fast"),
        ({*FAST, "slow, seed 0"}, [("fast", (), None), ("slow", (1,), 2.0)], None),
        ({"fast, seed 1", "slow, seed 0"}, [("fast", (0,), None), ("slow", (1,), None)], None),
    ],
)
def test_seeds_that_were_stopped_in_a_race_are_lacking(
    paper: Callable[..., tuple[Plan, tuple[TrialOutcome, ...]]],
    left: set[str],
    arms: list[tuple[Any, ...]],
    best: str | None,
    budget: str,
) -> None:
    made = raced(paper, left, budget)
    assert (arms_of(made), made.best) == (arms, best)
    assert {row.from_best for row in made.rows} == {None}, "seeds differ by more than sampling noise"
    alone = "the scheduler stops seeds one by one: an arm's mean over its remaining seeds is too favourable"
    assert (alone in made.notes) == (left != FAST), "of fast no seed was stopped"
