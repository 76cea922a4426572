"""The table of a sweep, from made-up results: ranks, states, the paper's numbers, notes, and every format."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from assay.errors import StageFailed
from assay.planning import Plan
from assay.planning.labels import name_parts, serves
from assay.report import as_csv, as_json, as_markdown
from assay.results import Row, Table, TrialOutcome, from_store, table
from assay.store import Store
from assay.text import decimals
from table_text import as_text

Studies = Callable[..., tuple[Plan, list[TrialOutcome]]]
Filled = tuple[Plan, tuple[TrialOutcome, ...]]
REFERENCE = {
    "source": "table 3",
    "rows": [
        {"when": {}, "fid": 99.0},
        {"when": {"norm": "adagn"}, "fid": 13.06},
        {"when": {"norm": "adagn", "steps": [50, 50]}, "fid": 12.0, "precision": 0.7},
        {"when": {"scale": 1.0}, "fid": 11.0},
    ],
}


def test_arms_are_ranked_by_the_metric_and_the_rest_comes_last(study: Studies) -> None:
    plan, trials = study([{"fid": 9.0}, {"fid": math.nan}, None, {"fid": 3.0}, {"fid": 5.0}])
    leaf = trials[4].planned.leaf
    trials[4] = TrialOutcome(trials[4].planned, {}, error=StageFailed("evaluate", leaf.key, "Trace\nValueError: no"))
    made = table(plan, trials, {leaf.key: Path("errors/evaluate.log")})
    assert [(row.trial, row.rank) for row in made.rows] == [
        ("arm 3", 1),
        ("arm 0", 2),
        ("arm 1", None),
        ("arm 2", None),
        ("arm 4", None),
    ]
    assert [row.status for row in made.rows] == [
        "cached",
        "cached",
        "cached",
        "not finished: 1 of 2 stages",
        "failed: evaluate",
    ]
    text = as_text(made)
    assert "arm 4: stage evaluate failed: ValueError: no (full log: errors/evaluate.log)" in text
    assert "nan" in text


def test_larger_may_be_better(study: Studies) -> None:
    plan, trials = study([{"precision": 0.1}, {"precision": 0.9}], metric="precision", mode="max")
    made = table(plan, trials)
    assert made.rows[0].trial == "arm 1"
    assert "larger is better" in as_text(made)


class CountedRows(tuple[Row, ...]):
    """A table's rows, which count how often somebody goes through them."""

    times = 0

    def __iter__(self) -> Iterator[Row]:
        self.times += 1
        return super().__iter__()


@pytest.mark.parametrize("show", [as_csv, as_markdown, as_json, as_text])
def test_a_table_of_many_trials_is_gone_through_a_fixed_number_of_times(
    study: Studies, show: Callable[[Table], object]
) -> None:
    plan, trials = study([{"fid": 9.0, "precision": 0.5}, {"fid": 3.0}])
    made = table(plan, trials)
    counted = []
    for copies in (1, 50):
        rows = CountedRows(made.rows * copies)
        show(replace(made, rows=rows))
        counted.append(rows.times)
    assert counted[0] == counted[1] > 0


def test_only_columns_that_some_trial_has(study: Studies) -> None:
    plan, trials = study([{"fid": 1.0, "recall": 0.5, "secret": 3.0}])
    made = table(plan, trials)
    assert made.metrics == ("fid", "recall")
    assert as_json(made)["trials"][0]["metrics"]["secret"] == 3.0


def test_what_this_run_computed_is_named(study: Studies) -> None:
    plan, trials = study([{"fid": 1.0}, {"fid": 2.0}])
    stages = trials[0].planned.stages
    partly = TrialOutcome(trials[0].planned, trials[0].results, frozenset({stages[1].key}))
    fully = TrialOutcome(trials[1].planned, trials[1].results, frozenset(s.key for s in trials[1].planned.stages))
    assert [row.status for row in table(plan, [partly, fully]).rows] == ["computed: evaluate", "computed"]


def test_the_papers_number_stands_beside_the_arm_it_is_about(study: Studies) -> None:
    configs = [
        {"norm": "adagn", "steps": [50, 50], "scale": 0.0},
        {"norm": "adagn", "steps": [90, 10], "scale": 0.0},
        {"norm": "add", "steps": [50, 50], "scale": 1},
        {"norm": "add", "steps": [50, 50], "scale": None},
    ]
    plan, trials = study([{"fid": float(i)} for i in range(4)], configs=configs, reference=REFERENCE)
    made = table(plan, trials)
    assert [dict(row.reference) for row in made.rows] == [
        {"fid": 12.0, "precision": 0.7},  # of several that hold, the one that asks for most
        {"fid": 13.06},
        {"fid": 11.0},  # 1 is 1.0
        {"fid": 99.0},
    ]
    header = as_csv(made).splitlines()[0]
    assert header == "rank,trial,fid,paper's fid (table 3),paper's precision (table 3),compute,state"


def test_the_papers_numbers_are_marked_where_they_have_a_note(study: Studies) -> None:
    rows = [{"when": {"norm": "adagn"}, "fid": 13.0, "note": "misprint: 110 + 10 is not 126"}, {"when": {}, "fid": 15}]
    configs = [{"norm": "add"}, {"norm": "adagn"}]
    plan, trials = study([{"fid": 1.0}, {"fid": 2.0}], configs=configs, reference={"source": "table 10", "rows": rows})
    made = table(plan, trials)
    assert made.notes[0] == "† arm 1: misprint: 110 + 10 is not 126"
    assert "13 †" in as_markdown(made)
    assert "15 †" not in as_markdown(made)
    assert as_csv(made).splitlines()[2].split(",")[3] == "13.0", "in a file to compute with it is a number"
    assert [trial["reference_note"] for trial in as_json(made)["trials"]] == [None, "misprint: 110 + 10 is not 126"]


def test_trials_measured_otherwise_than_the_papers_are_named(paper: Callable[..., Filled]) -> None:
    reference = {
        "source": "table 8",
        "measured_with": {"sample.guidance_scale": 1.0},
        "rows": [{"when": {}, "fid": 3.0}],
    }
    scales = {"sample.guidance_scale": {"values": [0.0, 1.0]}}
    plan, trials = paper(lambda planned, rung: {"fid": 5.5}, reference=reference, parameters=scales)
    told = "the paper's numbers were measured with sample.guidance_scale 1.0, and not 0.0 as guidance_scale 0.0"
    assert table(plan, trials).notes[0] == told


def test_one_seed_is_no_finding(study: Studies) -> None:
    plan, trials = study([{"fid": 1.0}, {"fid": 2.0}])
    assert table(plan, trials).notes[0].startswith("one seed: ")
    plan, trials = study([{"fid": 1.0}])
    assert not table(plan, trials).notes, "one arm is compared with nothing"


def test_shared_stages_are_summed_up_once(study: Studies) -> None:
    plan, trials = study([{"fid": 1.0}, {"fid": 2.0}])
    made = table(plan, trials)
    assert [row.seconds for row in made.rows] == [105.0, 105.0]
    assert "counted once, all took 1:50" in made.notes[-1]


def test_the_table_fits_80_columns_and_loses_nothing(study: Studies) -> None:
    names = ["addition + GroupNorm, guidance_scale 1.0", "AdaGN, guidance_scale 0.0"]
    values = {"fid": 12.3456, "precision": 0.69, "recall": 0.63, "num_samples": 50_000.0}
    plan, trials = study([values, values], names, configs=[{"norm": "adagn"}] * 2, reference=REFERENCE)
    text = as_text(table(plan, trials), width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    for shown in ("12.35", "0.6900", "0.6300", "50,000", "13.06", "cached", "best"):
        assert shown in text


def test_a_table_too_wide_for_80_columns_leaves_metrics_out_and_never_the_trial(study: Studies) -> None:
    others = {f"metric_number_{i}": float(i) for i in range(12)}
    more = {name: value + 1 for name, value in others.items()}
    plan, trials = study([{"fid": 1.0, **others}, {"fid": 2.0, **more}], ["AdaGN", "addition"])
    made = replace(table(plan, trials), metrics=("fid", *others))
    text = as_text(made, width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "no room here, but in --json: " in text
    assert text.index("metric_number_11") > text.index("no room")
    assert all(shown in text for shown in ("AdaGN", "addition", "1.000", "2.000"))
    wide = as_text(made, width=400)
    assert all(name in wide for name in others)
    assert "no room" not in wide


def test_json_has_no_nan_and_markdown_keeps_its_cells(study: Studies) -> None:
    plan, trials = study([{"fid": math.nan}, {"fid": 1.0}], names=["a|b", "c"])
    made = table(plan, trials)
    assert json.loads(json.dumps(as_json(made), allow_nan=False))["trials"][1]["metrics"]["fid"] is None
    assert "a\\|b" in as_markdown(made)


def test_json_is_json_whatever_is_no_finite_number(study: Studies, tmp_path: Path) -> None:
    """A metric whose replicates are finite, a condition, and a parameter."""
    file = tmp_path / "replicates.json"
    file.write_text(json.dumps({"fid": {"replicates": [1.0, 2.0, 3.0]}}))
    metrics = [{"fid": math.inf, "num_samples": math.nan}, {"fid": 1.0, "num_samples": 5.0}]
    plan, trials = study(metrics, files=[{"jackknife.json": file}] * 2, varied=[{"x": math.inf}, {"x": 1.0}])
    made = table(plan, trials)
    finite, diverged = json.loads(json.dumps(as_json(made), allow_nan=False))["trials"]
    assert finite["intervals"]["fid"] > 0
    assert (diverged["metrics"]["fid"], diverged["intervals"], diverged["varied"]) == (None, {}, {"x": None})
    assert (diverged["num_samples"], diverged["conditions"]) == (None, {"num_samples": None})
    assert "inf" in as_text(made)


@pytest.mark.parametrize(
    ("values", "places"),
    [
        *[([13.06, 2.3], 2), ([0.4167], 4), ([250.0], 1), ([5000.0], 1), ([0.0], 3), ([1e-9], 8), ([math.nan], 3)],
        *[([2.97, 3.01, 5001.0], 3), ([5001.0, 2.97], 3), ([2.97, 3.01, 5001.0, 6001.0, 7001.0], 2)],
        *[([0.82, 0.81, 0.0001], 4), ([2.9701, 2.9702, 5001.0], 3), ([3e-5, 4e-5, 4.1], 5), ([5001.0, 5001.01], 1)],
    ],
)
def test_decimals(values: list[float], places: int) -> None:
    assert decimals(values) == places


def test_an_arm_that_diverged_does_not_hide_the_digits_of_the_others(study: Studies) -> None:
    text = as_text(table(*study([{"fid": 2.97}, {"fid": 3.01}, {"fid": 5001.0}])))
    assert all(f" {shown} " in text for shown in ("2.970", "3.010", "5001.000"))
    assert len({len(line) for line in text.splitlines() if " arm " in line}) == 1, "aligned"


def test_a_shared_stage_is_called_what_its_trials_have_in_common(study: Studies) -> None:
    names = ["A, steps [50, 25], scale 0.0", "A, steps [50, 10], scale 0.0", "B, steps [50, 25], scale 0.0"]
    assert name_parts(names[0]) == ("A", "steps [50, 25]", "scale 0.0")
    plan, _ = study([None] * 3, names)
    train = plan.trials[0].stages[0]
    assert serves(plan, train.key) == "all 3 trials"
    assert serves(plan, plan.trials[1].leaf.key) == names[1]


def test_a_trial_that_was_stopped_did_not_fail_higher_up(paper: Callable[..., Filled], tmp_path: Path) -> None:
    """The training of the higher rung, which all share, failed for the one that climbed to it."""
    scales = {"sample.guidance_scale": {"values": [0.0, 1.0]}}
    scheduler = {"name": "halving", "budget": "train.iterations", "rungs": [10, 100], "divisor": 2}
    measured = {0.0: 1.0, 1.0: 2.0}
    plan, _ = paper(
        lambda t, rung: {"fid": measured[t.trial.config["sample"]["guidance_scale"]]} if rung.amount == 10 else None,
        parameters=scales,
        scheduler=scheduler,
    )
    better, worse = (trial.rungs[0].leaf.key for trial in plan.trials)
    plan = replace(plan, decided={better: "go on", worse: "stop"})
    (train,) = {trial.rungs[1].stages[0].key for trial in plan.trials}
    failed = {train: StageFailed("train", train, "ValueError: no")}
    rows = table(plan, from_store(plan, Store(tmp_path / "paper"), failed=failed)).rows
    assert {row.trial: row.status for row in rows} == {
        "guidance_scale 0.0": "failed: train",
        "guidance_scale 1.0": "stopped at 10",
    }


def test_the_papers_number_is_that_of_the_rung_that_was_reached(paper: Callable[..., Filled]) -> None:
    """Beside the result after 10 iterations stands what the paper has after 10, and not after 1000."""
    rows = [{"when": {"train.iterations": amount}, "fid": fid} for amount, fid in ((10, 7.97), (1000, 3.09))]
    scheduler = {"budget": "train.iterations", "rungs": [10, 1000], "target": 6.0}
    plan, trials = paper(
        lambda planned, rung: {"fid": 5.5} if rung.amount == 10 else None,
        scheduler=scheduler,
        reference={"source": "table 8", "rows": rows},
    )
    (row,) = table(replace(plan, decided={plan.trials[0].rungs[0].leaf.key: "reached"}), trials).rows
    assert (row.status, row.metrics["fid"], row.reference) == ("reached the target at 10", 5.5, {"fid": 7.97})
