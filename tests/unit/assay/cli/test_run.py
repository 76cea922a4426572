"""`assay run`: what is printed, what is written, and the exit code."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import assay as api
from assay.execution import Event

pytestmark = pytest.mark.slow

Assay = Callable[..., Any]


def test_a_run_prints_the_ranked_table_and_where_everything_is(assay: Assay, project: Path) -> None:
    result = assay("run", "norms")
    assert result.code == 0, result.err
    rows = [line for line in result.out.splitlines() if "computed" in line]
    assert [row.split()[0] for row in rows] == ["best", "2", "3", "4"]
    assert "AdaGN, scale 0.0" in rows[0]
    assert "13.06" in rows[0], "the paper's number stands beside ours"
    assert "addition, scale 1.0" in rows[3]
    assert "one seed" in result.out
    assert "picture: .assay/reports/norms/samples.png" in result.out
    written = {path.name for path in (project / ".assay/reports/norms").iterdir()}
    assert {"samples.png", "curves.png", "table.csv", "table.md", "AdaGN-scale-0.0.png"} <= written


def test_progress_is_lines_when_stdout_is_no_terminal(assay: Assay) -> None:
    out = assay("run", "norms").out
    assert "train (AdaGN) started" in out
    assert "train (AdaGN) done: 20 iterations in" in out
    assert "evaluate (addition, scale 1.0) done" in out
    assert "\x1b" not in out


def test_a_second_run_computes_nothing_and_prints_the_same_numbers(assay: Assay) -> None:
    first, second = assay("run", "norms", "--json"), assay("run", "norms", "--json")
    assert second.code == 0
    assert "11 of 11 stages are stored already" in second.err
    assert "started" not in second.err
    before, after = json.loads(first.out)["trials"], json.loads(second.out)["trials"]
    assert [t["metrics"] for t in before] == [t["metrics"] for t in after]
    assert [t["seconds"] for t in before] == [t["seconds"] for t in after]
    assert {t["status"] for t in before} == {"computed"}
    assert {t["status"] for t in after} == {"cached"}


def test_a_changed_arm_names_what_was_computed_for_it(assay: Assay, project: Path) -> None:
    assay("run", "norms")
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("[0.0, 1.0]", "[0.0, 2.0]"))
    trials = json.loads(assay("run", "norms", "--json").out)["trials"]
    assert {t["trial"]: t["status"] for t in trials} == {
        "AdaGN, scale 0.0": "cached",
        "AdaGN, scale 2.0": "computed: sample, evaluate",
        "addition, scale 0.0": "cached",
        "addition, scale 2.0": "computed: sample, evaluate",
    }


def test_json_is_all_that_stdout_carries(assay: Assay, project: Path) -> None:
    result = assay("run", "norms", "--json")
    report = json.loads(result.out)
    assert report["sweep"] == "norms"
    best = report["trials"][0]
    assert best["trial"] == "AdaGN, scale 0.0"
    assert best["rank"] == 1
    assert best["metrics"] == {"distance": 1.0, "precision": 0.5, "num_samples": 12.0}
    assert best["reference"] == {"distance": 13.06}
    assert best["varied"] == {"model.norm": "adagn", "sample.scale": 0.0}
    assert all(Path(picture).is_file() for picture in report["pictures"])


def test_a_failed_stage_fails_its_trials_alone_and_keeps_its_traceback(assay: Assay, project: Path) -> None:
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("{model.norm: add}", "{model.norm: add, train.fail: true}"))
    result = assay("run", "norms")
    assert result.code == 1
    assert "best" in result.out
    failed = [line for line in result.out.splitlines() if line.startswith("addition, scale")]
    assert len(failed) == 2
    (log,) = (project / ".assay/reports/norms/errors").iterdir()
    for line in failed:
        assert "stage train failed: RuntimeError: the loss is not a number" in line
        assert f"errors/{log.name}" in line
    assert log.name.startswith("train-")
    assert "Traceback" in log.read_text()
    assert "Traceback" not in result.out + result.err
    statuses = [t["status"] for t in json.loads(assay("run", "norms", "--json").out)["trials"]]
    assert statuses == ["cached", "cached", "failed: train", "failed: train"]


def test_a_mended_failure_takes_its_log_away(assay: Assay, project: Path) -> None:
    assert assay("run", "norms", "--set", "sample.fail=true").code == 1
    assert list((project / ".assay/reports/norms/errors").iterdir())
    assert assay("run", "norms").code == 0
    assert not list((project / ".assay/reports/norms/errors").iterdir())


def test_a_cause_of_several_lines_is_told_in_one(assay: Assay) -> None:
    trials = json.loads(assay("run", "norms", "--set", "sample.fail=true", "--json").out)["trials"]
    assert trials[0]["failure"]["cause"] == "ValueError: cannot draw:"
    assert trials[0]["failure"]["stage"] == "sample"


def test_a_profile_has_a_report_of_its_own(assay: Assay, project: Path) -> None:
    assay("run", "norms", "--profile", "smoke")
    assert (project / ".assay/reports/norms@smoke/table.csv").is_file()
    assert not (project / ".assay/reports/norms").exists()


def test_pictures_of_arms_that_are_gone_are_removed(assay: Assay, project: Path) -> None:
    assay("run", "norms")
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("[0.0, 1.0]", "[0.0]"))
    mine = project / ".assay/reports/norms/mine.png"
    Image.new("L", (1, 1)).save(mine)
    assay("run", "norms")
    folder = project / ".assay/reports/norms"
    assert not (folder / "AdaGN-scale-1.0.png").exists()
    assert (folder / "AdaGN-scale-0.0.png").exists() or (folder / "AdaGN.png").exists()
    assert mine.exists(), "what the report did not write is not its to remove"


def test_csv_has_full_precision_and_says_whose_numbers_they_are(assay: Assay, project: Path) -> None:
    assay("run", "norms")
    with (project / ".assay/reports/norms/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["distance"]) == 1.0
    assert [row["paper's distance (table 3)"] for row in rows] == ["13.06", "13.06", "", "15.08"]


def test_asked_for_plots_are_drawn(assay: Assay, project: Path) -> None:
    with (project / "sweeps/norms.yaml").open("a") as file:
        file.write("report:\n  plots:\n")
        for kind, x in (("bar", "sample.scale"), ("line", "sample.scale"), ("scatter", "model.norm")):
            file.write(f"    - {{kind: {kind}, x: {x}, y: distance}}\n")
        file.write("    - {kind: scatter, x: v100_days, y: distance}\n")  # unknown, of this machine
    report = json.loads(assay("run", "norms", "--json").out)
    assert len(report["pictures"]) == 5, "samples, curves and the three plots that have points"


def test_a_damaged_result_is_told_and_computed_again(assay: Assay, project: Path) -> None:
    first = json.loads(assay("run", "norms", "--json").out)
    grid = next((project / ".assay/store/results").glob("*/*/samples.png"))
    grid.write_bytes(b"not what was committed")
    second = assay("run", "norms", "--json")
    assert "warning: stored result" in second.err
    assert json.loads(second.out)["trials"][0]["metrics"] == first["trials"][0]["metrics"]
    assert json.loads(second.out)["computed"] == 1


def test_python_has_the_same_verbs(project: Path) -> None:
    sweep = api.load_sweep("sweeps/norms.yaml", sets=["train.iterations=5"])
    plan = api.plan(sweep)
    assert len(plan.trials) == 4
    seen: list[str] = []

    class Ears:
        def begin(self, plan: object, before: object, stored: object) -> None:
            seen.append("begin")

        def event(self, event: Event) -> None:
            seen.append(event.kind)

        def end(self, outcome: object) -> None:
            seen.append("end")

    outcome = api.run(sweep, executor="inline", listeners=[Ears()])
    assert [trial.metrics["distance"] for trial in outcome.trials] == [1.0, 2.0, 2.0, 3.0]
    assert seen[0] == "begin"
    assert seen[-1] == "end"
    assert api.run(plan, executor="inline").computed == frozenset()


def test_the_tracker_gets_the_report_and_its_warnings_are_shown(
    assay: Assay, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from assay import tracking
    from assay.cli import main

    given: dict[str, Any] = {}

    class Tracker:
        def __init__(self, home: object, warn: Callable[[str], None]) -> None:
            self.warn = warn

        def begin(self, plan: object, before: object, stored: object) -> None: ...

        def event(self, event: Event) -> None: ...

        def end(self, outcome: object, report: Path) -> None:
            given["pictures"] = sorted(path.name for path in report.glob("*.png"))
            self.warn("MLflow is down")

    monkeypatch.setattr(tracking, "Tracker", Tracker)
    assert main(["run", "norms", "--executor", "inline"]) == 0
    out = capfd.readouterr().out
    assert "samples.png" in given["pictures"]
    assert "warning: MLflow is down" in out
    assert out.rstrip().endswith(" ui"), "the line that opens MLflow comes last"


def test_a_cluster_that_is_not_there_is_a_user_error_at_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from assay import tracking
    from assay.cli import main

    aborted = []

    class Tracker:
        def __init__(self, home: object, warn: object) -> None: ...

        def begin(self, plan: object, before: object, stored: object) -> None: ...

        def abort(self) -> None:
            aborted.append(True)

    monkeypatch.setattr(tracking, "Tracker", Tracker)
    assert main(["run", "norms", "--address", "127.0.0.1:1"]) == 2
    err = capfd.readouterr().err
    assert "no Ray cluster at '127.0.0.1:1'" in err
    assert "Traceback" not in err
    assert aborted, "no run is left RUNNING in MLflow"


def test_a_store_that_cannot_be_written_to_is_told_once_and_nothing_is_started(assay: Assay, project: Path) -> None:
    (project / ".assay" / "store").mkdir(parents=True)
    (project / ".assay" / "store" / "staging").write_text("in the way")
    result = assay("run", "norms")
    assert result.code == 3
    assert result.err.startswith("assay: cannot write to the store"), result.err
    assert "started" not in result.out


@pytest.mark.parametrize("command", [["run", "norms"], ["plan", "norms"], ["ls"], ["compare", "norms"]])
def test_a_file_where_the_store_should_be_is_told_in_one_line(assay: Assay, project: Path, command: list[str]) -> None:
    (project / ".assay").mkdir()
    (project / ".assay" / "store").write_text("a file")
    result = assay(*command)
    assert result.code == 3
    assert result.err.startswith("assay: cannot read the store"), result.err
    assert len(result.err.splitlines()) == 1


def test_a_report_that_cannot_be_written_costs_no_result(assay: Assay, project: Path) -> None:
    (project / ".assay").mkdir()
    (project / ".assay" / "reports").write_text("in the way")
    result = assay("run", "norms")
    assert result.code == 3
    assert "cannot write the report" in result.err
    assert "Traceback" not in result.err
    assert "paper's: table 3" in result.out, "the table is printed all the same"
    assert "AdaGN" in assay("compare", "norms").out


def test_what_a_stage_says_it_chose_is_told_once_and_kept(assay: Assay, project: Path) -> None:
    out = assay("run", "norms").out
    assert out.count("train (AdaGN): batch 4") == 1
    shown = assay("show", "norms:0").out
    key = next(line.split()[1] for line in shown.splitlines() if line.split()[:1] == ["train"])
    assert "notes\n  batch              4\n  workers            1\n" in assay("show", key).out
    record = json.loads(assay("show", key, "--json").out)
    assert record["notes"] == {"batch": 4, "workers": 1}


def test_what_was_left_to_choose_is_shown_as_it_was_chosen(assay: Assay) -> None:
    assay("run", "norms")
    stages = json.loads(assay("ls", "--json").out)["stages"]
    key = next(stage["key"] for stage in stages if stage["stage"] == "train")
    assert "batch: 4  # asked: auto" in assay("show", key).out
    record = json.loads(assay("show", key, "--json").out)
    assert (record["config"]["batch"], record["asked"]) == (4, {"batch": "auto"})
    assert "chosen at run time\n  train              batch 4  # asked: auto\n" in assay("show", "norms:0").out
    trial = json.loads(assay("show", "norms:0", "--json").out)
    assert (trial["config"]["train"]["batch"], trial["chosen"]) == ("auto", {"train": {"batch": 4}})


def test_what_checks_refuse_is_told_together_before_anything_is_computed(assay: Assay, project: Path) -> None:
    file = project / "sweeps/norms.yaml"
    file.write_text(
        file.read_text()
        .replace("{model.norm: adagn}", "{model.norm: adagn, train.refuse: no data}", 1)
        .replace("{model.norm: add}", "{model.norm: add, train.refuse: no GPU}", 1)
    )
    result = assay("run", "norms")
    assert result.code == 2
    assert result.err.splitlines() == [
        "sweeps/norms.yaml:7: arms.AdaGN.train.refuse: train: train.refuse: got 'no data', allowed: nothing",
        "sweeps/norms.yaml:8: arms.addition.train.refuse: train: train.refuse: got 'no GPU', allowed: nothing",
        "Nothing was started.",
    ]
    assert "started" not in result.out
    assert not (project / ".assay/store/results").exists()
