"""The ledger: conversions, images a second, utilisation, and what is charged once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assay.costs.devices import DEVICES, SECONDS_PER_DAY, DeviceDays, find_device, memory_sizes
from assay.costs.ledger import Total, entries, total
from assay.store import Cost, Store, StoredResult
from assay.workload import Budget, Stage

V100 = "Tesla V100-SXM2-16GB"
CPU = "cpu (x86_64)"
V100_DAYS = DeviceDays("V100")


def test_the_paper_says_what_a_tpu_is_worth_and_data_sheets_the_rest() -> None:
    assert V100_DAYS.of(V100, 4, SECONDS_PER_DAY / 2) == 2.0
    assert V100_DAYS.of("TPU v3", 2, SECONDS_PER_DAY) == 1.0
    assert V100_DAYS.of("NVIDIA A100-SXM4-40GB", 1, SECONDS_PER_DAY) == pytest.approx(312 / 125)
    assert all(device.source for device in DEVICES)


@pytest.mark.parametrize(
    ("name", "peak_tflops"),
    [
        ("NVIDIA A10", 125),
        ("NVIDIA A10G", 70),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA GH200 480GB", 989),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("Tesla T4", 65),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("Tesla V100S-PCIE-32GB", 120),
    ],
)
def test_names_that_contain_each_other_are_told_apart(name: str, peak_tflops: float) -> None:
    device = find_device(name)
    assert device is not None
    assert device.peak_flops == pytest.approx(peak_tflops * 1e12)
    if peak_tflops != 120:
        assert V100_DAYS.worth(device) == pytest.approx(peak_tflops / 125)


def test_of_several_kinds_of_devices_it_is_not_known_how_much_each_did() -> None:
    assert find_device("NVIDIA A100-SXM4-40GB, Tesla V100-SXM2-16GB") is None
    assert find_device("NVIDIA A100-SXM4-40GB, NVIDIA A100-SXM4-80GB") is find_device("NVIDIA A100 80GB PCIe")


@pytest.mark.parametrize(
    "name",
    [CPU, "NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA H20", "NVIDIA T400"],
)
def test_an_undeclared_device_or_a_slice_of_one_is_unknown(name: str) -> None:
    assert find_device(name) is None
    assert V100_DAYS.of(name, 1, 100.0) is None


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("V100", (16, 32)),
        (V100, (16,)),
        ("Tesla V100S-PCIE-32GB", (32,)),
        ("NVIDIA A100-SXM4-40GB, NVIDIA A100-SXM4-80GB", (40, 80)),
        ("NVIDIA GH200 480GB", (96, 141, 144)),
        ("Tesla T4", (16,)),
        ("TPU v3", ()),
        (CPU, ()),
    ],
)
def test_memory_is_the_size_in_the_name_or_any_that_the_device_is_sold_with(name: str, sizes: tuple[int, ...]) -> None:
    assert memory_sizes(name) == sizes


def training(iterations: int, **changes: Any) -> Stage:
    budget = Budget("train.iterations", iterations, "iterations")
    given: dict[str, Any] = {"flops": iterations * 1e13, "items": iterations * 8, "budget": budget, **changes}
    return Stage("train", 1, "train", ("m:f",), {}, **given)


def commit(store: Store, stage: Stage, cost: Cost, metrics: Mapping[str, float] | None = None) -> StoredResult:
    with store.staging() as output:
        return store.commit(stage, output, metrics or {}, cost)


def test_an_entry_says_how_well_the_devices_were_used(tmp_path: Path) -> None:
    store = Store(tmp_path)
    trained = commit(store, training(480), Cost(V100, 2, 100.0))
    measured = commit(store, Stage("evaluate", 1, "reduce", ("m:f",), {}), Cost(CPU, 1, 7.0))
    first, second = entries(
        [trained, measured, trained], V100_DAYS
    )  # the training is read by two trials, and charged once
    assert first.items_per_second == pytest.approx(480 * 8 / 100)
    assert first.utilisation == pytest.approx(480 * 1e13 / (200 * 120e12))
    assert first.device_days == pytest.approx(200 / SECONDS_PER_DAY)
    assert (second.items_per_second, second.utilisation, second.device_days) == (None, None, None)
    assert total([first, second]) == Total(
        2, 207.0, first.device_days, unknown=1, unknown_device_seconds=7.0, unpriced=2
    )


def test_a_rung_is_charged_for_what_it_added(tmp_path: Path) -> None:
    store = Store(tmp_path)
    results = []
    for amount, done in ((10, 10), (30, 20)):
        budget = Budget("evaluate.num_samples", amount, "images")
        stage = Stage("sample", 1, "map", ("m:f",), {}, budget=budget, resources="sample", flops=amount * 1e12)
        store.shards(stage).write(pa.table({"id": range(amount - done, amount)}))
        results.append(commit(store, stage, Cost(V100, 1, 5.0, {"items": done})))
    first, second = entries(results, V100_DAYS)
    assert (first.items_per_second, second.items_per_second) == (2.0, 4.0)
    assert (first.flops, second.flops) == (1e13, 2e13)
