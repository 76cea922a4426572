"""What `plan` says a study would take: by comparable results, or by FLOPs; and how many trials climb."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import toy_workload
from assay.costs.availability import survey
from assay.costs.cost_estimate import CostEstimate, sum_of
from assay.costs.devices import SECONDS_PER_DAY, UTILISATION, DeviceDays
from assay.costs.estimator import CostEstimator
from assay.costs.rates import Price, Rates
from assay.planning import Plan, make_plan
from assay.planning.promotion import expected_climbers
from assay.store import Cost, Decision, Store
from assay.sweep import Resources, Sweep
from assay.workload import Budget, Stage

V100, A100, CPU = "Tesla V100-SXM2-16GB", "NVIDIA A100-SXM4-40GB", "cpu (x86_64)"
ON_GPUS = Resources.model_validate({"train": {"workers": 8, "gpus_per_worker": 1}})
ON_CPUS = Resources()
V100_DAYS = DeviceDays("V100")
IMAGENET = 1e15
"""FLOPs of an iteration."""


def training(iterations: int, flops: float | None = IMAGENET, study: str = "") -> Stage:
    budget = Budget("train.iterations", iterations, "iterations")
    whole = None if flops is None else flops * iterations
    return Stage("train", 1, "train", ("m:f",), {"flops": flops, "study": study}, budget=budget, flops=whole)


@pytest.fixture
def ran(tmp_path: Path) -> Callable[[Stage, str, float], Store]:
    """A store in which a stage took so many seconds on a device."""
    store = Store(tmp_path / "store")

    def commit(stage: Stage, device: str, seconds: float) -> Store:
        with store.staging() as output:
            store.commit(stage, output, {}, Cost(device, 1, seconds))
        return store

    return commit


def test_what_comparable_trainings_took_is_scaled_by_their_operations(ran: Callable[..., Store]) -> None:
    store = ran(training(100), V100, 50.0)
    price = CostEstimator(store, ON_GPUS, V100_DAYS).of(training(1000, 2 * IMAGENET))
    assert (price.device_days, price.by) == (pytest.approx(1000 / SECONDS_PER_DAY), {"earlier results": 1})
    assert price.seconds == pytest.approx(1000)


def test_a_toy_does_not_price_imagenet(ran: Callable[..., Store]) -> None:
    """Its network leaves the device idle, and a CPU says nothing of a GPU."""
    ran(training(100, IMAGENET / 1e4), V100, 500.0)
    store = ran(training(100), CPU, 1e6)
    price = CostEstimator(store, ON_GPUS, V100_DAYS).of(training(1000))
    assert (price.device_days, price.by) == (pytest.approx(V100_DAYS.of_flops(1000 * IMAGENET)), {"FLOPs": 1})
    assert price.seconds is None
    assert CostEstimator(store, ON_CPUS, V100_DAYS).of(training(1000)).seconds == pytest.approx(1e7)


def test_v100_days_are_those_of_any_declared_device_and_seconds_those_of_the_last(ran: Callable[..., Store]) -> None:
    ran(training(100, study="first"), V100, 100.0)
    store = ran(training(100, study="second"), A100, 40.0)
    price = CostEstimator(store, ON_GPUS, V100_DAYS).of(training(100))
    assert price.device_days == pytest.approx((100 + 40 * 312 / 125) / 2 / SECONDS_PER_DAY)
    assert price.seconds in (pytest.approx(40.0), pytest.approx(100.0)), "of one device, and no mixture"


def test_without_flops_it_is_by_the_budget_or_unknown(ran: Callable[..., Store]) -> None:
    store = ran(training(100, None), CPU, 5.0)
    price = CostEstimator(store, ON_CPUS, V100_DAYS).of(training(300, None))
    assert (price.device_days, price.by, price.seconds) == (None, {}, pytest.approx(15.0))
    assert CostEstimator(store, ON_CPUS, V100_DAYS).of(training(300)).seconds is None, (
        "operations and items do not compare"
    )


RATES = Rates(
    [
        Price(device=name, usd_per_hour=dollars, date="2026-11-30", source="a list")
        for name, dollars in (("V100-16GB", 3.6), ("V100-32GB", 7.2), ("A100", 10.0), ("cpu", 0.36))
    ]
)


def on(**resources: Any) -> Resources:
    return Resources.model_validate({"train": {"gpus_per_worker": 1, **resources}})


def test_dollars_are_by_the_device_of_earlier_results(ran: Callable[..., Store]) -> None:
    store = ran(training(100), A100, 40.0)
    price = CostEstimator(store, ON_GPUS, V100_DAYS, RATES).of(training(1000))
    assert (price.usd, price.devices) == (pytest.approx(400 * 10 / 3600), (A100,))
    store = ran(training(100, study="cpu"), CPU, 100.0)
    assert CostEstimator(store, ON_CPUS, V100_DAYS, RATES).of(training(100)).usd == pytest.approx(0.01)


def test_without_earlier_results_they_are_by_operations_on_the_gpu_that_the_sweep_names(tmp_path: Path) -> None:
    store, hours = Store(tmp_path), V100_DAYS.of_flops(1000 * IMAGENET) * 24  # type: ignore[operator]
    for resources, device, dollars in (
        (on(), "V100", 3.6 * hours),
        (on(gpu="V100-32GB"), "V100-32GB", 7.2 * hours),
        (on(gpu="A100-80GB"), "A100-80GB", 10 * hours * 125 / 312),
    ):
        price = CostEstimator(store, resources, V100_DAYS, RATES).of(training(1000))
        assert (price.devices, price.usd) == ((device,), pytest.approx(dollars))


def test_a_gpu_that_the_sweep_names_prices_results_of_another(ran: Callable[..., Store]) -> None:
    store = ran(training(100), V100, 3600.0)
    price = CostEstimator(store, on(gpu="A100-40GB"), V100_DAYS, RATES).of(training(100))
    assert price.usd == pytest.approx(10 * 125 / 312)


def test_unknown_prices_are_unknown(ran: Callable[..., Store]) -> None:
    store = ran(training(100), "Tesla T4", 40.0)
    assert CostEstimator(store, ON_GPUS, V100_DAYS, RATES).of(training(1000)).usd is None
    assert CostEstimator(store, ON_CPUS, V100_DAYS, RATES).of(training(1000)).usd is None, "of unknown time"
    cost = sum_of([CostEstimate.of_stage(1.0, 1.0, usd=3.0), CostEstimate.of_stage(1.0, 1.0)])
    assert (cost.usd, cost.unknown_usd) == (3.0, 1.0)


def test_v100_days_of_operations() -> None:
    assert V100_DAYS.of_flops(120e12 * SECONDS_PER_DAY * UTILISATION) == pytest.approx(1)
    assert V100_DAYS.of_flops(120e12 * SECONDS_PER_DAY) == pytest.approx(1 / 0.36)


def test_a_sum_counts_what_it_does_not_know() -> None:
    known, unknown = CostEstimate.of_stage(4.0, 60.0, "FLOPs"), CostEstimate.of_stage(None, 30.0)
    cost = sum_of([known.part(0.5), unknown.expected(0.25)])
    assert (cost.device_days, cost.seconds, cost.by) == (2.0, 37.5, {"FLOPs": 1.0})
    assert (cost.stages, cost.unknown_days, cost.unknown_seconds) == (1.25, 0.25, 0.0)
    assert (sum_of([]).device_days, sum_of([unknown]).device_days) == (None, None)


def race(scheduler: Mapping[str, Any], trials: int = 27, decided: Mapping[int, Decision] | None = None) -> Plan:
    """Trials that draw 6, 12 and 30 samples."""
    written = {
        "version": 1,
        "name": "race",
        "workload": "toy",
        "base": "tiny",
        "parameters": {"sample.scale": {"values": [float(n) for n in range(trials)]}},
        "scheduler": {"budget": "evaluate.num_samples", "rungs": [6, 12, 30], **scheduler},
        "metric": "distance",
        "mode": "min",
    }
    sweep = Sweep.model_validate(written)
    sweep._workload = toy_workload.Quick()
    plan = make_plan(sweep)
    leaves = {plan.trials[n].rungs[0].leaf.key: decision for n, decision in (decided or {}).items()}
    return Plan(sweep, plan.trials, leaves)


def expected(plan: Plan, store: Store) -> dict[int, float]:
    """Amount → how many stages of it will be computed."""
    counts: dict[int, float] = {}
    for status in survey(plan, store).values():
        if status.state != "dropped":
            counts[status.stage.amount] = counts.get(status.stage.amount, 0.0) + status.chance
    return {amount: round(count, 9) for amount, count in counts.items()}


def test_halving_is_planned_as_it_will_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert expected_climbers(race({"name": "halving", "divisor": 3})) == [27, 9, 3]
    assert expected(race({"name": "halving", "divisor": 3}), store) == {6: 27, 12: 9, 30: 3}
    assert expected(race({"name": "halving", "divisor": 3}, trials=2), store) == {6: 2, 12: 1, 30: 1}
    assert expected(race({"name": "asha", "divisor": 3}), store) == {6: 27, 12: 27, 30: 27}, "at most"


def test_what_is_decided_is_certain(tmp_path: Path) -> None:
    decided: dict[int, Decision] = {n: "go on" if n < 2 else "stop" for n in range(6)}
    plan = race({"name": "halving", "divisor": 3}, trials=6, decided=decided)
    assert expected_climbers(plan) == [6, 2, 1]
    assert expected(plan, Store(tmp_path)) == {6: 6, 12: 2, 30: 1}
    statuses = survey(plan, Store(tmp_path))
    assert [statuses[plan.trials[n].rungs[1].leaf.key].state for n in (0, 1, 2)] == ["missing", "missing", "dropped"]


def test_a_stage_that_many_read_is_needed_if_any_of_them_climbs(tmp_path: Path) -> None:
    """Two of 4 trials climb; three of them read one stage: whichever climb, it is needed."""
    sweep = race({"name": "halving", "divisor": 2}, trials=4).sweep
    sweep._workload = Shared()
    statuses = survey(make_plan(sweep), Store(tmp_path))
    chances = {(s.stage.config["scale"], s.stage.amount): s.chance for s in statuses.values()}
    assert chances == {
        (1.0, 6): 1.0,
        (3.0, 6): 1.0,
        (1.0, 12): 1.0,
        (3.0, 12): pytest.approx(0.5),
        (1.0, 30): pytest.approx(0.75),
        (3.0, 30): pytest.approx(0.25),
    }


class Shared(toy_workload.Quick):
    """Trials of small scales are one."""

    def stages(self, config: Mapping[str, Any]) -> list[Stage]:
        scale = max(1.0, config["sample"]["scale"]) if config["sample"]["scale"] > 2 else 1.0
        return list(super().stages({**config, "sample": {"scale": scale}}))
