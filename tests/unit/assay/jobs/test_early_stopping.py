"""The early-stopping study, as far as it needs no cluster: what it says the trainings took, and what is wrong."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from typing import Any

import pytest

from assay.costs.devices import DeviceDays
from assay.results import frames
from assay.sweep import load_sweep
from repository import ROOT

FOLDER = ROOT / "sweeps"
RUNGS = {25: ["c", "t25", "r", "s25"], 50: ["c", "t50", "r", "s50"], 100: ["c", "t100", "r", "s100"]}
"""The stages that a rung took; of the trainings below it, each is a row of its own."""


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "early_stopping_study.py"))


@pytest.fixture(scope="module")
def told(study: dict[str, Any]) -> Callable[..., list[str]]:
    """What the study says of a target that was beaten at 50 of 100 iterations, by what is changed of the stages."""
    results = frames.results(
        [
            {
                "row": "result",
                "trial": trial,
                "arm": trial,
                "seed": 0,
                "varied": {},
                "budget": "train.iterations",
                "amount": amount,
                "metrics": {"fid": 10.0},
                "key": f"{trial}{amount}",
                "stages": keys,
            }
            for trial, keys_of in {"wide": RUNGS, "deep": {25: ["other"]}}.items()
            for amount, keys in keys_of.items()
        ]
    )
    sweep = load_sweep(FOLDER / "table8_early_stopping.yaml", profile="smoke")
    (best,) = [row for _, row in results.iterrows() if (row["trial"], row["train.iterations"]) == ("wide", 50)]

    def tell(**changes: dict[str, object]) -> list[str]:
        stages = [
            *(("c", "train_classifier", 1.0), ("t25", "train", 2.0), ("t50", "train", 4.0), ("t100", "train", 64.0)),
            *(
                ("r", "reference", 128.0),
                ("s25", "sample", 256.0),
                ("s50", "sample", 512.0),
                ("other", "train", 1024.0),
            ),
        ]
        ledger = frames.ledger(
            [
                {
                    "row": "stage",
                    "stage": stage,
                    "key": key,
                    "serves": ["wide"],
                    "amount": 25,
                    "unit": "iterations",
                    "device": "V100",
                    "count": 2,
                    "seconds": 10 * days,
                    "done": 25,
                    "items": 100,
                    "flops": 1e20 * days,
                    "v100_days": days,
                    **changes.get(key, {}),
                }
                for key, stage, days in stages
            ]
        )
        return study["cost"](results, ledger, sweep, best).splitlines()

    return tell


def test_the_trainings_until_the_rung_that_beat_the_target_are_counted_and_nothing_else(
    told: Callable[..., list[str]],
) -> None:
    assert told() == [
        "wide beat it after 50 iterations. V100-days of training until there:",
        "  train              6",
        "  train_classifier   1",
        "  total              7   (140 device-seconds here)",
    ]


def test_what_ran_on_a_device_of_unknown_speed_counts_by_its_operations(told: Callable[..., list[str]]) -> None:
    said = told(t50={"device": "toaster", "v100_days": None}, s50={"device": "kettle", "v100_days": None})
    assert said[1].startswith(
        "  (nobody declared what toaster is worth in V100s: by its operations instead, at the 36%"
    )
    days = DeviceDays("V100").of_flops(4e20)
    assert said[2:] == [
        f"  train              {2 + days:.3g}",
        "  train_classifier   1",
        f"  total              {3 + days:.3g}   (140 device-seconds here)",
    ]


def test_what_nobody_can_count_is_named(told: Callable[..., list[str]]) -> None:
    said = told(t50={"device": "toaster", "v100_days": None, "flops": None})
    assert said[2] == "  (nobody counted the operations of train: not in the sums)"
    assert said[-1] == "  total              3   (140 device-seconds here)"


def test_what_is_wrong_is_told_in_a_line(study: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    assert study["main"](["--smoke", "--set", "train.iterationz=5"]) == 2
    wrong = capfd.readouterr().err
    assert "train.iterationz" in wrong
    sweep = ["--address", "http://127.0.0.1:9", str(FOLDER / "table8_early_stopping.yaml")]
    assert study["main"](sweep) == 3
    away = capfd.readouterr().err
    assert away.startswith("assay: no cluster at http://127.0.0.1:9: ")
    assert "Traceback" not in wrong + away
