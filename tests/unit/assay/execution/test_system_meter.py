"""What a worker measures of itself and its machine, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

import assay
import toy_workload
from assay.errors import UserError
from assay.execution import Event
from assay.execution.system_meter import SystemMeter
from assay.home import Home
from assay.sweep import load_sweep

SWEEP = {
    "version": 1,
    "name": "measured",
    "workload": "toy",
    "base": "tiny",
    "metric": "distance",
    "mode": "min",
}
OF_A_CPU = {"cpu_percent", "memory_gib", "machine_cpu_percent", "machine_memory_percent"}


def test_it_measures_once_per_interval_and_never_if_that_is_0() -> None:
    meter = SystemMeter("cpu", 1e-9)
    used = meter.measure()
    assert used.keys() == OF_A_CPU
    assert 0.001 < used["memory_gib"] < 1000
    assert 0 <= used["machine_memory_percent"] <= 100
    assert SystemMeter("cpu", 1000.0).measure() == {}
    assert SystemMeter("cpu", 0).measure() == {}


def test_a_gpu_that_cannot_be_asked_ends_no_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of a GPU, a container without NVML: its errors share no class but Exception."""
    import pynvml
    import torch

    asked = []

    def unsupported(device: str) -> float:
        asked.append(device)
        raise pynvml.NVMLError_NotSupported(3)

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 30, 2 << 30))
    monkeypatch.setattr(torch.cuda, "utilization", unsupported)
    meter = SystemMeter("cuda:0", 1e-9)
    assert meter.measure().keys() == OF_A_CPU
    assert meter.measure().keys() == OF_A_CPU
    assert asked == ["cuda:0"], "once is enough"


def measured(folder: Path) -> set[str]:
    """The stages that told of what their workers used."""

    class Ears:
        def __init__(self) -> None:
            self.events: list[Event] = []

        def begin(self, *_: object) -> None: ...

        def end(self, *_: object) -> None: ...

        def event(self, event: Event) -> None:
            self.events.append(event)

    ears = Ears()
    sweep = load_sweep(SWEEP, find_workload=lambda name: toy_workload.workload)
    plan = assay.run(sweep, Home(folder), executor="inline", listeners=[ears]).plan
    told = [event for event in ears.events if event.kind == "system"]
    assert all(event.metrics.keys() == OF_A_CPU for event in told)
    return {plan.stages[event.key].name for event in told}


def test_trainings_and_map_stages_tell_of_it_unless_it_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_SYSTEM_SECONDS", "1e-9")
    assert measured(tmp_path / "on") >= {"train", "sample"}
    monkeypatch.setenv("ASSAY_SYSTEM_SECONDS", "0")
    assert measured(tmp_path / "off") == set()


def test_an_interval_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_SYSTEM_SECONDS", "often")
    with pytest.raises(UserError, match="ASSAY_SYSTEM_SECONDS: got 'often', allowed: a number of seconds; 0 measures"):
        Home.system_interval_s()
