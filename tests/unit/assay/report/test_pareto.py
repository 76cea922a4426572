"""The Pareto front of several objectives: which trials are on it, which cannot be, and how tables show it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from assay.planning import Plan, PlannedTrial, Rung
from assay.report import as_csv, as_json, as_markdown, write
from assay.report.plots.axes import Axis
from assay.report.plots.panels import Panel
from assay.report.plots.pareto import FRONT, draw_pareto
from assay.report.plots.series import Point, Series
from assay.results import Table, TrialOutcome, joint, table
from assay.results.pareto import dominates, non_dominated
from assay.sweep import Plot
from table_text import as_text

Studies = Callable[..., tuple[Plan, list[TrialOutcome]]]
TWO = {"metric": {"fid": "min", "recall": "max"}, "mode": None}
TRADE: Sequence[dict[str, float] | None] = (
    {"fid": 3.0, "recall": 0.5},
    {"fid": 4.0, "recall": 0.6},
    {"fid": 5.0, "recall": 0.4},
    {"fid": 2.0, "recall": 0.3},
)
POINTS = st.lists(st.tuples(*[st.integers(0, 5).map(float)] * 3), max_size=40)
"""Few values, so that there are ties."""


@given(POINTS)
def test_nothing_on_the_front_is_dominated_and_everything_else_is(points: list[tuple[float, ...]]) -> None:
    front = non_dominated(points)
    assert front == sorted(set(front))
    for number, point in enumerate(points):
        is_dominated = any(dominates(other, point) for other in points)
        assert (number in front) == (not is_dominated)
        assert number in front or any(dominates(points[other], point) for other in front)


def test_equal_points_share_the_front() -> None:
    assert non_dominated([(1.0, 2.0), (1.0, 2.0), (2.0, 1.0), (1.0, 3.0), (3.0, 2.0)]) == [0, 1, 2]
    assert non_dominated([]) == []
    assert not dominates((1.0, 2.0), (1.0, 2.0))


def test_ranked_by_the_first_with_the_front_marked(study: Studies) -> None:
    ours = table(*study(TRADE, **TWO))
    assert [(row.trial, row.rank) for row in ours.rows] == [("arm 3", 1), ("arm 0", 2), ("arm 1", 3), ("arm 2", 4)]
    assert ours.best == "arm 3"
    assert ours.front is not None
    assert (ours.front.names, ours.front.others) == (("arm 3", "arm 0", "arm 1"), ("arm 2",))
    assert (
        "Pareto front of fid (min), recall (max): 3 of 4 trials; each of the others is nowhere better than one of "
        "these, and somewhere worse"
    ) in ours.notes


def test_every_format_shows_it(study: Studies) -> None:
    ours = table(*study(TRADE, **TWO))
    text = as_text(ours).splitlines()
    assert [line.split()[3] for line in text if " arm " in line] == ["front", "front", "front", "5.000"]
    data = as_json(ours)
    assert (data["metric"], data["mode"]) == ("fid", "min")
    assert data["objectives"] == [{"name": "fid", "mode": "min"}, {"name": "recall", "mode": "max"}]
    assert [trial["pareto"] for trial in data["trials"]] == [True, True, True, False]
    assert data["trials"][0]["objectives"] == {"fid": 2.0, "recall": 0.3}
    rows = list(csv.DictReader(io.StringIO(as_csv(ours))))
    assert [row["Pareto"] for row in rows] == ["front", "front", "front", ""]
    page = as_markdown(ours)
    assert "Ranked by fid, smaller is better; Pareto front of fid (min), recall (max)." in page
    assert "| best | arm 3 | front | 2.000 |" in page
    frame = ours.to_pandas()
    assert list(frame["pareto"]) == [True, True, True, False]
    assert frame["recall"].dtype == "float64"


def test_one_metric_has_no_front(study: Studies) -> None:
    ours = table(*study(TRADE))
    assert ours.front is None
    assert "Pareto" not in as_text(ours)
    assert [trial["pareto"] for trial in as_json(ours)["trials"]] == [None] * 4
    assert "pareto" not in ours.to_pandas()


def test_costs_are_objectives_unless_they_are_unknown(study: Studies) -> None:
    """On CPUs seconds are known, and V100-days are not."""
    several = {"metric": {"fid": "min", "seconds": "min", "evaluate.seconds": "min"}, "mode": None}
    ours = table(*study(TRADE, **several))
    assert ours.front is not None
    assert ours.front.names == ("arm 3",), "all took as long"
    assert "evaluate.seconds" in as_text(ours)
    assert list(ours.to_pandas()["evaluate.seconds"]) == [5.0] * 4
    several["metric"] = {"fid": "min", "recall": "max", "v100_days": "min"}
    ours = table(*study(TRADE, **several))
    assert ours.front is not None
    assert ours.front.names == ("arm 3", "arm 0", "arm 1")
    assert "left out of the Pareto front: v100_days is unknown of every trial" in ours.notes
    several["metric"] = {"fid": "min", "v100_days": "min"}
    ours = table(*study(TRADE, **several))
    assert ours.front is not None
    assert (ours.front.names, ours.front.others) == ((), ())
    assert [note for note in ours.notes if "Pareto" in note] == [
        "left out of the Pareto front: v100_days is unknown of every trial"
    ]
    ours = table(*study(TRADE, device="Tesla V100-SXM2-16GB", **several))
    assert ours.front is not None
    assert ours.front.names == ("arm 3",)
    assert ours.to_pandas()["v100_days"][0] == pytest.approx(105 / 86_400)


def test_what_has_no_rank_or_no_value_is_not_considered(study: Studies) -> None:
    """The one that fails, one under other conditions, and one without recall."""
    metrics: list[dict[str, float] | None] = [
        {"fid": 3.0, "recall": 0.5, "num_samples": 100},
        {"fid": 4.0, "recall": 0.6, "num_samples": 100},
        {"fid": 1.0, "recall": 0.9, "num_samples": 10},
        {"fid": 2.0, "num_samples": 100},
        None,
    ]
    ours = table(*study(metrics, **TWO))
    assert ours.front is not None
    assert (ours.front.names, ours.front.others) == (("arm 0", "arm 1"), ())
    assert {row.trial: ours.front.has(row) for row in ours.rows} == {
        "arm 0": True,
        "arm 1": True,
        "arm 2": None,
        "arm 3": None,
        "arm 4": None,
    }
    assert "not considered for the Pareto front: recall is unknown, or measured otherwise: arm 3" in ours.notes


def test_over_seeds_it_is_of_the_arms_means(study: Studies) -> None:
    """The luckiest seed of an arm that is worse on the whole is not on it. An arm without one seed is not either."""
    names = [f"{arm}, seed {seed}" for arm in ("lucky", "good", "broad") for seed in (0, 1)] + ["half, seed 0"]
    fid, recall = [1.0, 9.0, 3.0, 3.2, 6.0, 6.1, 0.5], [0.3, 0.3, 0.5, 0.5, 0.7, 0.9, 0.9]
    metrics = [{"fid": f, "recall": r} for f, r in zip(fid, recall, strict=True)]
    ours = table(*study(metrics, names, seeds=(0, 1), **TWO))
    assert ours.front is not None
    assert (ours.front.names, ours.front.others) == (("good", "broad"), ("lucky",))
    assert [arm["pareto"] for arm in as_json(ours)["arms"]] == [True, False, True, None]
    assert {row.trial for row in ours.rows if ours.front.has(row)} == {name for name in names if name[0] in "gb"}
    text = as_text(ours)
    assert [header for header in text.splitlines() if "recall" in header]
    assert "2 of 3 arms" in text
    assert ours.arms[1].objectives == {"fid": 5.0, "recall": pytest.approx(0.3)}


def test_sweeps_are_ranked_jointly_only_with_equal_objectives(study: Studies) -> None:
    first, second = (table(*study(TRADE, name=name, **TWO)) for name in ("a", "b"))
    together = joint([first, second])
    assert together is not None
    assert together.front is not None
    assert together.front.names[:2] == ("a: arm 3", "b: arm 3"), "equal ones share it"
    assert joint([first, table(*study(TRADE, name="c"))]) is None
    other: dict[str, Any] = {"metric": {"fid": "min", "recall": "min"}, "mode": None}
    assert joint([first, table(*study(TRADE, name="d", **other))]) is None


def test_an_objective_that_was_measured_otherwise_is_not_compared(study: Studies) -> None:
    """The first ranks them together, and the recalls are of two extractors."""
    tables = []
    for name, extractor in (("a", "pixels"), ("b", "inception")):
        one = table(*study(TRADE, name=name, **TWO))
        rows = tuple(replace(row, conditions_of={"recall": {"extractor": extractor}}) for row in one.rows)
        tables.append(replace(one, rows=rows))
    together = joint(tables)
    assert together is not None
    assert together.front is not None
    assert [row.rank for row in together.rows] == list(range(1, 9))
    assert together.front.names == ("a: arm 3", "a: arm 0", "a: arm 1")
    assert "recall is unknown, or measured otherwise: b: arm 3; b: arm 0" in together.notes[-1]


def test_noise_alone_may_keep_one_off_it(tmp_path: Path, study: Studies) -> None:
    """The blocks of the second differ so much that its fid may be the smallest; those of the third do not."""
    files = []
    for number, spread in enumerate([0.0, 4.0, 0.01]):
        file = tmp_path / f"{number}.json"
        replicates = [4.0 + number + spread * block for block in (-1, 0, 1)]
        file.write_text(json.dumps({"fid": {"value": 4.0 + number, "replicates": replicates}}))
        files.append({"jackknife.json": file})
    metrics = [{"fid": 4.0 + number, "recall": 0.5} for number in range(3)]
    ours: Table = table(*study(metrics, files=files, **TWO))
    assert ours.front is not None
    assert (ours.front.names, ours.front.near) == (("arm 0",), ("arm 1",))
    assert "may be on the Pareto front too, within noise: arm 1" in ours.notes


@pytest.mark.parametrize(
    ("signs", "front", "where"),
    [
        ((1, 1), [(1.0, 3.0), (2.0, 1.0)], "steps-post"),
        ((1, -1), [(1.0, 3.0), (4.0, 4.0)], "steps-post"),
        ((-1, 1), [(2.0, 1.0), (5.0, 2.0)], "steps-pre"),
        ((-1, -1), [(4.0, 4.0), (5.0, 2.0)], "steps-pre"),
    ],
)
def test_the_staircase_is_of_the_ranked_points_that_none_dominates(
    signs: tuple[int, int], front: list[tuple[float, float]], where: str
) -> None:
    points = [Point(1.0, 3.0), Point(2.0, 1.0), Point(3.0, 3.0), Point(0.0, 0.0, is_ranked=False)]
    series = [Series("a", points), Series("b", [Point(4.0, 4.0), Point(5.0, 2.0)])]
    axes: Any = Figure().subplots()
    axis = Axis.of(Plot(kind="pareto", x="recall", y="fid"), series)
    draw_pareto(axes, Panel(axis, series, [], signs))
    (line,) = [line for line in axes.lines if line.get_label() == FRONT]
    assert list(zip(*line.get_data(), strict=True)) == front
    assert line.get_drawstyle() == where


def test_of_many_points_only_the_fronts_are_labelled() -> None:
    many = Series("a", [Point(float(i), float(i % 7), label=str(i)) for i in range(30)])
    axes: Any = Figure().subplots()
    draw_pareto(axes, Panel(Axis.of(Plot(kind="pareto", x="recall", y="fid"), [many]), [many], []))
    assert [text.get_text() for text in axes.texts] == ["0"]


def test_a_report_draws_it_of_means_over_seeds_with_the_papers_points(paper: Any, tmp_path: Path) -> None:
    def quality(planned: PlannedTrial, rung: Rung) -> dict[str, float]:
        scale = planned.trial.config["sample"]["guidance_scale"]
        return {"fid": 5.0 - scale, "recall": 0.6 - scale / 10, "num_samples": 100}

    plan, trials = paper(
        quality,
        metric={"fid": "min", "recall": "max", "v100_days": "min"},
        mode=None,
        seeds=(0, 1),
        parameters={"sample.guidance_scale": {"values": [0.0, 1.0, 2.0]}},
        reference={"rows": [{"when": {"sample.guidance_scale": 1.0}, "fid": 3.0, "recall": 0.5}]},
        report={"plots": [{"kind": "pareto"}, {"kind": "pareto", "x": "v100_days"}]},
    )
    ours = table(plan, trials)
    assert ours.front is not None
    assert ours.front.names == ("guidance_scale 2.0", "guidance_scale 1.0", "guidance_scale 0.0")
    assert "+?" in as_text(ours, width=200), "the evaluation needs a CPU alone; the days of the rest are compared"
    write(plan, trials, tmp_path / "report", frozenset())
    pictures = {file.name for file in (tmp_path / "report").glob("*pareto*.png")}
    assert pictures == {"fid-by-recall-pareto.png", "fid-by-v100_days-pareto.png"}
