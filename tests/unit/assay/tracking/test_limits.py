"""Names, texts and numbers of any size and any characters are shown by MLflow, cleaned and shortened where need be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from assay.home import Home
from assay.planning import Plan, PlannedTrial, Rung
from assay.store import Cost
from assay.sweep import Sweep
from assay.tracking import limits
from assay.tracking.client import mlflow_client
from assay.workload import JSON, ReportHints, Stage, topological
from tracked_toy import ToyRun
from tracking_database import with_database

pytestmark = pytest.mark.slow

NAMES = ["fid@5k", "fid#5k", "loss (train)", "../up", "/rooted", "a//b", "", "tab\tbed", "ü/größe", "x" * 400]
PATHS = [f"deep.{'path' * 70}{number}[0]" for number in range(130)]
VALUES = [0.5, math.nan, math.inf, -math.inf, 1e-320, 1e308, 2.0**70]


class Wordy:
    """One stage that reports metrics of all kinds of names, and configs of many long paths."""

    name, seed_path = "wordy", "seed"
    report = ReportHints(metrics=("fid@5k",))

    def presets(self) -> Sequence[str]:
        return ["one"]

    def resolve(self, base: str, overrides: Mapping[str, JSON]) -> Mapping[str, JSON]:
        deep = dict.fromkeys(PATHS, "") | {path: value for path, value in overrides.items() if path != "seed"}
        return {"seed": 0, "deep": {path.partition(".")[2]: value for path, value in deep.items()}}

    def paths(self, base: str) -> Sequence[str]:
        return ["seed", *PATHS]

    def metrics(self, config: Mapping[str, JSON]) -> Sequence[str]:
        return NAMES

    def stages(self, config: Mapping[str, JSON]) -> Sequence[Stage]:
        return [Stage("count\x1b[31m", 1, "reduce", ("wordy:count",), dict(config["deep"]))]


class WordyRun(ToyRun):
    def compute(self, stage: Stage) -> None:
        history = [{"step": float(step), **dict.fromkeys(NAMES, value)} for step, value in enumerate(VALUES)]
        history += [{"step": 1e300, "late": 1.0}, {"step": math.nan, "never": 1.0}]
        with self.store.staging() as output:
            metrics = dict.fromkeys(NAMES, 1.0) | dict(zip(NAMES, VALUES, strict=False))
            notes = {f"chosen[{number}]": "é" * 9000 for number in range(130)}
            self.store.commit(stage, output, metrics, Cost("cpu", 1, 1.0), history, notes)
        self.computed.add(stage.key)


def make_plan(folder: Path) -> Plan:
    file = folder / "wordy.yaml"
    file.write_text("version: 1\n")
    text = "é\x00\x1b[31m" + "\u4e00" * 7000
    arms = {"plain": {}, "arm \x1b[31m\x00 <b>" + "y" * 900: {PATHS[5]: "other"}}
    parameters = {path: {"values": [text, text + "other"]} for path in PATHS[:1]}
    written = {"version": 1, "name": "wordy", "description": "word\x00 " * 5000, "workload": "wordy", "base": "one"}
    sweep = Sweep.model_validate({**written, "arms": arms, "parameters": parameters, "metric": "fid@5k", "mode": "min"})
    wordy = Wordy()
    sweep._workload, sweep._file = wordy, str(file)
    trials = tuple(PlannedTrial(t, (Rung(None, tuple(topological(wordy.stages(t.config)))),)) for t in sweep.trials())
    return Plan(sweep, trials)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """MLflow's client and the experiment, after the sweep ran and ran again."""
    folder = tmp_path_factory.mktemp("wordy")
    home, plan = with_database(Home(folder / "home")), make_plan(folder)
    assert WordyRun(home, plan).whole().warnings == []
    assert WordyRun(home, plan).whole().warnings == [], "what is logged again is the same"
    return mlflow_client(home.tracking_uri), plan


def test_everything_is_there_under_names_that_differ(shown: Any) -> None:
    client, _ = shown
    experiment = client.get_experiment_by_name("wordy")
    children = client.search_runs([experiment.experiment_id], "tags.`assay.role` = 'trial'")
    assert len(children) == 4
    for run in children:
        final = {name for name in run.data.metrics if not name.startswith(("count", "cost"))}
        assert len(final) == len(NAMES)
        assert {"ü/größe", limits.key("fid@5k"), limits.key("fid#5k")} <= final
        assert math.isnan(run.data.metrics[limits.key("fid#5k")])
        assert len([name for name in run.data.tags if name.startswith("assay.count")]) == 130
    long = next(run for run in children if not run.info.run_name.startswith("plain"))
    assert set(long.data.params) == {limits.key(PATHS[0]), limits.key(PATHS[5])}
    assert long.info.run_name.startswith("arm \\x1b[31m\\x00 <b>yyy")
    assert len(long.info.run_name) == limits.RUN_NAME
    assert long.data.params[limits.key(PATHS[0])].endswith(limits.CUT)
    told = json.dumps([long.data.to_dictionary(), dict(experiment.tags)])
    assert not {"\\u0000", "\\u001b", "\\udcff"} & {told[i : i + 6] for i in range(len(told))}


def test_a_long_description_is_shortened_and_leaves_room_for_the_table(shown: Any) -> None:
    client, _ = shown
    experiment = client.get_experiment_by_name("wordy")
    assert experiment.tags["mlflow.note.content"].endswith(limits.CUT)
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`assay.role` = 'sweep'")
    note = parent.data.tags["mlflow.note.content"]
    assert limits.CUT in note
    assert "| rank | arm |" in note
    assert "orderByKey" in json.loads(experiment.tags["mlflow.sharedViewState.arms"])


def test_what_we_keep_to_is_within_what_the_installed_mlflow_takes() -> None:
    from mlflow.store.tracking.dbmodels.models import SqlRun
    from mlflow.utils import validation

    assert min(validation.MAX_ENTITY_KEY_LENGTH, validation.MAX_EXPERIMENT_TAG_KEY_LENGTH) >= limits.KEY
    assert limits.PARAMETER <= validation.MAX_PARAM_VAL_LENGTH
    assert limits.TAG <= validation.MAX_TAG_VAL_LENGTH
    assert limits.EXPERIMENT_TAG <= validation.MAX_EXPERIMENT_TAG_VAL_LENGTH
    assert limits.METRICS_A_REQUEST <= validation.MAX_METRICS_PER_BATCH
    assert limits.NAMED_A_REQUEST <= validation.MAX_PARAMS_TAGS_PER_BATCH
    assert limits.BYTES_A_REQUEST < validation.MAX_BATCH_LOG_REQUEST_SIZE
    assert SqlRun.name.type.length >= limits.RUN_NAME
    keys = [limits.key(name) for name in [*NAMES, *PATHS]]
    assert len(set(keys)) == len(keys)
    for key in keys:
        validation._validate_metric(key, 1.0, 0, 0)
        validation._validate_param(key, "")


def test_a_name_that_mlflow_takes_is_left_as_it_is() -> None:
    for name in ("fid", "train/loss", "best/fid 5k", "sample.steps", "a:b", "größe"):
        assert limits.key(name) == name


def test_requests_have_neither_too_many_things_nor_too_many_bytes() -> None:
    assert [len(batch) for batch in limits.batches(range(250), 100, str)] == [100, 100, 50]
    large = ["\u4e00" * 50_000] * 7  # 300 kB each, as JSON has it
    assert [len(batch) for batch in limits.batches(large, 100, str)] == [2, 2, 2, 1]
    assert list(limits.batches([], 100, str)) == []
