"""Races by intervals: who is stopped at a rung, when a race is over, and how often the best arm wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import assay
import toy_workload
from assay.errors import SpecError
from assay.execution import Event, Outcome
from assay.execution.race import judge
from assay.home import Home
from assay.results import from_store
from assay.results.intervals import Estimate
from assay.results.table import table
from assay.store import Store
from assay.sweep import load_sweep
from assay.sweep.search.schedulers import Race
from assay.workload import Workload
from simulated_races import Noise, like_table_15, race

TWO_RUNGS = Race(name="race", budget="samples", rungs=(1, 2))
PATTERN = tuple(math.sin(block) - math.sin(10) / 20 for block in range(20))


def estimate(value: float, error: float, own: float = 0.0) -> Estimate:
    """A value with about this standard error, which all estimates share, except for `own`."""
    return Estimate(
        value,
        tuple(value + (error * shared + own * math.cos(3 * block)) / 3 for block, shared in enumerate(PATTERN)),
    )


def test_noise_that_trials_share_does_not_hide_a_difference() -> None:
    assert judge(TWO_RUNGS, {0: estimate(1.0, 5.0), 1: estimate(1.5, 5.0, own=0.01)}, 1) == {0: "won", 1: "stop"}
    assert judge(TWO_RUNGS, {0: estimate(1.0, 0.1), 1: estimate(1.5, 0.1, own=3.0)}, 1) == {0: "go on", 1: "go on"}


def test_what_cannot_be_better_by_more_than_the_indifference_is_tied() -> None:
    close, unsure = estimate(1.01, 5.0, own=0.001), estimate(1.01, 5.0, own=1.0)
    assert judge(TWO_RUNGS, {0: estimate(1.0, 5.0), 1: estimate(1.0, 5.0)}, 1) == {0: "tied", 1: "tied"}
    assert judge(TWO_RUNGS, {0: estimate(1.0, 5.0), 1: close}, 1)[0] == "won", "noise is far smaller than 1%"
    assert judge(TWO_RUNGS, {0: estimate(1.0, 5.0), 1: unsure}, 1) == {0: "go on", 1: "go on"}


def test_the_indifference_is_a_share_of_the_value_without_its_bias() -> None:
    """A distance of 2.5 of which 2.4 is bias: 2% of 0.1 is less than the noise."""
    biased = tuple(2.4 / 19 + 2.5 + 0.001 * shared for shared in PATTERN)
    other = tuple(each + 0.002 * math.cos(3 * block) for block, each in enumerate(biased))
    assert Estimate(2.5, biased).unbiased == pytest.approx(0.1, abs=0.02)
    assert judge(TWO_RUNGS, {0: Estimate(2.5, biased), 1: Estimate(2.5, other)}, 1) == {0: "go on", 1: "go on"}
    plain = {n: Estimate(2.5, tuple(each - 2.4 / 19 for each in own)) for n, own in enumerate((biased, other))}
    assert judge(TWO_RUNGS, plain, 1) == {0: "tied", 1: "tied"}


def test_higher_may_be_better_and_nan_is_worst() -> None:
    trials = {0: estimate(1.0, 0.1), 1: estimate(2.0, 0.1), 2: Estimate(math.nan)}
    assert judge(TWO_RUNGS, trials, -1) == {0: "stop", 1: "won", 2: "stop"}
    assert judge(TWO_RUNGS, {0: Estimate(math.nan)}, 1) == {0: "go on"}


def test_without_replicates_all_go_on() -> None:
    assert judge(TWO_RUNGS, {0: Estimate(1.0), 1: Estimate(9.0)}, 1) == {0: "go on", 1: "go on"}


def test_more_trials_and_more_rungs_widen_the_intervals() -> None:
    pair = {0: estimate(1.0, 0.1), 1: estimate(4.3, 0.1, own=1.0)}
    others = {n: estimate(1.0, 0.1) for n in range(2, 40)}
    many_rungs = Race(name="race", budget="samples", rungs=tuple(range(1, 1000)))
    assert judge(TWO_RUNGS, pair, 1)[1] == "stop"
    assert judge(many_rungs, pair, 1)[1] == "go on"
    assert judge(TWO_RUNGS, pair | others, 1)[1] != "stop"


RUNGS = (2_500, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 40_000, 50_000)
SCHEDULER = Race(name="race", budget="samples", rungs=RUNGS)


@pytest.mark.slow
def test_the_best_of_table_15_or_one_as_good_wins_nineteen_races_of_twenty() -> None:
    """tests/bench/race.py holds 500 races, with other noises and rungs."""
    random = np.random.default_rng(15)
    values = [like_table_15(random) for _ in range(60)]
    ended = [race(arms, SCHEDULER, Noise(0.005, 0.9), random) for arms in values]
    good = [arms[each.winner] <= 1.02 * min(arms) for arms, each in zip(values, ended, strict=True)]
    assert sum(good) >= 0.95 * len(good)
    assert np.mean([each.drawn / (27 * RUNGS[-1]) for each in ended]) <= 0.2


@pytest.mark.slow
def test_equal_arms_tie() -> None:
    random = np.random.default_rng(15)
    ended = [race([2.0] * 27, SCHEDULER, Noise(0.0025, 0.5), random) for _ in range(20)]
    assert sum(each.how == "tied" for each in ended) >= 19


SWEEP = """\
version: 1
name: race
workload: toy
base: tiny
parameters:
  sample.scale: {{values: {scales}}}
scheduler: {{name: race, budget: evaluate.num_samples, rungs: {rungs}, indifference: 0.1}}
metric: {metric}
mode: min
{more}
"""


def run(
    folder: Path,
    scales: Sequence[float],
    rungs: Sequence[int] = (6, 60, 600, 60_000),
    metric: str = "distance",
    more: str = "",
    workload: Workload = toy_workload.noisy,
    events: list[Event] | None = None,
) -> Outcome:
    file = folder / "race.yaml"
    file.write_text(SWEEP.format(scales=list(scales), rungs=list(rungs), metric=metric, more=more))
    sweep = load_sweep(file, find_workload=lambda name: workload)
    return assay.run(sweep, Home(folder / "home"), executor="inline", listeners=[Witness(events)])


class Witness:
    def __init__(self, events: list[Event] | None) -> None:
        self.events = events if events is not None else []

    def begin(self, *_: object) -> None: ...

    def event(self, event: Event) -> None:
        self.events.append(event)

    def end(self, outcome: Outcome) -> None: ...


def statuses(outcome: Outcome) -> dict[str, str]:
    return {row.trial: row.status for row in table(outcome.plan, outcome.trials).rows}


@pytest.mark.slow
def test_the_table_tells_who_tied_and_why_the_race_ended(tmp_path: Path) -> None:
    outcome = run(tmp_path, [9.0, 0.05, 0.0, 1.0])
    told = {"scale 9.0": "stopped at 6", "scale 1.0": "stopped at 60"}
    assert statuses(outcome) == {"scale 0.05": "tied at 600", "scale 0.0": "tied at 600", **told}
    result = table(outcome.plan, outcome.trials)
    assert result.notes[-1].startswith(
        "the race ended at evaluate.num_samples 600 as a tie of 2 trials: scale 0.0; scale 0.05. They differ from the "
        "best by less than 10% of its value, and none can be better by more"
    )
    assert result.best == "scale 0.0"
    again = run(tmp_path, [9.0, 0.05, 0.0, 1.0])
    assert not again.computed
    assert statuses(again) == statuses(outcome)
    read = from_store(again.plan, Store(tmp_path / "home" / "store"))
    assert table(again.plan, read).notes == result.notes


@pytest.mark.slow
def test_a_race_ends_when_one_is_left_or_undecided_at_its_last_rung(tmp_path: Path) -> None:
    won = run(tmp_path, [9.0, 0.0])
    assert statuses(won) == {"scale 0.0": "won at 6", "scale 9.0": "stopped at 6"}
    (note,) = [note for note in table(won.plan, won.trials).notes if "race" in note]
    assert "ended at evaluate.num_samples 6: scale 0.0 is left, and all others are worse beyond noise" in note
    short = run(tmp_path, [1.0, 0.0], rungs=(2, 3))
    (note,) = [note for note in table(short.plan, short.trials).notes if "race" in note]
    assert "ended at evaluate.num_samples 3, its last rung, undecided among 2 trials: scale " in note


@pytest.mark.slow
def test_a_trial_that_failed_is_not_called_worse(tmp_path: Path) -> None:
    arms = "arms: {good: {}, bad: {sample.fail: true}}"
    outcome = run(tmp_path, [9.0, 0.0], more=arms)
    (note,) = [note for note in table(outcome.plan, outcome.trials).notes if "race" in note]
    assert "good, scale 0.0 is left, and the others that did not fail are worse beyond noise" in note


@pytest.mark.slow
def test_a_new_trial_reopens_a_race_that_is_over(tmp_path: Path) -> None:
    assert statuses(run(tmp_path, [9.0, 1.0]))["scale 1.0"] == "won at 6"
    joined = run(tmp_path, [9.0, 1.0, 0.0])
    assert statuses(joined) == {"scale 0.0": "won at 6", "scale 1.0": "stopped at 6", "scale 9.0": "stopped at 6"}
    close = run(tmp_path, [9.0, 1.0, 0.0, 0.05])
    assert statuses(close)["scale 0.0"] == statuses(close)["scale 0.05"] == "tied at 600"


@pytest.mark.slow
def test_rungs_without_intervals_are_told(tmp_path: Path) -> None:
    events: list[Event] = []
    workload = toy_workload.Silent()
    outcome = run(tmp_path, [9.0, 0.0], rungs=(6, 12), workload=workload, events=events)
    assert set(statuses(outcome).values()) == {"computed"}
    warned = [event.message for event in events if event.kind == "warning"]
    assert [message.partition("; at ")[2] for message in warned] == [
        f"evaluate.num_samples {amount} some have none, which is likely too few for it" for amount in (6, 12)
    ]


@pytest.mark.parametrize(
    ("metric", "more", "told"),
    [
        ("precision", "", "metric: scheduler race decides by jackknife replicates, which 'precision' does not have in"),
        ("distance", "seeds: [0, 1]", "seeds: got 2 seeds, allowed with scheduler race: one, since it compares trials"),
    ],
)
def test_what_has_no_intervals_is_refused(tmp_path: Path, metric: str, more: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        run(tmp_path, [9.0, 0.0], metric=metric, more=more)
