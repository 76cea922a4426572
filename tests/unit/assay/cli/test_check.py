"""`assay check WORKLOAD`: what an author is told before a sweep of her workload runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repository import FIXTURES

Assay = Callable[..., Any]
Install = Callable[..., str]
GOOD = """\
ok   presets: 2 of 2 have stages
ok   bodies: 3 import paths resolve
ok   smoke: 3 stages in """


@pytest.fixture
def install(project: Path, site: Path, tmp_path: Path) -> Install:
    """Install the workload of steps in a module of its own, since one is imported once a process, with edits (old,
    new); returns the module's name."""

    def make(*edits: tuple[str, str]) -> str:
        module, text = tmp_path.name, (FIXTURES / "steps_workload.py").read_text()
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        (site / f"{module}.py").write_text(text.replace("steps_workload:", f"{module}:"))
        info = site / "steps-1.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: steps\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[assay.workloads]\nsteps = {module}:workload\n")
        return module

    return make


@pytest.mark.slow
def test_a_good_workload_is_a_line_a_question_and_leaves_nothing_behind(
    assay: Assay, install: Install, project: Path
) -> None:
    install()
    before = sorted(project.rglob("*"))
    result = assay("check", "steps")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(GOOD)
    assert "error 3." in result.out.splitlines()[-1], "the metrics of its smoke"
    assert sorted(project.rglob("*")) == before
    told = json.loads(assay("check", "steps", "--json").out)
    assert [(finding["status"], finding["what"]) for finding in told] == [
        ("ok", "presets"),
        ("ok", "bodies"),
        ("ok", "smoke"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "status", "says"),
    [
        (
            '"long": Config()',
            '"long": Config().model_copy(update={"num_rows": 0})',
            "fail",
            "preset long: num_rows: got",
        ),
        ('kind="map"', 'kind="mpa"', "fail", "preset short: workload steps, stage rows: kind: got 'mpa', allowed:"),
        ("version=1,", "version=1 // 0,", "fail", "preset short: ZeroDivisionError: integer division or modulo"),
        ("steps_workload:Rows", "steps_workload:Row", "fail", "has no Row"),
        ("steps_workload:Rows", "steps_workload:Budget", "fail", "smoke, stage rows: TypeError: "),
        (
            'metrics=("error",)',
            'metrics=("error", "fid")',
            "fail",
            "smoke: metrics() declares fid, which the last stage",
        ),
        (
            'metrics=("error",)',
            'metrics=("error",), sample_grid="a.png"',
            "fail",
            "smoke: report.sample_grid is a.png, ",
        ),
        ('metrics=("error",)', 'metrics=("error",), count="n"', "fail", "smoke: report.count is n, which the last "),
        ('metrics=("error",)', 'metrics=("error",), comparable=("n",)', "fail", "smoke: report.comparable names n, "),
        ("    import torch\n", "    1 / 0\n", "fail", "smoke, stage train: ZeroDivisionError: division by zero ("),
        ('"num_rows": 5}', '"num_row": 5}', "fail", "smoke: num_row: unknown config path; did you mean 'num_rows'?"),
        ("class Config(", "import jax\n\n\nclass Config(", "warn", "planning: imports jax, which takes seconds"),
    ],
)
def test_a_mistake_is_one_line(
    assay: Assay,
    install: Install,
    site: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    status: str,
    says: str,
) -> None:
    (site / "jax.py").touch()  # nobody has imported it yet
    monkeypatch.setitem(sys.modules, "jax", None)  # so that what is imported here goes with the test
    monkeypatch.delitem(sys.modules, "jax")
    install((old, new))
    result = assay("check", "steps")
    assert result.code == int(status == "fail"), result.out
    assert "Traceback" not in result.out + result.err
    assert any(line.startswith(status) and says in line for line in result.out.splitlines()), result.out


def test_what_a_body_prints_is_no_part_of_the_answer(assay: Assay, install: Install) -> None:
    install(("    import torch\n", "    import torch\n\n    print('hello')\n"))
    result = assay("check", "steps", "--json")
    assert [finding["status"] for finding in json.loads(result.out)] == ["ok", "ok", "ok"]
    assert result.err == "hello\n"


def test_a_workload_that_is_not_installed_is_a_mistake_in_what_was_asked(assay: Assay) -> None:
    result = assay("check", "tyo")
    assert (result.code, result.out, result.err) == (2, "", "unknown workload 'tyo'; did you mean 'toy'?\n")
