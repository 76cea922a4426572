"""What a workload warns of before a run is told by validate, plan, the run and its report: once, with its trials."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import assay as platform
import toy_workload
from assay.errors import AssayWarning, NotHere
from assay.planning import check_where_stages_run, checked, make_plan
from assay.planning.checks import findings

pytestmark = pytest.mark.slow

Assay = Callable[..., Any]
ODD = "norm add is odd (in trial 'addition, scale 0.0' and 1 more)"
SCALED = "scale 1.0 is large (in trial 'AdaGN, scale 1.0' and 1 more)"
DATA = "3 files are not read"
WARNED = [ODD, "everything is small", SCALED, DATA]


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy warns while it resolves, makes stages and checks them."""
    resolve, stages = toy_workload.Toy.resolve, toy_workload.Toy.stages

    def resolve_and_warn(self: Any, base: str, overrides: Mapping[str, Any]) -> Mapping[str, Any]:
        config = resolve(self, base, overrides)
        if config["model"]["norm"] == "add":
            warnings.warn("norm add is odd", AssayWarning, stacklevel=2)
        return config

    def stages_and_warn(self: Any, config: Mapping[str, Any]) -> Any:
        warnings.warn("everything is small", AssayWarning, stacklevel=2)
        if config["sample"]["scale"]:
            warnings.warn(f"scale {config['sample']['scale']} is large", AssayWarning, stacklevel=2)
        return stages(self, config)

    def check(config: Mapping[str, Any]) -> None:
        warnings.warn(DATA, AssayWarning, stacklevel=2)

    monkeypatch.setattr(toy_workload.Toy, "resolve", resolve_and_warn)
    monkeypatch.setattr(toy_workload.Toy, "stages", stages_and_warn)
    monkeypatch.setattr(toy_workload, "check_train", check)


@pytest.mark.usefixtures("warned")
class TestWarnings:
    @pytest.mark.parametrize("command", ["validate", "plan"])
    def test_they_are_told_before_a_run(self, assay: Assay, command: str) -> None:
        result = assay(command, "norms")
        assert result.code == 0
        assert sorted(result.err.splitlines()) == sorted(f"warning: {message}" for message in WARNED)
        as_json = assay(command, "norms", "--json")
        assert sorted(json.loads(as_json.out)["warnings"]) == sorted(WARNED)
        assert as_json.err == ""

    def test_scripts_have_them_with_their_trials(self, assay: Assay) -> None:
        plan = platform.plan(platform.load_sweep("sweeps/norms.yaml"))
        assert sorted(plan.warnings) == sorted(WARNED)
        trials = {warned.message: warned.trials for warned in plan.warned}
        assert trials["norm add is odd"] == ("addition, scale 0.0", "addition, scale 1.0")

    def test_a_run_tells_each_once_before_it_starts_and_its_page_keeps_them(self, assay: Assay, project: Path) -> None:
        out = assay("run", "norms", "--plain").out
        for message in WARNED:
            assert out.count(message) == 1
            assert out.index(message) < out.index("started")
        page = project / ".assay/reports/norms/report.html"
        first = page.read_text()
        assert "norm add is odd (in trial" in first
        assert DATA in first
        again = assay("run", "norms", "--plain")
        assert again.out.count(DATA) == 1
        assert page.read_text() == first
        assert assay("report", "norms").code == 0
        assert page.read_text() == first

    def test_many_trials_are_planned_in_part(self, assay: Assay, project: Path) -> None:
        file = project / "sweeps/norms.yaml"
        file.write_text(file.read_text().replace("{values: [0.0, 1.0]}", "{min: 0.0, max: 1.0, num: 600}"))
        result = assay("validate", "norms")
        assert (result.code, result.err.count(DATA)) == (0, 1)
        assert "the stages of the first 100" in result.out


class TestRefusals:
    @pytest.mark.parametrize("command", ["validate", "plan"])
    def test_what_checks_refuse_is_refused_at_its_line(self, assay: Assay, project: Path, command: str) -> None:
        file = project / "sweeps/norms.yaml"
        file.write_text(file.read_text().replace("{model.norm: add}", "{model.norm: add, train.refuse: no GPU}", 1))
        result = assay(command, "norms")
        assert (result.code, result.out) == (2, "")
        assert result.err.splitlines() == [
            "sweeps/norms.yaml:8: arms.addition.train.refuse: train: train.refuse: got 'no GPU', allowed: nothing"
        ]

    def test_a_value_that_is_quoted_is_found_as_well(self, assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
        def check(config: Mapping[str, Any]) -> None:
            raise toy_workload.UserError(f"{config['gates']}/0_1.png is no image")

        monkeypatch.setattr(toy_workload, "check_train", check)
        result = assay("validate", "norms", "--set", "train.gates=pictures")
        assert result.code == 2
        assert result.err == "--set train.gates=pictures: train.gates: train: pictures/0_1.png is no image\n"

    def test_what_is_not_here_may_be_where_stages_run(self, assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
        def check(config: Mapping[str, Any]) -> None:
            raise NotHere("no such folder: pictures")

        monkeypatch.setattr(toy_workload, "check_train", check)
        planned = assay("plan", "norms")
        assert (planned.code, planned.err) == (
            0,
            "warning: no such folder: pictures; a run needs it where its stages run\n",
        )
        run = assay("run", "norms")
        assert run.code == 2
        assert run.err.splitlines() == ["train: no such folder: pictures", "Nothing was started."]

    def test_what_is_not_installed_here_may_be_installed_there(
        self, assay: Assay, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def check(config: Mapping[str, Any]) -> None:
            import gone_package  # noqa: F401

        monkeypatch.setattr(toy_workload, "check_train", check)
        result = assay("validate", "norms")
        assert result.code == 0
        assert "its check toy_workload:check_train needs what is not installed: No module named 'gone_pa" in result.err
        assert "needs what is not installed" in assay("run", "norms").err.splitlines()[0]

    def test_a_cluster_is_asked_what_cannot_be_seen_from_here(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = make_plan(platform.load_sweep("sweeps/norms.yaml"))

        def check(config: Mapping[str, Any]) -> None:
            if config["norm"] == "add":
                raise NotHere("no such folder: pictures")
            warnings.warn(DATA, AssayWarning, stacklevel=2)

        monkeypatch.setattr(toy_workload, "check_train", check)
        assert checked(plan, absence="left").warnings == (f"{DATA} (in trial 'AdaGN, scale 0.0' and 1 more)",)
        with pytest.raises(toy_workload.UserError, match=r"^train: no such folder: pictures$"):
            check_where_stages_run(plan, [], findings)
        there = [stage.key for stage in plan.stages.values() if stage.config.get("norm") == "add"]
        assert check_where_stages_run(plan, there, findings) == [DATA]

    def test_results_that_are_stored_are_not_refused(self, assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
        assert assay("run", "norms").code == 0

        def check(config: Mapping[str, Any]) -> None:
            raise toy_workload.UserError("the data are gone")

        monkeypatch.setattr(toy_workload, "check_train", check)
        assert assay("run", "norms").code == 0
        assert assay("plan", "norms").code == 0
        assert assay("validate", "norms").code == 2
