"""Names, descriptions and causes that a terminal, a page, a spreadsheet or Markdown would obey are shown as text."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from assay.cli.display import LiveDisplay
from assay.execution import Event
from assay.report.tables.grids import Terminal
from assay.report.tables.neutral import csv_cell, csv_text, markdown, markdown_row

SWEEP = r"""
version: 1
name: norms
description: "\e[2J\0 <script>alert(1)</script> \u202Egnp [bold]x[/nope]"
workload: toy
base: tiny
arms:
  "\e[31mred\e[0m\0\x07": {model.norm: adagn}
  "=HYPERLINK(\"http://evil\")|`x`<script>alert(1)</script>": {model.norm: add}
  "\u202Edrow\nassay: all is well\r[/] :smile: $x_{$": {train.batch: 4}
metric: distance
mode: min
"""
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)


@pytest.fixture
def hostile(project: Path) -> Path:
    (project / "sweeps" / "norms.yaml").write_text(SWEEP)
    return project


@pytest.mark.slow
def test_a_sweep_of_hostile_names_runs_and_is_shown_as_text_everywhere(
    hostile: Path, assay: Callable[..., SimpleNamespace]
) -> None:
    folder = hostile / ".assay" / "reports" / "norms"
    commands = [("run", "norms", "--plain"), ("plan", "norms"), ("show", "norms"), ("show", "norms:0"), ("ls",)]
    commands += [("compare", "norms"), ("compare", "norms", "--csv"), ("compare", "norms", "--cost"), ("run", "norms")]
    shown = {}
    for command in commands:
        result = assay(*command)
        assert result.code == 0, result.err
        assert not OBEYED.search(result.out + result.err), command
        assert not re.search(r"^\W*assay: all is well", result.out, re.MULTILINE), command
        shown[command] = result.out
    assert r"\x1b[31mred\x1b[0m\x00\x07" in shown["plan", "norms"].replace("\n", "")
    assert "[bold]x[/nope]" in shown["plan", "norms"]
    assert ":smile:" in shown["run", "norms", "--plain"]

    page = (folder / "report.html").read_text()
    assert "script" not in Tags(page).found
    assert "&lt;script&gt;" in page
    assert not OBEYED.search(page)

    table = pd.read_csv(folder / "table.csv")
    assert len(table) == 3
    assert table["distance"].dtype == float
    assert sorted(name[:3] for name in table["trial"]) == ["'=H", "\\u2", "\\x1"]
    assert len(pd.read_csv(folder / "cost.csv")) > 3

    text = (folder / "table.md").read_text()
    assert not OBEYED.search(text)
    assert "<script" not in re.sub(r"\\.", "", text)
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")]
    assert len(set(bars)) == 1, "no cell was split"
    json.loads((folder / "report.json").read_text())


def test_the_live_display_shows_names_and_warnings_as_text() -> None:
    out = io.StringIO()
    display = LiveDisplay(Terminal(file=out, width=100, color_system=None))
    display.event(Event("warning", message="\x1b]0;title\x1b[2Jwiped [red]x[/]"))
    assert out.getvalue() == "! \\x1b]0;title\\x1b[2Jwiped [red]x[/]\n"


def test_a_failure_is_told_as_text(hostile: Path, assay: Callable[..., SimpleNamespace]) -> None:
    refusal = '"\\e[2J <script>x</script> |"'
    (hostile / "sweeps" / "norms.yaml").write_text(SWEEP.replace("train.batch: 4", f"train.refuse: {refusal}"))
    result = assay("run", "norms", "--plain")
    assert result.code != 0
    assert "<script>x</script>" in result.out + result.err
    assert not OBEYED.search(result.out + result.err)


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "＝1", " =1", "\xa0@a", "-a", "+"]
)
def test_text_that_a_spreadsheet_would_compute_is_text(text: str) -> None:
    assert csv_cell(text) == f"'{text}"
    assert csv_text([text], [{text: text}]).startswith(("'", "\"'"))


def test_tabs_and_line_ends_that_hide_a_formula_are_spelled_out() -> None:
    assert csv_cell("\t=1") == "\\t=1"
    assert csv_cell("\r=1") == "\\r=1"
    assert csv_cell("\n=1") == "\\n=1"


def test_numbers_stay_numbers() -> None:
    read = pd.read_csv(io.StringIO(csv_text(["a", "b", "c"], [{"a": -0.5, "b": None, "c": "-0.5"}])))
    assert read["a"][0] == -0.5
    assert pd.isna(read["b"][0])
    assert read["c"][0] == -0.5
    for kept in ("AdaGN + attention", "1e-4", "-1e-4", "+3", "a=b", ""):
        assert csv_cell(kept) == kept


def test_markdown_is_made_of_no_name() -> None:
    for name in (
        "a|b",
        "`rm`",
        "[x](http://evil)",
        "<img src=x>",
        "**b**",
        "_i_",
        "&lt;",
        "~~s~~",
        "# h",
        "me@evil.org",
    ):
        for mark in re.findall(r"(?<!\\)[|`\[\]<*&~#@]|(?<!\\)://", markdown(name)):
            assert mark == "://", (name, markdown(name))
    assert markdown("http://evil www.evil") == "http\\://evil www\\.evil"
    assert markdown("fd_classifier, scale 0.5") == "fd_classifier, scale 0.5"
    assert markdown_row(["a|b", "c\nd"]) == "| a\\|b | c\\\\nd |"
