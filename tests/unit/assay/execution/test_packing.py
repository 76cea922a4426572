"""What fits on a cluster of several machines."""

import math

import pytest

from assay.execution.broker import Request, StageBroker, too_large
from assay.execution.packing import how_many
from assay.execution.requirements import Need

SMALL, LARGE = {"CPU": 8.0}, {"CPU": 60.0, "GPU": 8.0}


@pytest.mark.parametrize(
    ("machines", "unit", "fits"),
    [
        ([SMALL, LARGE], {"CPU": 8.0}, 8),
        ([SMALL, LARGE], {"CPU": 8.0, "GPU": 1.0}, 7),
        ([{"CPU": 1.0}, {"CPU": 1.0}], {"CPU": 2.0}, 0),
        ([{"GPU": 2.0}], {"GPU": 0.4}, 4),
        ([{"GPU": 1.0}], {"GPU": 1 / 3}, 3),
        ([{"CPU": math.inf}], {"CPU": 4.0}, 100),
        ([], {"CPU": 1.0}, 0),
        ([SMALL], {}, 100),
    ],
)
def test_a_unit_is_on_one_machine(machines: list[dict[str, float]], unit: dict[str, float], fits: int) -> None:
    assert how_many(machines, unit, 100) == fits


def test_what_runs_takes_room() -> None:
    assert how_many([SMALL, LARGE], {"GPU": 1.0}, 100, [({"GPU": 1.0, "CPU": 4.0}, 3)]) == 5
    assert how_many([{"GPU": 2.0}], {"GPU": 0.5}, 100, [({"GPU": 0.5}, 1)]) == 3
    assert how_many([{"CPU": 4.0}], {"CPU": 3.0}, 100, [({"CPU": 2.0}, 1)]) == 0


def test_a_fan_out_gets_as_many_actors_as_find_a_machine() -> None:
    broker = StageBroker([SMALL, LARGE])
    asked = Request("sample", "sample", "sample", (), Need({"CPU": 8.0, "GPU": 1.0}, 1, 64))
    assert broker.decide(0, [asked]).units == 7


def test_what_no_machine_has_is_named() -> None:
    machines = [{"CPU": 4.0}] * 4
    assert too_large("train", Need({"CPU": 4.0}, 4, 4), machines) is None
    assert too_large("train", Need({"CPU": 3.0}, 5, 8), machines) == (
        "stage train needs at least 5 times 3 CPU on one machine (the cluster's machines have room for 4 of that)"
    )
