"""The page: it needs nothing else, says everything, and says it the same when nothing changed."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assay.errors import StageFailed
from assay.planning import Plan, PlannedTrial, Rung
from assay.report import PAGE, earlier_failures, write, write_page
from assay.report.pictures.samples import safe_name
from assay.results import TrialOutcome, from_store
from assay.store import Store

pytestmark = pytest.mark.slow

Filled = tuple[Plan, tuple[TrialOutcome, ...]]
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images: list[tuple[str, bytes]] = []
        self.rows: list[list[str]] = []
        self.best: list[str] = []
        self.anchors: set[str] = set()
        self.text = ""
        self._cell: str | None = None
        self._is_best = False
        self.feed(file.read_text())
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert tag not in ("script", "link", "iframe"), "nothing runs and nothing is loaded"
        if tag == "img":
            kind, _, content = str(given["src"]).partition(";base64,")
            self.images.append((str(given["alt"]), base64.b64decode(content)))
            assert kind in ("data:image/png", "data:image/jpeg")
        if tag == "a":
            self.links.append(str(given["href"]))
        if tag == "section":
            self.anchors.add(f"#{given['id']}")
        if tag == "tr":
            self.rows.append([])
            self._is_best = given.get("class") == "best"
        if tag in ("td", "th"):
            self._cell = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.rows[-1].append(self._cell or "")
            if self._is_best and len(self.rows[-1]) == 2:
                self.best.append(self.rows[-1][1])
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data
        if self._cell is not None:
            self._cell += data


def quality(planned: PlannedTrial, rung: Rung) -> Mapping[str, float]:
    config = planned.trial.config
    fid = {"adagn": 4.0, "add": 6.0}[config["model"]["norm"]] + config["sample"]["guidance_scale"] + config["seed"] / 9
    return {"fid": fid, "precision": 0.7, "recall": 0.6, "num_samples": 50_000}


def noise(planned: PlannedTrial, rung: Rung, output: Path) -> None:
    """A large photograph, as it compresses worst, and a small grid of pixels."""
    side = 1600 if planned.trial.index == 0 else 40
    pixels = np.random.default_rng(planned.trial.index).integers(0, 255, (side, side, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(output / "samples.png")


ARMS = {"AdaGN": {"model.norm": "adagn"}, "<b>addition</b> & more": {"model.norm": "add"}}
PLOTS = [{"kind": "line", "x": "sample.guidance_scale", "y": ["fid", "recall"]}]


@pytest.fixture
def study(paper: Callable[..., Filled]) -> Filled:
    return paper(
        quality,
        noise,
        name="guidance",
        description="Which scale, and is <AdaGN> better?",
        arms=ARMS,
        parameters={"sample.guidance_scale": {"values": [0.0, 1.0]}},
        reference={"source": "table 6", "rows": [{"when": {"model.norm": "adagn"}, "fid": 13.06}]},
        report={"plots": PLOTS},
    )


def test_the_page_has_everything_and_loads_nothing(study: Filled, tmp_path: Path) -> None:
    plan, trials = study
    written = write(plan, trials, tmp_path / "report", frozenset())
    page = Page(written.page)
    assert set(page.links) == {*page.anchors, "interactive.html"}, "to its own sections, and the page beside it"
    assert page.anchors == {"#result", "#plots", "#samples", "#configs", "#cost", "#reproduce"}
    for planned in plan.trials:
        assert planned.name in page.text
    assert "Which scale, and is <AdaGN> better?" in page.text
    assert page.best == ["AdaGN, guidance_scale 0.0"]
    assert page.rows[1][:4] == ["best", "AdaGN, guidance_scale 0.0", "4.000", "13.06"]
    assert ["trial", "model.norm", "sample.guidance_scale"] in page.rows, "only what varies"
    assert "num_samples: 50000" in page.text, "and the whole config folded"
    assert "charged: nothing" in page.text
    assert "saved by caching: " in page.text
    assert "assay run guidance" in page.text
    assert "Python 3." in page.text
    assert "one seed: differences may be noise" in page.text


def test_pictures_are_in_it_and_large_ones_are_made_small(study: Filled, tmp_path: Path) -> None:
    plan, trials = study
    file = write(plan, trials, tmp_path / "report", frozenset()).page
    images = {alt: Image.open(io.BytesIO(content)) for alt, content in Page(file).images}
    assert set(images) == {"fid-recall-by-sample.guidance_scale-line", *(t.name for t in plan.trials)}
    assert images["AdaGN, guidance_scale 0.0"].size == (1000, 1000)
    assert images["AdaGN, guidance_scale 1.0"].size == (40, 40), "a small grid stays as it is, to the pixel"
    assert file.stat().st_size < 3_000_000


def test_it_is_the_same_as_long_as_the_results_are(study: Filled, tmp_path: Path) -> None:
    """So MLflow is not given it again: a run that computed it, one that found it, and `assay report` agree."""
    plan, trials = study
    every = frozenset(key for trial in trials for key in trial.results)
    computed = [TrialOutcome(t.planned, t.results, frozenset(t.results)) for t in trials]
    first = write(plan, computed, tmp_path / "first", every).page.read_bytes()
    second = write(plan, trials, tmp_path / "second", every).page.read_bytes()
    write_page(plan, trials, tmp_path / "third.html", every, {})
    assert first == second == (tmp_path / "third.html").read_bytes()


def test_seeds_are_summed_up_first_and_trials_are_folded(paper: Callable[..., Filled], tmp_path: Path) -> None:
    plan, trials = paper(quality, noise, arms=ARMS, seeds=(0, 1))
    page = Page(write(plan, trials, tmp_path / "report", frozenset()).page)
    assert page.best == ["AdaGN"]
    assert "Each of 4 trials" in page.text
    assert [alt for alt, _ in page.images] == ["AdaGN, seed 0", "<b>addition</b> & more, seed 0"]


def test_what_is_missing_or_failed_is_said(paper: Callable[..., Filled], tmp_path: Path) -> None:
    def some(planned: PlannedTrial, rung: Rung) -> Mapping[str, float] | None:
        return quality(planned, rung) if planned.trial.arm == "AdaGN" else None

    plan, trials = paper(some, arms=ARMS)
    broken = trials[1].planned.leaf
    error = StageFailed("evaluate", broken.key, "Traceback\nValueError: out of <ink>")
    trials = (trials[0], TrialOutcome(trials[1].planned, {}, error=error))
    page = Page(write(plan, trials, tmp_path / "report", frozenset()).page)
    assert "2 trials of paper base, 1 with a result" in page.text
    assert "stage evaluate failed: ValueError: out of <ink>" in page.text
    assert page.best == []
    empty = tuple(TrialOutcome(t, {}) for t in plan.trials)
    assert "not finished: 0 of 3 stages" in Page(write(plan, empty, tmp_path / "empty", frozenset()).page).text


def test_a_picture_that_fails_costs_nothing_else(paper: Callable[..., Filled], tmp_path: Path) -> None:
    """A grid is no picture, another is cut off, and the spread over seeds of one metric is beyond any number."""

    def broken(planned: PlannedTrial, rung: Rung, output: Path) -> None:
        noise(planned, rung, output)
        grid = output / "samples.png"
        spoilt = {1: b"no picture", 2: grid.read_bytes()[:200]}
        if planned.trial.index in spoilt:
            grid.write_bytes(spoilt[planned.trial.index])

    def huge(planned: PlannedTrial, rung: Rung) -> Mapping[str, float]:
        return {**quality(planned, rung), "precision": 1.7e308 * (1 - 2 * planned.trial.seed)}

    plots = [{"kind": "line", "x": "sample.steps", "y": y} for y in ("fid", "precision", "recall")]
    plan, trials = paper(huge, broken, arms=ARMS, seeds=(0, 1), report={"plots": plots})
    report = write(plan, trials, tmp_path / "report", frozenset())
    page, notes = Page(report.page), json.loads((report.folder / "report.json").read_text())["notes"]
    names = [trial.planned.name for trial in trials]
    told = [note for note in report.table.notes if note.startswith("not drawn: ")]
    assert len(told) == 3
    assert told[0].startswith("not drawn: precision-by-sample.steps-line.png: OverflowError: ")
    assert told[1] == f"not drawn: {safe_name(names[1])}.png: UnidentifiedImageError: not a picture"
    assert told[2].startswith(f"not drawn: {safe_name(names[2])}.png: OSError: ")
    for note in told:
        assert note in notes
        assert note in page.text
        assert note in (report.folder / "table.md").read_text()
    assert {names[0], names[3]} >= {alt for alt, _ in page.images if alt in names}
    drawn = {"samples.png", "fid-by-sample.steps-line.png", "recall-by-sample.steps-line.png"}
    assert {picture.name for picture in report.pictures} == drawn
    assert {file.name for file in report.folder.glob("*.png")} == drawn | {
        f"{safe_name(names[index])}.png" for index in (0, 3)
    }
    assert set(told) <= set(write_page(plan, trials, tmp_path / "page.html", frozenset(), {}).notes)


def test_a_failure_is_remembered_until_the_stage_is_stored(paper: Callable[..., Filled], tmp_path: Path) -> None:
    plan, trials = paper(lambda planned, rung: None, arms=ARMS)
    broken, folder = trials[1].planned.leaf, tmp_path / "report"
    error = StageFailed("evaluate", broken.key, "Traceback\nValueError: out of ink")
    write(plan, (trials[0], TrialOutcome(trials[1].planned, {}, error=error)), folder, frozenset())
    (told,) = earlier_failures(folder).values()
    assert (told.stage, told.cause) == ("evaluate", error.cause)
    store = Store(tmp_path / "paper")
    assert [t.error and t.error.key for t in from_store(plan, store, failed=earlier_failures(folder))] == [
        None,
        broken.key,
    ]
    for other in ("{", "[]", "null", '{"trials": null}'):
        (folder / "report.json").write_text(other)
        assert earlier_failures(folder) == {}
        write(plan, trials, folder, frozenset())


def test_the_command_to_repeat_it_has_no_folder_of_the_writers(paper: Callable[..., Filled], tmp_path: Path) -> None:
    plan, trials = paper(quality)
    plan.sweep._file = str(tmp_path / "sweeps" / "mine.yaml")
    plan.sweep._profile, plan.sweep._sets = "smoke", ("train.iterations=5",)
    page = Page(write(plan, trials, tmp_path / "report", frozenset()).page)
    assert "assay run sweeps/mine.yaml --profile smoke --set train.iterations=5" in page.text
    assert str(tmp_path) not in (tmp_path / "report" / PAGE).read_text()


def test_the_cost_is_beside_the_tables(study: Filled, tmp_path: Path) -> None:
    plan, trials = study
    folder = write(plan, trials, tmp_path / "report", frozenset()).folder
    cost: dict[str, Any] = json.loads((folder / "report.json").read_text())["cost"]
    assert len(cost["stages"]) == len((folder / "cost.csv").read_text().splitlines()) - 1 == 10
