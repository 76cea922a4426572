"""The interactive page: what it holds, always as text, and what a real browser makes of it without a network."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from assay.planning import Plan, PlannedTrial, Rung
from assay.report import write
from assay.report.folder import write_page
from assay.report.html import interactive
from assay.results import TrialOutcome, table
from browser import browse, needs_chromium

pytestmark = pytest.mark.slow

Filled = tuple[Plan, tuple[TrialOutcome, ...]]
EVIL = "</script><script>document.title = 'evil'</script> <b>b</b> & \u202e$x^2$ =1+1"
ARMS = {"AdaGN": {"model.norm": "adagn"}, EVIL: {"model.norm": "add"}}
DRAWS = {"sample.guidance_scale": {"min": 0.01, "max": 10.0, "log": True}}


def quality(planned: PlannedTrial, rung: Rung) -> Mapping[str, float]:
    config = planned.trial.config
    fid = {"adagn": 4.0, "add": 6.0}[config["model"]["norm"]] + config["sample"]["guidance_scale"]
    return {"fid": fid, "recall": 0.5, "num_samples": config["evaluate"]["num_samples"]}


@pytest.fixture
def draws(paper: Callable[..., Filled]) -> Filled:
    """Six draws per arm, and one that was measured otherwise."""
    arms = {"small": {"evaluate.num_samples": 5}, **ARMS}
    searcher = {"name": "random", "num_trials": 6}
    return paper(quality, name="evil", description=EVIL, arms=arms, parameters=DRAWS, searcher=searcher)


def data_in(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(text)


def test_every_trial_is_in_it_with_its_settings_results_and_costs(draws: Filled) -> None:
    data = data_in(interactive(*draws, table(*draws)))
    names = [column["name"] for column in data["columns"]]
    assert names[:3] == ["trial", "rank", "arm"]
    assert {"sample.guidance_scale", "model.norm", "fid", "recall", "seconds", "v100_days", "state"} <= set(names)
    scale = data["columns"][names.index("sample.guidance_scale")]
    assert (scale["kind"], scale["is_log"]) == ("number", True)
    assert len(data["rows"]) == 18
    assert sum(row["is_ranked"] for row in data["rows"]) == 12
    best = data["rows"][0]
    assert best["style"] == "best"
    assert best["values"][names.index("rank")] == 1
    assert best["values"][names.index("fid")] == min(row["values"][names.index("fid")] for row in data["rows"][:12])
    assert data["parallel"] == ["sample.guidance_scale", "evaluate.num_samples", "model.norm", "fid"]
    assert data["scatter"] == {"x": "sample.guidance_scale", "y": "fid", "colour": "arm"}


def test_a_race_has_an_axis_for_how_far_each_trial_got(paper: Callable[..., Filled]) -> None:
    def measure(planned: PlannedTrial, rung: Rung) -> Mapping[str, float] | None:
        is_best = planned.trial.config["sample"]["guidance_scale"] == 0.0
        return quality(planned, rung) if is_best or rung.amount == 100 else None

    rungs = {"name": "halving", "budget": "evaluate.num_samples", "rungs": [100, 200], "divisor": 2}
    scales = {"sample.guidance_scale": {"values": [0.0, 1.0, 2.0]}}
    plan, trials = paper(measure, parameters=scales, scheduler=rungs)
    data = data_in(interactive(plan, trials, table(plan, trials)))
    assert data["parallel"] == ["sample.guidance_scale", "evaluate.num_samples", "fid"]
    place = [column["name"] for column in data["columns"]].index("evaluate.num_samples")
    assert sorted(row["values"][place] for row in data["rows"]) == [100, 100, 200]


def test_a_part_that_the_value_of_an_arm_lacks_is_empty(paper: Callable[..., Filled]) -> None:
    partition = {"partition": {"total": 12, "parts": 3, "step": 2, "min": 2}, "when": {"arm": "A"}}
    arms = {"A": {}, "B": {"sample.guidance_scale": 25}, "C": {"sample.guidance_scale": [6, 4]}}
    filled = paper(
        lambda planned, rung: {"fid": float(planned.trial.index)},
        arms=arms,
        parameters={"sample.guidance_scale": partition},
    )
    data = data_in(interactive(*filled, table(*filled)))
    names = [column["name"] for column in data["columns"]]
    first = names.index("sample.guidance_scale[0]")
    parts = {row["values"][names.index("arm")]: row["values"][first : first + 3] for row in data["rows"]}
    assert parts["B"] == [None, None, None]
    assert parts["C"] == [6, 4, None]
    assert sum(parts["A"]) == 12


def test_several_objectives_are_plotted_against_each_other_with_their_front(paper: Callable[..., Filled]) -> None:
    several = {"fid": "min", "recall": "max", "train.seconds": "min"}
    plan, trials = paper(quality, metric=several, mode=None, arms={"AdaGN": {}, "add": {"model.norm": "add"}})
    data = data_in(interactive(plan, trials, table(plan, trials)))
    names = [column["name"] for column in data["columns"]]
    assert data["scatter"] == {"x": "recall", "y": "fid", "colour": "Pareto"}
    assert [row["values"][names.index("Pareto")] for row in data["rows"]] == ["front", "others"]
    assert data["parallel"] == ["model.norm", "fid", "recall", "train.seconds"]


def test_a_sweep_without_results_has_a_page(paper: Callable[..., Filled]) -> None:
    plan, trials = paper(lambda planned, rung: None, arms=ARMS)
    data = data_in(interactive(plan, trials, table(plan, trials)))
    assert len(data["rows"]) == 2
    assert {name["name"] for name in data["columns"]} >= set(data["scatter"].values())


def test_a_report_has_it_beside_the_page_and_one_file_is_one_file(draws: Filled, tmp_path: Path) -> None:
    folder, alone = tmp_path / "report", tmp_path / "alone" / "page.html"
    write(*draws, folder, frozenset())
    assert '<a href="interactive.html">' in (folder / "report.html").read_text()
    page = (folder / "interactive.html").read_text()
    write(*draws, folder, frozenset())
    assert (folder / "interactive.html").read_text() == page, "it depends on the results alone"
    alone.parent.mkdir()
    write_page(*draws, alone, frozenset(), {}, is_alone=True)
    assert [file.name for file in alone.parent.iterdir()] == ["page.html"]
    assert "interactive.html" not in alone.read_text()


def test_a_cluster_without_plotly_has_the_rest_of_the_report(
    draws: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*draws, tmp_path / "report", frozenset())
    for name in ("plotly", "plotly.offline"):
        monkeypatch.setitem(sys.modules, name, None)
    written = write(*draws, tmp_path / "report", frozenset())
    assert [note for note in written.table.notes if "interactive.html" in note] == [
        "not drawn: interactive.html: ModuleNotFoundError: import of plotly.offline halted; None in sys.modules"
    ]
    assert 'href="interactive.html"' not in written.page.read_text()
    assert not (tmp_path / "report" / "interactive.html").exists(), "the earlier one is outdated"


class Tags(HTMLParser):
    """The elements of a page, and every address in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts, self.addresses = 0, list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "action")]


def test_it_loads_nothing_and_its_texts_are_text(draws: Filled) -> None:
    page = interactive(*draws, table(*draws))
    tags = Tags(page)
    assert (tags.scripts, tags.addresses) == (3, []), "the data, Plotly and ours"
    assert "\u202e" not in page
    arms = {row["values"][2] for row in data_in(page)["rows"]}
    assert arms == {"small", "AdaGN", EVIL.replace("\u202e", r"\u202e")}


# What a reader does: sorts, changes an axis, brushes, shows all again; what she sees is written into the page.
READER = """<script>
const told = {};
const first = () => document.querySelector("#trials tbody tr").cells[0].textContent;
const count = () => document.getElementById("count").textContent;
const header = (name) => [...document.querySelectorAll("#trials th button")].find((one) => one.textContent === name);
setTimeout(async () => {
  told.first = first();
  header("fid").click();
  header("fid").click();
  told.last = first();
  const across = document.getElementById("x");
  across.value = number("model.norm");
  across.dispatchEvent(new Event("change"));
  told.ticks = document.getElementById("scatter").layout.xaxis.ticktext;
  told.hover = document.getElementById("scatter").data[0].text[0];
  told.all = count();
  await Plotly.restyle("parallel", { "dimensions[2].constraintrange": [[-0.1, 0.1]] }, [0]);
  told.brushed = count();
  told.selected = document.getElementById("scatter").data.map((trace) => trace.selectedpoints.length);
  document.getElementById("reset").click();
  told.reset = count();
  told.canvases = document.querySelectorAll("#parallel canvas").length;
  const axes = [...document.querySelectorAll("#parallel .axis-title")];
  told.axes = axes.map((title) => title.textContent);
  told.buttons = [...document.querySelectorAll(".modebar-btn")].map((one) => one.dataset.title);
  const list = document.createElement("pre");
  list.id = "told";
  list.textContent = JSON.stringify(told);
  document.body.append(list);
}, 2000);
</script></body>"""


@needs_chromium
def test_a_reader_sorts_brushes_and_changes_axes_without_a_network(draws: Filled, tmp_path: Path) -> None:
    ranking = table(*draws)
    file = tmp_path / "interactive.html"
    file.write_text(interactive(*draws, ranking).replace("</body>", READER), encoding="utf-8")
    seen = browse(file.as_uri(), tmp_path, "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom")
    assert seen.console == []
    assert "<title>evil: interactive</title>" in seen.printed
    (written,) = re.findall(r'<pre id="told">(.*)</pre>', seen.printed)
    told = json.loads(written.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    fids: Sequence[float] = [row.metrics["fid"] for row in ranking.rows]
    assert told["first"] == ranking.rows[0].trial
    assert told["last"] == ranking.rows[fids.index(max(fids))].trial.replace("\u202e", r"\u202e")
    assert sorted(told["ticks"]) == ["adagn", "add"]
    assert "sample.guidance_scale: " in told["hover"]
    assert told["all"] == told["reset"] == "18 of 18 trials"
    assert told["brushed"] == "12 of 18 trials"
    assert sum(told["selected"]) == 12
    assert told["canvases"] > 0
    assert "Download plot as a PNG" in told["buttons"]
    assert not [title for title in told["buttons"] if "hare" in title], "nothing is sent anywhere"
    assert told["axes"] == ["guidance_scale", "num_samples", "norm", "fid"]


@needs_chromium
@pytest.mark.parametrize("width", [1400, 500])
def test_it_can_be_pictured(draws: Filled, tmp_path: Path, width: int) -> None:
    write(*draws, tmp_path / "report", frozenset())
    picture = tmp_path / "page.png"
    file = tmp_path / "report" / "interactive.html"
    browse(file.as_uri(), tmp_path, f"--screenshot={picture}", f"--window-size={width},1700")
    with Image.open(picture) as image:
        assert len(set(image.convert("L").resize((160, 100)).tobytes())) > 20
