"""The inline executor keeps the contract of executors, and names of executors are the registry's."""

from __future__ import annotations

from pathlib import Path

import pytest

import assay
import toy_workload
from assay.errors import UserError
from assay.execution.executors import EXECUTORS
from assay.home import Home
from assay.sweep import Sweep
from executor_contract import ExecutorContract
from installed import install


class TestInline(ExecutorContract):
    name = "inline"


ECHO = """\
from assay.execution.executors import ExecutorFacts
from assay.execution.inline import InlineExecutor

FACTS = ExecutorFacts("echoing:Echo", is_in_process=True)


class Echo(InlineExecutor):
    def run(self, plan, *rest):
        print("computing", plan.sweep.name)
        super().run(plan, *rest)
"""


@pytest.fixture
def sweep() -> Sweep:
    head = {"version": 1, "name": "small", "workload": "toy", "base": "tiny", "metric": "distance", "mode": "min"}
    made = Sweep.model_validate(head)
    made._workload = toy_workload.Quick()
    return made


def test_an_installed_package_adds_an_executor(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, monkeypatch, "echoing", ECHO, {"assay.executors": "echo = echoing:FACTS"})
    outcome = assay.run(sweep, Home(tmp_path / "home"), executor="echo")
    assert outcome.trials[0].metrics["distance"] == 1.0
    assert capsys.readouterr().out == "computing small\n"
    with pytest.raises(
        UserError, match=r"^executor: got 'ecko', allowed: 'ray', 'inline', 'echo'; did you mean 'echo'"
    ):
        assay.run(sweep, Home(tmp_path / "home"), executor="ecko")


def test_facts_of_executors_import_no_ray() -> None:
    assert {name: EXECUTORS[name].is_in_process for name in ("ray", "inline")} == {"ray": False, "inline": True}


def test_the_command_line_lists_the_executors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from assay.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["run", "nothing", "--executor", "inlin"]) == 2
    told = capfd.readouterr().err
    assert told == "--executor: got 'inlin', allowed: 'ray', 'inline'; did you mean 'inline'?\n"
