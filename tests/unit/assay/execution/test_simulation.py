"""A run on a virtual clock: the same broker and scheduler, times that can be checked by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toy_workload
from assay.costs.machines import Fleet, parse_fleet
from assay.errors import UserError
from assay.execution.simulation import STARTING_S, Simulation, simulate, work_of
from assay.planning import Plan, make_plan
from assay.sweep import load_sweep

HEAD = {"version": 1, "name": "simulated", "workload": "toy", "base": "tiny", "metric": "distance", "mode": "min"}
ARMS = {"arms": {"a": {}, "b": {"model.norm": "add"}}, "parameters": {"sample.scale": {"values": [0.0, 1.0]}}}
GPUS = {
    "resources": {
        "train": {"workers": 4, "gpus_per_worker": 1},
        "sample": {"actors": [1, 8], "gpus_per_actor": 1},
    }
}
SECONDS = {"train": 4000.0, "sample": 800.0, "reference": 80.0, "evaluate": 5.0}
"""Device-seconds of the stages by name."""


def planned(**more: Any) -> Plan:
    return make_plan(load_sweep({**HEAD, **more}, find_workload=lambda name: toy_workload.workload))


def simulation_of(plan: Plan, fleet: Fleet, **more: Any) -> Simulation:
    return simulate(plan, {key: SECONDS[stage.name] for key, stage in plan.stages.items()}, fleet, **more)


def test_a_shared_training_is_waited_for_and_then_all_samples_are_drawn_at_once() -> None:
    plan = planned(**{**GPUS, "parameters": {"sample.scale": {"values": [0.0, 1.0]}}})
    simulation = simulation_of(plan, parse_fleet("2x(8xV100,16CPU)"))
    (train,) = [span for span in simulation.spans if span.title.startswith("train")]
    assert (train.start_s, train.end_s, train.devices) == (0, STARTING_S + 4000 / 4, 4)
    samples = [span for span in simulation.spans if span.title.startswith("sample")]
    assert {span.start_s for span in samples} == {train.end_s}
    # A fan-out has no more actors than shards.
    assert [span.units for span in samples] == [2, 2]
    assert simulation.seconds == train.end_s + STARTING_S + 800 / 2 + 5


def test_what_does_not_fit_beside_another_waits_for_it() -> None:
    plan = planned(**GPUS, **ARMS)
    both = simulation_of(plan, parse_fleet("1x(8xV100,16CPU)"))
    one = simulation_of(plan, parse_fleet("1x(4xV100,16CPU)"))
    trains = [span for span in one.spans if span.title.startswith("train")]
    assert trains[1].start_s >= trains[0].end_s
    assert both.seconds < one.seconds
    assert one.idle_device_s.keys() <= {"too few are free for what waits", "waiting for train", *one.idle_device_s}


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 8), st.floats(0, 500), st.sampled_from([0.0, 0.5, 3.0]), st.integers(0, 5))
def test_every_stage_ends_once_and_every_device_second_is_accounted_for(
    count: int, gpus: int, start_s: float, losses: float, seed: int
) -> None:
    plan = planned(**ARMS, resources={**GPUS["resources"], "train": {"workers": [1, 4], "gpus_per_worker": 1}})
    fleet = parse_fleet(f"{count}x({gpus}xV100,{4 * gpus}CPU)", start_s, losses)
    simulation = simulation_of(plan, fleet, seed=seed)
    ended = [key for span in simulation.spans if not span.is_lost for key in span.keys]
    assert sorted(ended) == sorted(plan.stages)
    total = simulation.busy_device_s + sum(simulation.idle_device_s.values())
    assert total == pytest.approx(simulation.seconds * count * gpus)
    assert simulation.seconds >= simulation.bound_s * (1 - 1e-9)
    assert all(span.devices <= count * gpus for span in simulation.spans if "train" in span.title)
    after = {key: span for span in simulation.spans if not span.is_lost for key in span.keys}
    for key, stage in plan.stages.items():
        for source in stage.sources:
            assert after[source.key].end_s <= after[key].start_s


def test_a_lost_machine_costs_what_was_not_saved() -> None:
    plan = planned(**GPUS)
    calm = simulation_of(plan, parse_fleet("1x(8xV100,16CPU)"))
    lossy = simulation_of(plan, parse_fleet("1x(8xV100,16CPU)", losses_per_hour=3.0), seed=1)
    lost = [span for span in lossy.spans if span.is_lost]
    assert lossy.losses >= len(lost) > 0
    assert lossy.seconds > calm.seconds


@pytest.mark.parametrize(("name", "last"), [("halving", 2), ("fifo", 6)])
def test_a_race_promotes_as_many_as_its_scheduler_keeps(name: str, last: int) -> None:
    scales = {"sample.scale": {"values": [6.0, 0.0, 3.0, 1.0, 4.0, 7.0]}}
    race = {"name": name, "budget": "evaluate.num_samples", "rungs": [6, 12, 30]}
    plan = planned(parameters=scales, scheduler={**race, **({"divisor": 2} if name == "halving" else {})})
    simulation = simulation_of(plan, parse_fleet("4CPU"), value=lambda trial, rung: float(trial))
    ran = {key for span in simulation.spans for key in span.keys}
    reached = [sum(trial.rungs[rung].leaf.key in ran for trial in plan.trials) for rung in range(3)]
    assert reached == [6, 3 if name == "halving" else 6, last if name == "fifo" else 1]


def test_a_race_by_intervals_ends_before_its_last_rung() -> None:
    """Values of 1 to 4, noise of 0.1 at first: the best soon wins."""
    scales = {"sample.scale": {"values": [3.0, 0.0, 1.0, 2.0]}}
    race = {"name": "race", "budget": "evaluate.num_samples", "rungs": [6 * 4**rung for rung in range(7)]}
    sweep = {**HEAD, "parameters": scales, "scheduler": race}
    plan = make_plan(load_sweep(sweep, find_workload=lambda name: toy_workload.noisy))
    seconds = dict.fromkeys(plan.stages, 10.0)
    simulation = simulate(plan, seconds, parse_fleet("4CPU"), value=lambda trial, rung: 1.0 + trial)
    ran = {key for span in simulation.spans for key in span.keys}
    reached = [sum(trial.rungs[rung].leaf.key in ran for trial in plan.trials) for rung in range(7)]
    assert reached[0] == 4
    assert reached[-1] == 0


def test_a_limit_of_hours_pauses_it() -> None:
    plan = planned(**GPUS, limits={"hours": 0.1})
    simulation = simulation_of(plan, parse_fleet("1x(8xV100,16CPU)"))
    assert simulation.seconds == 360
    assert simulation.paused == "limits.hours, which is 0.1"


def test_what_has_no_room_on_any_machine_is_refused() -> None:
    with pytest.raises(UserError, match=r"stage train needs 4 GPU \(1 × \(2xV100,4CPU\) has 2\)"):
        simulation_of(planned(**GPUS), parse_fleet("(2xV100,4CPU)"))


def test_time_comes_from_device_days_at_the_speed_of_the_device_or_from_earlier_seconds() -> None:
    assert work_of(1.0, None, 1.0) == 86_400
    assert work_of(1.0, 7.0, 2.5) == 86_400 / 2.5
    assert work_of(1.0, 7.0, None) == 7.0
    assert work_of(None, None, 1.0) is None


@pytest.mark.parametrize(
    ("text", "name", "gpus"),
    [
        ("8xp3.16xlarge", "8 × p3.16xlarge", 64),
        ("p4d.24xlarge", "1 × p4d.24xlarge", 8),
        ("2 x (4 x A100-80GB, 48 CPU)", "2 × (4xA100-80GB,48CPU)", 8),
        ("16CPU", "1 × (16CPU)", 0),
    ],
)
def test_fleets_by_provider_and_by_hand(text: str, name: str, gpus: int) -> None:
    fleet = parse_fleet(text)
    assert (fleet.name, fleet.gpus) == (name, gpus)


@pytest.mark.parametrize("text", ["", "8x", "0xp3.16xlarge", "p3.16xlrge", "2x(8xV900,4CPU)"])
def test_other_fleets_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match=r'--on: got .*, allowed: "8xp3.16xlarge"'):
        parse_fleet(text)


def test_a_cut_off_stage_counts_its_work_once_in_the_bound() -> None:
    plan = planned(**GPUS)
    calm = simulation_of(plan, parse_fleet("1x(8xV100,16CPU)"))
    lossy = simulation_of(plan, parse_fleet("1x(8xV100,16CPU)", losses_per_hour=3.0), seed=1)
    assert lossy.work_s == calm.work_s == (4000 + 800) / 8
