"""Bodies that break the protocol of a workload: a line of what was expected, in their own trial alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import assay
import odd_workload
from assay.errors import UserError
from assay.execution import Outcome
from assay.home import Home
from assay.planning import make_plan
from assay.report import write
from assay.sweep import Sweep, load_sweep
from assay.text import one_line

SWEEP = """\
version: 1
name: odd
workload: odd
base: one
parameters:
  odd: {{values: {values}}}
metric: total
mode: min
"""


def sweep_of(folder: Path, *values: str) -> Sweep:
    file = folder / "odd.yaml"
    file.write_text(SWEEP.format(values=list(values)))
    return load_sweep(file, find_workload=lambda name: odd_workload.workload)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One run of all of them, beside a trial in which nothing is odd."""
    folder = tmp_path_factory.mktemp("odd")
    return assay.run(sweep_of(folder, "", *odd_workload.BREACHES), Home(folder / "home"), executor="inline")


@pytest.mark.parametrize("odd", odd_workload.BREACHES)
def test_a_breach_is_a_line_that_names_stage_and_body_and_what_was_expected(outcome: Outcome, odd: str) -> None:
    stage, said = odd_workload.BREACHES[odd]
    (trial,) = (t for t in outcome.trials if t.planned.trial.config["odd"] == odd)
    assert trial.error is not None
    assert trial.error.stage == stage
    line = one_line(trial.error.cause)
    (path,) = next(s.body for s in trial.planned.stages if s.name == stage)
    assert f"stage {stage}: its body {path} " in line
    assert said in line
    assert "expected " in line


def test_other_trials_go_on_and_the_table_and_the_report_appear(outcome: Outcome, tmp_path: Path) -> None:
    good = outcome.trials[0]
    assert good.metrics == {"total": 6.0}
    assert len(outcome.failed) == len(odd_workload.BREACHES)
    written = write(outcome.plan, outcome.trials, tmp_path, outcome.computed)
    assert written.page.exists()
    assert sum(row.failure is not None for row in written.table.rows) == len(odd_workload.BREACHES)


@pytest.mark.parametrize("odd", odd_workload.LEAVES)
def test_a_graph_that_cannot_be_run_is_refused_before_anything_is(odd: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^workload odd") as refused:
        make_plan(sweep_of(tmp_path, odd))
    assert "\n" not in str(refused.value)
    assert "expected" in str(refused.value) or "allowed" in str(refused.value)
