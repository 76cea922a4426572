"""Sweeps whose trials climb rungs, in this process: who goes on, what is computed, and what a second run does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import assay
import assay.costs.devices
import toy_workload
from assay.costs.devices import DEVICES, Device
from assay.errors import UserError
from assay.execution import Event, Outcome, Pause
from assay.home import Home
from assay.planning import make_plan
from assay.results import from_store
from assay.store import Store
from assay.sweep import Sweep, load_sweep

pytestmark = pytest.mark.slow

SWEEP = """\
version: 1
name: race
workload: toy
base: tiny
parameters:
  sample.scale: {{values: {scales}}}
scheduler: {scheduler}
metric: distance
mode: min
limits: {limits}
"""
ASHA = "{name: asha, budget: evaluate.num_samples, rungs: [6, 12, 30], divisor: 2}"


class Witness:
    """A listener that remembers, and may do something at an event."""

    def __init__(self, deed: Callable[[Event], None] = lambda event: None) -> None:
        self.events: list[Event] = []
        self._deed = deed

    def begin(self, *_: object) -> None: ...

    def end(self, outcome: Outcome) -> None: ...

    def event(self, event: Event) -> None:
        self.events.append(event)
        self._deed(event)

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]


class Study:
    """A sweep file that changes, and one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "home")

    def sweep(self, scales: list[float], scheduler: str = ASHA, limits: str = "{}", **more: Any) -> Sweep:
        file = self.folder / "race.yaml"
        text = SWEEP.format(scales=scales, scheduler=scheduler, limits=limits)
        file.write_text(text + "".join(f"{key}: {value}\n" for key, value in more.items()))
        return load_sweep(file, find_workload=lambda name: toy_workload.workload)

    def run(self, *args: Any, witness: Witness | None = None, pause: Pause | None = None, **more: Any) -> Outcome:
        listeners = [witness] if witness else []
        return assay.run(self.sweep(*args, **more), self.home, executor="inline", listeners=listeners, pause=pause)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def reached(outcome: Outcome) -> list[int | None]:
    """The highest rung with a result, per trial."""
    found = [trial.planned.reached(trial.results) for trial in outcome.trials]
    return [rung[0].amount if rung else None for rung in found]


def test_the_better_half_goes_on_from_every_rung(study: Study) -> None:
    outcome = study.run([3.0, 2.0, 1.0, 0.0, 4.0, 5.0, 6.0, 7.0])
    assert reached(outcome) == [30, 30, 30, 30, 6, 6, 6, 6]
    assert outcome.trials[3].metrics["num_samples"] == 30
    assert not outcome.failed
    assert outcome.paused is None


def test_halving_takes_the_best_of_all_in_whatever_order_they_come(study: Study) -> None:
    halving = ASHA.replace("asha", "halving")
    assert reached(study.run([7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0], halving)) == [6, 6, 6, 6, 12, 12, 30, 30]
    more = study.run([7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.5, 9.0], halving)
    assert reached(more) == [6, 6, 6, 6, 12, 12, 30, 30, 30, 6], "what was decided stays, and new arms join in"


def test_halving_goes_on_without_a_trial_that_failed(study: Study) -> None:
    arms = "{good: {}, bad: {sample.fail: true}, worse: {model.norm: add}}"
    outcome = study.run([0.0], ASHA.replace("asha", "halving"), arms=arms)
    assert reached(outcome) == [30, None, 6]


def test_what_is_drawn_for_a_rung_is_kept_for_the_next(study: Study) -> None:
    witness = Witness()
    study.run([0.0], witness=witness)
    drawn = {event.key: 0 for event in witness.of("committed")}
    for event in witness.of("progress"):
        if event.advance:
            drawn[event.key] += event.done
    assert sorted(count for count in drawn.values() if count) == [6, 6, 18]


def test_a_second_run_computes_nothing_and_decides_the_same(study: Study) -> None:
    scales = [1.0, 5.0, 0.0, 4.0]
    first = study.run(scales)
    witness = Witness()
    second = study.run(scales, witness=witness)
    assert reached(second) == reached(first) == [30, 6, 30, 6]
    assert second.computed == frozenset()
    assert witness.events == [], "it does not even ask"


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(study: Study, tmp_path: Path) -> None:
    scales = [1.0, 5.0, 0.0, 4.0]

    def strike(event: Event) -> None:
        if event.kind == "rung" and event.trial == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.run(scales, witness=Witness(strike))
    undisturbed = Study(tmp_path / "other")
    undisturbed.folder.mkdir()
    whole, resumed = undisturbed.run(scales), study.run(scales)
    assert reached(resumed) == reached(whole)
    assert [t.metrics for t in resumed.trials] == [t.metrics for t in whole.trials]


def test_an_arm_added_later_races_against_all_that_is_stored(study: Study) -> None:
    study.run([1.0, 0.0, 3.0])
    witness = Witness()
    outcome = study.run([1.0, 0.0, 3.0, 9.0, 0.5], witness=witness)
    assert reached(outcome) == [30, 30, 6, 6, 30]
    started = {event.trial for event in witness.of("started")}
    assert started == {3, 4}, "nothing of the earlier arms is computed again"


def test_a_rung_added_later_is_all_that_is_run(study: Study) -> None:
    fifo = "{{name: fifo, budget: evaluate.num_samples, rungs: {}}}"
    study.run([0.0, 1.0], fifo.format([6, 12]))
    witness = Witness()
    outcome = study.run([0.0, 1.0], fifo.format([6, 12, 18]), witness=witness)
    assert reached(outcome) == [18, 18]
    assert sum(event.done for event in witness.of("progress") if event.advance) == 12


def test_a_training_goes_on_from_rung_to_rung_and_is_charged_once(study: Study) -> None:
    scheduler = "{name: fifo, budget: train.iterations, rungs: [10, 20, 40]}"
    outcome = study.run([0.0], scheduler)
    (trial,) = outcome.trials
    trains = [trial.results[stage.key] for stage in trial.planned.stages if stage.name == "train"]
    assert [result.record["budget"]["amount"] for result in trains] == [10, 20, 40]
    assert [result.cost.details["items"] for result in trains] == [10, 10, 20]
    assert [len(result.history) for result in trains] == [10, 20, 40]


def test_a_target_ends_the_climb(study: Study) -> None:
    scheduler = "{name: fifo, budget: evaluate.num_samples, rungs: [6, 12, 30], target: 2.0}"
    outcome = study.run([0.0, 1.0, 1.5], scheduler)
    assert reached(outcome) == [6, 6, 30]
    assert set(outcome.plan.decided.values()) == {"reached"}


def test_what_another_sweep_stored_is_judged_and_what_lies_beyond_does_not_count(study: Study) -> None:
    study.run([1.0, 5.0], "{name: fifo, budget: evaluate.num_samples, rungs: [6, 12, 30]}")
    for scheduler in (ASHA, "{name: fifo, budget: evaluate.num_samples, rungs: [6, 12, 30], target: 2.0}"):
        witness = Witness()
        outcome = study.run([1.0, 5.0], scheduler, witness=witness)
        assert outcome.computed == frozenset()
        assert 6 in reached(outcome), "a stored result of a higher rung is none of this study"
        assert witness.of("rung")
        store = Store(study.home.store_url)
        compared = from_store(make_plan(outcome.plan.sweep, store), store)
        assert reached(replace(outcome, trials=compared)) == reached(outcome)


def test_hyperband_and_median_stopping_spare_the_bad_ones(study: Study) -> None:
    scales = [0.0, 1.0, 2.0, 9.0, 9.5, 9.9]
    for name in ("hyperband", "median"):
        outcome = study.run(scales, ASHA.replace("asha", name))
        climbed = reached(outcome)
        assert climbed[0] == 30
        assert 6 in climbed[3:] or 12 in climbed[3:], name
        assert outcome.plan.decided, "and remembers it"


def test_one_failed_trial_does_not_sink_the_others(study: Study) -> None:
    arms = "{good: {}, bad: {sample.fail: true}, worse: {model.norm: add}}"
    outcome = study.run([0.0], arms=arms)
    assert [trial.error is not None for trial in outcome.trials] == [False, True, False]
    assert reached(outcome) == [30, None, 6]
    assert outcome.failed[0].error is not None
    assert "no ink" in outcome.failed[0].error.cause


def test_a_pause_saves_the_training_and_the_next_run_goes_on(study: Study) -> None:
    pause = Pause()

    def ask(event: Event) -> None:
        if event.kind == "started":
            pause.ask("enough for today")

    scheduler = "{name: fifo, budget: train.iterations, rungs: [40]}"
    paused = study.run([0.0], scheduler, witness=Witness(ask), pause=pause)
    assert paused.paused == "enough for today"
    assert reached(paused) == [None]
    stage = next(stage for stage in paused.plan.stages.values() if stage.name == "train")
    assert Store(study.home.store_url).checkpoints(stage).steps() == [1]
    assert reached(study.run([0.0], scheduler)) == [40]


def test_a_limit_of_trials_leaves_the_others_waiting(study: Study) -> None:
    witness = Witness()
    outcome = study.run([0.0, 1.0, 2.0], limits="{trials: 2}", witness=witness)
    assert len(outcome.trials) == 2
    (warning,) = witness.of("warning")
    assert warning.message == "limits.trials is 2: 1 more trials wait; raise it to run them"


def test_a_limit_of_v100_days_pauses_and_holds_in_the_next_run(study: Study) -> None:
    limits = "{v100_days: 1.0e-9}"
    first = study.run([0.0, 1.0], limits=limits, witness=(witness := Witness()))
    assert first.paused is not None
    assert "limits.v100_days is reached" in first.paused
    assert "count by their FLOPs" in witness.of("warning")[0].message
    again = study.run([0.0, 1.0], limits=limits)
    assert again.computed == frozenset()
    assert again.paused == first.paused
    assert study.run([0.0, 1.0]).paused is None


def test_a_limit_of_v100_days_counts_an_earlier_run_once_however_often_trials_are_suggested(study: Study) -> None:
    """A training is 2.7e-4 V100-days by its FLOPs, and the only one."""
    values = ([0.0, 1.0, 2.0, 3.0], "{name: fifo}")
    searcher = "{{name: optuna, num_trials: {}, batch: 1}}"
    first = study.run(*values, searcher=searcher.format(1))
    assert first.paused is None
    more = study.run(*values, searcher=searcher.format(4), limits="{v100_days: 6.0e-4}")
    assert (more.paused, len(more.trials)) == (None, 4)


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose CPU is worth a V100."""
    monkeypatch.setattr(assay.costs.devices, "DEVICES", (Device("^cpu", None, 125, "for this test"), *DEVICES))


@pytest.mark.usefixtures("declared")
def test_a_limit_of_v100_days_pauses_a_training_that_runs_and_a_higher_one_goes_on(study: Study) -> None:
    gates = study.folder / "gates"
    gates.mkdir()
    (gates / "shut-7").touch()
    config = {"config": f"{{train.gates: {gates}}}"}
    scheduler = "{name: fifo, budget: evaluate.num_samples, rungs: [6]}"
    paused = study.run([0.0], scheduler, limits="{v100_days: 1.0e-6, hours: 0.01}", **config)
    assert paused.paused is not None
    assert paused.paused.startswith("limits.v100_days is reached: ")
    assert reached(paused) == [None]
    stage = next(stage for stage in paused.plan.stages.values() if stage.name == "train")
    assert Store(study.home.store_url).checkpoints(stage).steps(), "it saved"
    (gates / "shut-7").unlink()
    resumed = study.run([0.0], scheduler, limits="{v100_days: 1}", **config)
    assert (reached(resumed), resumed.paused) == ([6], None)


def test_a_stage_that_runs_tells_what_it_took_and_on_what(study: Study) -> None:
    witness = Witness()
    outcome = study.run([0.0], "{name: fifo}", witness=witness)
    results = {result.stage: result for result in outcome.trials[0].results.values()}
    told = {
        name: [event.cost for event in witness.of("progress") if event.key == results[name].key]
        for name in ("train", "sample")
    }
    for name, costs in told.items():
        assert costs, name
        for cost in costs:
            assert cost is not None
            assert (cost.device, cost.count) == (results[name].cost.device, 1)
    *_, last = told["train"]
    assert last is not None
    assert 0 < last.seconds <= results["train"].cost.seconds
    assert 0 < sum(cost.seconds for cost in told["sample"] if cost is not None) <= results["sample"].cost.seconds


def test_a_run_in_this_process_hears_who_asks_it_to_pause(study: Study) -> None:
    pause, heard = Pause(), []

    def listen(event: Event) -> None:
        if event.kind == "progress":
            heard.append(pause.is_heard)

    study.run([0.0], "{name: fifo}", witness=Witness(listen), pause=pause)
    assert set(heard) == {True}
    assert not pause.is_heard, "and it is over"


def test_a_limit_of_hours_pauses_and_the_next_run_goes_on(study: Study) -> None:
    """The limit of this run alone: a training waits until the time is up, and saves where it is."""
    gates = study.folder / "gates"
    gates.mkdir()
    (gates / "shut-7").touch()
    config = {"config": f"{{train.gates: {gates}}}"}
    scheduler = "{name: fifo, budget: evaluate.num_samples, rungs: [6]}"
    paused = study.run([0.0], scheduler, limits="{hours: 1.0e-5}", **config)
    assert paused.paused == "limits.hours is reached: 1e-05 of one run; rerun the same command to continue"
    assert reached(paused) == [None]
    (gates / "shut-7").unlink()
    resumed = study.run([0.0], scheduler, limits="{hours: 100}", **config)
    assert (reached(resumed), resumed.paused) == ([6], None)


def rungs(scheduler: str, *amounts: int) -> str:
    return f"{{name: {scheduler}, budget: evaluate.num_samples, rungs: {list(amounts)}, divisor: 2}}"


def test_a_rung_added_to_a_race_goes_on_from_where_it_stood(study: Study) -> None:
    study.run([5.0, 1.0], rungs("halving", 6, 12, 30))
    assert reached(study.run([5.0, 1.0, 0.0, 2.0], rungs("halving", 6, 12, 30))) == [6, 30, 30, 6]
    witness = Witness()
    outcome = study.run([5.0, 1.0, 0.0, 2.0], rungs("halving", 6, 12, 30, 60), witness=witness)
    assert reached(outcome) == [6, 30, 60, 6], "the better of those that had finished climbs the new rung"
    assert sum(event.done for event in witness.of("progress") if event.advance) == 30, "and it alone"


@pytest.mark.parametrize("scheduler", ["halving", "asha", "hyperband", "median"])
def test_no_result_is_lost_to_a_change_of_rungs(study: Study, scheduler: str) -> None:
    """A trial that came so far in a race did so, whatever rungs are added or taken away."""
    study.run([5.0, 1.0, 3.0, 9.0], rungs(scheduler, 6, 30))
    before = reached(study.run([5.0, 1.0, 3.0, 9.0, 0.0, 2.0], rungs(scheduler, 6, 30)))
    assert set(before) == {6, 30}
    scales = [5.0, 1.0, 3.0, 9.0, 0.0, 2.0]
    inserted = study.run(scales, rungs(scheduler, 6, 12, 30))
    assert reached(inserted) == before
    above = reached(study.run(scales, rungs(scheduler, 6, 12, 30, 60)))
    assert all(now >= then for now, then in zip(above, before, strict=True))  # type: ignore[operator]
    assert 60 in above
    below = study.run(scales, rungs(scheduler, 6, 12), witness=(witness := Witness()))
    assert reached(below) == [min(amount, 12) for amount in before if amount is not None]
    assert below.computed == frozenset()
    assert reached(study.run(scales, rungs(scheduler, 6, 12, 30, 60))) == above, "and back"
    assert not witness.of("started")


@pytest.mark.parametrize("scheduler", ["halving", "asha", "hyperband", "median"])
def test_trials_that_are_measured_otherwise_do_not_race(study: Study, scheduler: str) -> None:
    """The arm of fewer samples would lose by its bias. With fifo nobody is stopped: reports say who is not ranked."""
    arms = "{few: {evaluate.num_samples: 6}, many: {evaluate.num_samples: 12}}"
    rungs = f"{{name: {scheduler}, budget: train.iterations, rungs: [5, 10]}}"
    with pytest.raises(UserError) as caught:
        make_plan(study.sweep([0.0], rungs, arms=arms))
    assert str(caught.value).startswith(
        f"scheduler.name {scheduler} would race trials measured under different conditions: at 5 of train.iterations, "
    )
    assert "have num_samples 6 and 12. Measure all trials alike" in str(caught.value)
    assert len(make_plan(study.sweep([0.0], "{name: fifo}", arms=arms)).trials) == 2
