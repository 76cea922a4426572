"""Whatever the file holds, the answer is a Sweep or a SpecError whose every problem has words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import SpecError, SpecProblem
from assay.sweep import load_sweep
from assay.workload import Workload

FindWorkload = Callable[[str], Workload]
Check = Callable[..., None]
few = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="session")
def check(tmp_path_factory: pytest.TempPathFactory, find_workload: FindWorkload) -> Check:
    path = tmp_path_factory.mktemp("fuzz") / "x.yaml"

    def check(content: bytes, profile: str | None = None, sets: Sequence[str] = ()) -> None:
        path.write_bytes(content)
        problems: tuple[SpecProblem, ...] = ()
        try:
            sweep = load_sweep(path, profile=profile, sets=sets, find_workload=find_workload)
            assert sweep.trials() or sweep.searcher.name == "optuna"
        except SpecError as error:
            problems = error.problems or (SpecProblem("", 0, "", ""),)
        assert all(problem.message and str(problem).encode() for problem in problems)

    return check


@few
@given(st.binary(max_size=200))
def test_any_bytes(check: Check, content: bytes) -> None:
    check(content)


yaml_text = st.text(alphabet="ab:-[]{}&*!|>'\"%@`#?,.~<=1e\\ \t\n\rué\x85\u2028\x00", max_size=60)


@pytest.mark.slow
@few
@given(yaml_text)
def test_any_punctuation(check: Check, head: str, text: str) -> None:
    check(text.encode())
    check((head + text).encode())
    check((head + "config: " + text).encode())


scalars = st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | st.text(max_size=6)
WORDS = [
    "values",
    "min",
    "max",
    "log",
    "num",
    "int",
    "step",
    "partition",
    "first",
    "total",
    "parts",
    "when",
    "optuna",
    "random",
    "num_trials",
    "asha",
    "budget",
    "rungs",
    "evaluate.num_samples",
    "cumulative",
    "name",
    "workers",
    "actors",
    "kind",
    "x",
    "y",
    "rows",
    "source",
    "plots",
    "train",
    "sample",
    "reduce",
    "model.norm",
    "sample.steps",
    "seed",
    "train.batch_size",
    "classifier",
    "config",
    "arms",
    "base",
    "parameters",
    "seeds",
    "limits",
    "retries",
    "metric",
    "smoke",
    "fid",
    "a",
    "model",
]
words = st.sampled_from(WORDS)
values = st.recursive(
    scalars | words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8
)
KEYS = [
    "version",
    "name",
    "description",
    "workload",
    "base",
    "config",
    "parameters",
    "arms",
    "arms_mode",
    "searcher",
    "scheduler",
    "metric",
    "mode",
    "seeds",
    "resources",
    "limits",
    "reference",
    "report",
    "profiles",
]
GOOD = {"version": 1, "name": "x", "workload": "tiny", "base": "digits", "metric": "fid", "mode": "min"}


@pytest.mark.slow
@few
@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=6), values)
def test_any_shape_under_the_right_keys(check: Check, data: dict[str, Any], profile: Any) -> None:
    merged = {**GOOD, **data, "profiles": {"smoke": profile}}
    check(json.dumps(merged).encode())
    check(json.dumps(merged).encode(), profile="smoke")
    check(json.dumps({**GOOD, **data}).encode())


@few
@given(st.lists(st.text(max_size=12) | st.builds("{}={}".format, words | st.sampled_from(KEYS), values), max_size=4))
def test_any_sets(check: Check, head: str, sets: list[str]) -> None:
    check(head.encode(), sets=[text for text in sets if not any("\ud800" <= c <= "\udfff" for c in text)])


numbers = st.integers(-2, 12) | st.sampled_from([0.1, 1.0, 2.5, 1e-5, None, True, "x"])
spaces = st.fixed_dictionaries(
    {},
    optional={
        "min": numbers,
        "max": numbers,
        "log": st.booleans(),
        "int": st.booleans(),
        "num": numbers,
        "step": numbers,
        "values": st.lists(numbers, max_size=3),
        "first": st.lists(numbers, max_size=3),
        "partition": st.fixed_dictionaries(
            {"total": numbers, "parts": numbers}, optional={"min": numbers, "step": numbers}
        ),
        "when": st.dictionaries(
            st.sampled_from(["sample.sampler", "sample.eta", "model.heads", "x"]), numbers, max_size=2
        ),
    },
)
PATHS = ["sample.sampler", "sample.eta", "sample.steps", "model.heads", "train.batch_size", "train.learning_rate"]


@pytest.mark.slow
@few
@given(
    st.dictionaries(st.sampled_from(PATHS), spaces, max_size=4),
    st.fixed_dictionaries({"name": st.sampled_from(["grid", "random", "optuna"])}, optional={"num_trials": numbers}),
    st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from(PATHS), numbers, max_size=2), max_size=3),
    st.sampled_from(["each", "cumulative", "grid"]),
)
def test_any_search(check: Check, parameters: Any, searcher: Any, arms: Any, arms_mode: str) -> None:
    check(
        json.dumps(
            {**GOOD, "parameters": parameters, "searcher": searcher, "arms": arms, "arms_mode": arms_mode}
        ).encode()
    )
