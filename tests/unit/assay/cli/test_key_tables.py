"""`assay schema --markdown`: the keys of a sweep file, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from assay.cli.commands.key_tables import ELSEWHERE, key_tables
from assay.sweep.json_schema import json_schema
from toy_workload import workload


@pytest.fixture(scope="module")
def schema() -> Mapping[str, Any]:
    return json_schema([workload])


def test_every_key_of_every_section_is_a_row_that_says_what_it_is(schema: Mapping[str, Any]) -> None:
    lines = key_tables(schema).splitlines()
    parts = [schema, *(part for name, part in schema["$defs"].items() if name not in ELSEWHERE and "." not in name)]
    for part in parts:
        for name, key in part.get("properties", {}).items():
            assert key.get("description"), f"{name} has no description"
            assert any(line.startswith(f"| `{name}` | ") for line in lines), name
    assert all(line.count(" | ") >= 3 for line in lines if line.startswith("| `"))


def test_what_a_key_takes_is_in_words(schema: Mapping[str, Any]) -> None:
    text = key_tables(schema)
    for row in (
        "| `version` | `1` | required |",
        "| `arms_mode` | `each`, `cumulative`, `grid` | `each` |",
        "| `mode` | `min`, `max` |  |",
        "| `seeds` | a list of integers ≥ 0 | `[0]` |",
        "| `workers` | an integer ≥ 1 or [min, max] | `1` |",
        "| `hours` | a number > 0 |  |",
        "| `max` | an integer ≥ 1 |  | Left out: the total. |",
    ):
        assert row in text


def test_sections_are_named_by_their_place(schema: Mapping[str, Any]) -> None:
    titles = [line.removeprefix("### ") for line in key_tables(schema).splitlines() if line.startswith("### ")]
    assert titles[:3] == ["`parameters.PATH`", "`parameters.PATH.partition`", "`searcher`"]
    assert {"`report.plots[]`", "`notify[].webhook`", "`resources.train`"} <= set(titles)


def test_the_command_prints_them(assay: Callable[..., Any]) -> None:
    result = assay("schema", "toy", "--markdown")
    assert (result.code, result.err) == (0, "")
    assert "| `v100_days` | a number > 0 |" in result.out
