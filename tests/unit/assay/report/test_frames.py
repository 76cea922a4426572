"""What a job's log says of results and costs, as data frames."""

from __future__ import annotations

from typing import Any

import pytest

from assay.results import frames

CLIMBED = {
    "row": "result",
    "trial": "wide",
    "arm": "wide",
    "seed": 0,
    "varied": {"model.norm": "add"},
    "budget": "train.iterations",
    "amount": 500,
    "metrics": {"fid": 7.5, "loss": "nan"},
    "key": "a1",
    "stages": ["a0", "a1"],
}
FAILED = {
    "row": "failure",
    "trial": "deep",
    "arm": "deep",
    "seed": 0,
    "varied": {"model.norm": "adagn"},
    "stage": "train",
    "key": "b0",
    "cause": "RuntimeError: no",
}


def test_before_anything_came_there_are_no_rows() -> None:
    assert list(frames.results([])) == ["trial", "arm", "seed", "key", "stages", "failure"]
    assert len(frames.results([])) == len(frames.ledger([])) == 0


@pytest.mark.parametrize("rows", [[CLIMBED], [CLIMBED, FAILED], [FAILED, CLIMBED, CLIMBED]])
def test_a_trial_that_has_not_failed_has_none_for_its_failure(rows: list[dict[str, Any]]) -> None:
    found = frames.results(rows).set_index("trial")
    assert found.loc["wide", "failure"] is None
    assert found.loc["wide", ["model.norm", "train.iterations", "fid"]].tolist() == ["add", 500, 7.5]
    assert found.loc["wide", "loss"] != found.loc["wide", "loss"], "not a number"
    if FAILED in rows:
        assert found.loc["deep", "failure"] == "train: RuntimeError: no"
    assert len(found) == len({row["trial"] for row in rows})


def test_lists_in_an_index_are_tuples() -> None:
    rows = [
        {**CLIMBED, "trial": str(steps), "arm": None, "key": str(steps), "varied": {"steps": steps, "sampler": sampler}}
        for steps, sampler in (([90, 10], "slow"), ([50, 50], None), ([50, 50], "slow"))
    ]
    found = frames.indexed(frames.results(rows), "tiny", ["steps", "sampler", "absent"], has_seeds=False)
    assert found.index.names == ["arm", "steps", "sampler"]
    assert found.loc[("tiny", (90, 10), "slow"), "fid"] == 7.5
    assert found["fid"].groupby(level="steps").count().to_dict() == {(50, 50): 1, (90, 10): 1}
