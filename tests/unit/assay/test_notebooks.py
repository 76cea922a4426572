"""What a notebook shows: objects as tables, a run as bars, and results that plot."""

from __future__ import annotations

import io
import re
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

import assay
from assay.client import Job
from assay.errors import ClusterError
from assay.execution import Outcome
from assay.home import Home
from assay.progress_bars import ProgressBars
from assay.shown import is_notebook
from installed import install

SWEEP: Mapping[str, Any] = {
    "version": 1,
    "name": "norms",
    "description": "Which <norm>?",
    "workload": "toy",
    "base": "tiny",
    "config": {"train.iterations": 10},
    "arms": {"AdaGN": {}, "add & more": {"model.norm": "add"}},
    "parameters": {"sample.scale": {"values": [0.0, 1.0]}},
    "metric": "distance",
    "mode": "min",
    "profiles": {"smoke": {"config": {"train.iterations": 5}}},
}
FAILING = {**SWEEP, "name": "failing", "config": {"train.fail": True}}
RACE = {
    **SWEEP,
    "name": "race",
    "arms": {},
    "seeds": [0, 1],
    "scheduler": {"name": "halving", "budget": "evaluate.num_samples", "rungs": [6, 12], "divisor": 2},
}


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        install(tmp_path_factory.mktemp("toy"), patch, "toy", "", {"assay.workloads": "toy = toy_workload:workload"})
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def outcome(home: Home) -> Outcome:
    return assay.run(SWEEP, home, executor="inline")


def shown(thing: Any) -> str:
    """The text of what a notebook shows, a space between cells."""
    html = thing._repr_html_()
    assert html.count("<div") == html.count("</div>")
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL).split())


def test_a_sweep_is_its_questions() -> None:
    text = shown(assay.load_sweep(SWEEP))
    assert text.startswith("norms Which &lt;norm&gt;? of toy tiny train.iterations 10 arms AdaGN, add &amp; more")
    assert "sample.scale [0.0, 1.0] by distance (min) profiles smoke trials 4" in text


def test_a_plan_is_its_trials_and_stages() -> None:
    text = shown(assay.plan(SWEEP))
    assert text.startswith("norms 4 trials, 11 stages trial sample.scale model.norm AdaGN, scale 0.0 0.0 adagn")
    assert "train train AdaGN 10 iterations" in text
    assert "reference reduce all 4 trials" in text


def test_an_outcome_and_a_table_are_ranked(outcome: Outcome, home: Home) -> None:
    text = shown(outcome)
    assert text.startswith("norms: by distance, smaller is better rank trial distance")
    assert " best AdaGN, scale 0.0 1.000 " in text
    assert "computed 11 of 11 stages in " in text
    assert " best AdaGN, scale 0.0 1.000 " in shown(assay.compare(SWEEP, home=home))
    assert 'class="best"' in outcome._repr_html_()


def test_a_failure_is_told(home: Home) -> None:
    text = shown(assay.run(FAILING, home, executor="inline"))
    assert "stage train failed: RuntimeError: the loss is not a number" in text


def test_a_long_plan_says_what_it_leaves_out() -> None:
    many = {**SWEEP, "arms": {}, "seeds": list(range(70))}
    assert "… and 80 more" in shown(assay.plan(many)), "140 trials"


def test_a_job_whose_cluster_is_gone_is_still_shown() -> None:
    class Gone:
        def job(self, job_id: str) -> None:
            raise ClusterError("http://head:8265 does not answer")

    assert shown(Job(Gone(), "norms-0123456789-1")) == "norms-0123456789-1 http://head:8265 does not answer"  # type: ignore[arg-type]


def test_results_plot_a_line_per_arm(outcome: Outcome) -> None:
    results = outcome.results()
    assert results.index.names == ["arm", "sample.scale"]
    lines = results["distance"].unstack("arm")
    assert lines.to_dict() == {"AdaGN": {0.0: 1.0, 1.0: 2.0}, "add & more": {0.0: 2.0, 1.0: 3.0}}
    assert sorted(results.columns) == sorted({*outcome.to_pandas().columns} - {"arm", "sample.scale"})


def test_seeds_and_rungs_are_levels_where_there_are_several(home: Home) -> None:
    results = assay.run(RACE, home, executor="inline").results()
    assert results.index.names == ["arm", "sample.scale", "evaluate.num_samples", "seed"]
    assert set(results.index.get_level_values("arm")) == {"tiny"}, "no arms: the base"
    means = results["distance"].groupby(level=["sample.scale", "evaluate.num_samples"]).mean()
    assert means.loc[0.0].tolist() == [1.0, 1.0]


class Recorded(tqdm):  # type: ignore[type-arg]
    """Bars of text, kept when they are closed."""

    closed: list[tuple[str, int, int]]
    said: list[str]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, file=io.StringIO())

    def close(self) -> None:
        if not self.disable:
            self.closed.append((self.desc, self.n, self.total))
        super().close()

    @classmethod
    def write(cls, s: str, *_: Any, **__: Any) -> None:  # type: ignore[override]
        cls.said.append(s)


@pytest.fixture
def recorded() -> type[Recorded]:
    Recorded.closed, Recorded.said = [], []
    return Recorded


def test_bars_of_a_study_and_of_its_stages(home: Home, tmp_path: Path, recorded: type[Recorded]) -> None:
    assay.run(SWEEP, Home(tmp_path), executor="inline", listeners=[ProgressBars(recorded)])
    assert recorded.closed[-1] == ("norms", 11, 11)
    assert ("train (AdaGN)", 10, 10) in recorded.closed
    assert ("sample (AdaGN, scale 0.0)", 12, 12) in recorded.closed
    assert len(recorded.closed) == 1 + 2 + 4, "stages without a budget take no time"
    recorded.closed.clear()
    assay.run(SWEEP, Home(tmp_path), executor="inline", listeners=[ProgressBars(recorded)])
    assert recorded.closed == [("norms", 11, 11)]


def test_bars_leave_failures_and_warnings_to_be_read(home: Home, recorded: type[Recorded]) -> None:
    assay.run(FAILING, home, executor="inline", listeners=[ProgressBars(recorded)])
    assert any(
        said.startswith("train (AdaGN) failed: RuntimeError: the loss is not a number") for said in recorded.said
    )


def test_a_script_prints_bars_only_if_it_asks(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    assay.run(SWEEP, home, executor="inline")
    assert capfd.readouterr() == ("", "")
    assay.run(SWEEP, home, executor="inline", progress=True)
    assert "norms: 100%" in capfd.readouterr().err


def test_a_notebook_shows_bars_unless_it_is_told_not_to(
    home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    monkeypatch.setattr("assay.progress_bars.find_spec", lambda name: None)  # no widgets: text
    assert is_notebook()
    assay.run(SWEEP, home, executor="inline")
    assert "norms: 100%" in capfd.readouterr().err
    assay.run(SWEEP, home, executor="inline", progress=False)
    assert capfd.readouterr() == ("", "")
