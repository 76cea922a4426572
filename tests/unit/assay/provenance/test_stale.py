"""A stage whose code changed under the same version: said by plan and run, and computed again if asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import assay
import installed
from assay.cli import main
from assay.errors import UserError
from assay.execution.heartbeat import Heartbeat
from assay.home import Home
from assay.store import Store

CODE = """
from assay.workload import Budget, Checkpointed, Checkpointing, ReportHints, Smoke, Stage, TypedWorkload
from assay.workload.fields import PositiveInt, Section


class Config(Section):
    seed: int = 0
    scale: float = 1.0
    steps: PositiveInt = 4


class Mine(TypedWorkload[Config]):
    name = "mine"
    config_type = Config
    bases = {"small": Config()}
    report = ReportHints(metrics=("error",))
    smoke = Smoke("small", {})

    def stages_of(self, config):
        train = Stage("train", 1, "train", ("mine_bodies:train",), {"seed": config.seed},
                      budget=Budget("steps", config.steps, "steps"))
        measure = Stage("measure", 1, "reduce", ("mine_measure:measure",), {"scale": config.scale},
                        inputs={"model": train})
        return [measure]


workload = Mine()
"""
BODIES = """
def train(ctx):
    (ctx.output / "weight.txt").write_text("2.0")
    return {"loss": 1.0}
"""
MEASURE = """
from mine_tools import error


def measure(ctx):
    return {"error": error(float(ctx.inputs["model"].file("weight.txt").read_text()) * ctx.config["scale"])}
"""
TOOLS = "def error(x):\n    return abs(x - 1)\n"
SWEEP = """\
version: 1
name: mine
workload: mine
base: small
parameters: {scale: {values: [1.0, 2.0]}}
metric: error
mode: min
"""


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    installed.install(tmp_path, monkeypatch, "mine", CODE, {"assay.workloads": "mine = mine:workload"})

    def edit(module: str, code: str) -> None:
        (tmp_path / "site" / f"{module}.py").write_text(code)
        sys.modules.pop(module, None)  # the next run imports it as a new process would

    for module, code in {"mine_bodies": BODIES, "mine_measure": MEASURE, "mine_tools": TOOLS}.items():
        edit(module, code)
    for module in ("mine", "mine_bodies", "mine_measure", "mine_tools"):  # another test's, in another folder
        monkeypatch.delitem(sys.modules, module, raising=False)
    (tmp_path / "mine.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    return edit


def run(stale: str | None = None) -> tuple[set[str], list[str]]:
    """The names of the stages that were computed, and the warnings."""

    class Ears:
        def __init__(self) -> None:
            self.warnings: list[str] = []

        def begin(self, *_: object) -> None: ...

        def end(self, *_: object) -> None: ...

        def event(self, event: Any) -> None:
            if event.kind == "warning":
                self.warnings.append(event.message)

    ears = Ears()
    outcome = assay.run("mine.yaml", executor="inline", listeners=[ears], stale=stale)
    return {outcome.plan.stages[key].name for key in outcome.computed}, ears.warnings


def planned(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["plan", "mine.yaml", "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def test_one_changed_line_is_told_with_its_module_and_nothing_is_lost(
    edit: Callable[[str, str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run() == ({"train", "measure"}, [])
    assert planned(capfd)["warnings"] == []
    edit("mine_measure", MEASURE.replace('* ctx.config["scale"]', '* ctx.config["scale"] + 1'))
    (warning,) = planned(capfd)["warnings"]
    assert warning.startswith("measure: the code changed since this was stored, but the version of the stage did not")
    assert "mine_measure" in warning
    assert "mine_bodies" not in warning
    changed = {each["stage"]: each["changed_modules"] for each in planned(capfd)["stages"]}
    assert changed == {"train": [], "measure": ["mine_measure"]}
    computed, warnings = run()
    assert computed == set()
    assert warnings == [warning]
    assert run("keep") == (set(), [])


def test_what_changed_is_computed_again_with_all_that_reads_it(edit: Callable[[str, str], None]) -> None:
    run()
    edit("mine_bodies", BODIES.replace("2.0", "30.0"))
    computed, (warning,) = run("recompute")
    assert computed == {"train", "measure"}
    assert warning == "set aside, to be computed again, since code changed (mine_bodies): train (1), measure (2)"
    assert run("recompute") == (set(), [])
    assert run() == (set(), [])
    assert main(["doctor"]) == 0


def test_another_sweep_that_read_what_was_computed_again_is_told_of_it(
    edit: Callable[[str, str], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.yaml").write_text(SWEEP.replace("name: mine", "name: other").replace("[1.0, 2.0]", "[3.0]"))
    assert not assay.run("other.yaml", executor="inline").failed
    run()
    edit("mine_bodies", BODIES.replace("2.0", "30.0"))
    run("recompute")
    assert main(["plan", "other.yaml", "--json"]) == 0
    (warning,) = json.loads(capfd.readouterr().out)["warnings"]
    assert warning.startswith("measure: train was computed again after this had read it, and became another.")
    assert not assay.run("other.yaml", executor="inline", stale="recompute").failed
    assert main(["plan", "other.yaml", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["warnings"] == []


def test_what_another_run_uses_is_not_taken_from_it(edit: Callable[[str, str], None]) -> None:
    run()
    edit("mine_bodies", BODIES.replace("2.0", "30.0"))
    store, plan = Store(Home.default().store_url), assay.plan("mine.yaml")
    other = Heartbeat(plan.sweep, store, Home.default())
    other.uses(plan)
    before = store.known()
    with pytest.raises(UserError, match="mine uses the same stages now"):
        run("recompute")
    assert store.known() == before
    other.close()
    assert run("recompute")[0] == {"train", "measure"}


def test_a_module_that_a_body_imports_counts_and_its_comments_do_not(edit: Callable[[str, str], None]) -> None:
    edit("mine_measure", MEASURE)
    run()
    edit("mine_tools", f"# how far off\n{TOOLS}")
    assert run() == (set(), [])


def test_another_choice_is_refused_with_the_allowed_ones(
    edit: Callable[[str, str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "mine.yaml", "--stale", "kep"]) == 2
    assert "--stale: got 'kep', allowed: 'keep', 'recompute'" in capfd.readouterr().err


def test_a_result_tells_where_it_comes_from(
    edit: Callable[[str, str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "mine.yaml", "--executor", "inline", "--no-tracking"]) == 0
    store = Store(Home.default().store_url)
    for result in store.results():
        (name,) = result.provenance.origins
        origin = store.origin(name)
        assert origin is not None
        assert "mine_bodies" in origin.modules
        assert result.provenance.hosts == {origin.host}
    capfd.readouterr()
    assert main(["show", result.key]) == 0
    assert f"by                 {origin.user} on {origin.host}" in capfd.readouterr().out
