"""A stage that cannot be one is refused where it is made, by its name and the field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from assay.errors import StageError, UserError
from assay.workload import Budget, Stage
from assay.workload.contract import stage_graph
from assay.workload.fields import Section
from assay.workload.typed_workload import TypedWorkload

BUDGET = Budget("train.iterations", 10, "iterations")
GOOD: dict[str, Any] = {"name": "draw", "version": 1, "kind": "map", "body": ("m:Draw",), "config": {}}


def stage(**fields: Any) -> Stage:
    return Stage(**{**GOOD, "budget": BUDGET, **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "mpa"}, "kind: got 'mpa', allowed: train, map, reduce; did you mean 'map'?"),
        ({"resources": 3}, "resources: got 3 (int), allowed: the name of a group of the sweep's resources, or None"),
        ({"body": "m:Draw"}, "body: got 'm:Draw' (str), expected import paths such as (\"package.module:attribute\",)"),
        ({"body": ("m.Draw",)}, "body: got ('m.Draw',) (tuple), expected import paths"),
        ({"kind": "reduce", "body": ("m:a", "m:b")}, "body: got 2 (m:a, m:b), allowed for a reduce stage: one"),
        ({"check": "check"}, "check: got 'check' (str), expected an import path"),
        ({"group_check": 3}, "group_check: got 3 (int), expected an import path"),
        ({"config": []}, "config: got [] (list), allowed: a dict"),
        ({"config": {"a": {"b": [0, {1, 2}]}}}, "config.a.b[1]: got {1, 2} (set), expected plain JSON"),
        ({"config": {"rate": float("nan")}}, "config.rate: got nan, allowed: a finite number"),
        ({"config": {"a": {3: 1}}}, "config.a: got the key 3 (int), allowed: keys that are text"),
        ({"config": {"n": np.zeros(3)}}, "config.n: got a numpy ndarray of shape (3,), expected plain JSON"),
        ({"execution": {"how": object}}, "execution.how: got <class 'object'> (type), expected plain JSON"),
        ({"inputs": {"model": "train"}}, "inputs.model: got 'train' (str), allowed: a Stage"),
        ({"budget": None}, "budget: got None, expected for a map stage: a Budget with its number of ids"),
        ({"budget": 5}, "budget: got 5 (int), allowed: a Budget, or None"),
        ({"budget": replace(BUDGET, amount=0)}, "budget.amount: got 0 (int), allowed: a whole number of iterations"),
        ({"budget": replace(BUDGET, amount=True)}, "budget.amount: got True (bool), allowed: a whole number"),
        ({"budget": replace(BUDGET, unit="")}, "budget.unit: got '' (str), allowed: the plural of what is counted"),
        ({"budget": replace(BUDGET, path="train..n")}, "budget.path: got 'train..n' (str), allowed: a dotted path"),
        ({"batch_size": 0}, 'batch_size: got 0 (int), allowed: a whole number of ids, 1 or more, or "auto"'),
        ({"streamed": True, "kind": "reduce", "budget": None}, "streamed: got True, allowed for a reduce stage: False"),
        ({"rows": "draw"}, "rows: got 'draw' (str), allowed: a map Stage, or None"),
        ({"rows": stage(budget=replace(BUDGET, amount=20))}, "rows: got draw of 20 iterations, expected as many as"),
        ({"rows": stage(rows=stage())}, "rows: got draw, expected a map stage that is given ids and stores all its"),
        ({"rows": stage(), "kind": "train"}, "rows: got Stage("),
        ({"inputs": {"images": stage(streamed=True)}}, "inputs.images: got draw, whose rows are streamed and not"),
        ({"shard_size": 0.5}, "shard_size: got 0.5 (float), allowed: a whole number of ids, 1 or more"),
    ],
)
def test_an_error_names_the_stage_and_the_field(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(StageError) as refused:
        stage(**fields)
    assert str(refused.value).startswith(f"stage draw: {said}")
    assert "\n" not in str(refused.value)


def test_a_stage_that_is_changed_is_checked_again() -> None:
    with pytest.raises(StageError, match=r"^stage draw: budget\.amount: got -1"):
        replace(stage(), budget=replace(BUDGET, amount=-1))


def test_a_plan_names_the_workload_besides() -> None:
    class Wrong(TypedWorkload[Section]):
        name = "wrong"
        config_type = Section

        def stages_of(self, config: Section) -> list[Stage]:
            return [stage(kind="reduced")]

    with pytest.raises(UserError, match=r"^workload wrong, stage draw: kind: got 'reduced'"):
        stage_graph(Wrong(), {})
