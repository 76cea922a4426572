"""Where two metrics order arms differently, with the noise of each difference, and how the page tells of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import kendalltau

from assay.planning import Plan
from assay.report.tables.agreement import agreement_in_words, disagreements_listing
from assay.results import TrialOutcome, table
from assay.results.agreement import agreements
from assay.workload import JACKKNIFE

Studies = Callable[..., tuple[Plan, list[TrialOutcome]]]
TWO = {"metric": {"fid": "min", "coverage": "max"}, "mode": None}


def found(study: Studies, values: list[tuple[float, float]], **keys: object):
    metrics = [{"fid": fid, "coverage": coverage} for fid, coverage in values]
    return agreements(table(*study(metrics, **TWO, **keys)))


def test_pairs_are_counted_by_what_is_better_and_tau_is_kendalls(study: Studies) -> None:
    values = [(3.0, 0.5), (4.0, 0.6), (5.0, 0.4), (2.0, 0.3)]
    (agreement,) = found(study, values)
    assert (agreement.first, agreement.second, agreement.alike, agreement.num_pairs) == ("fid", "coverage", 2, 6)
    fid, coverage = zip(*values, strict=True)
    assert agreement.tau == pytest.approx(kendalltau([-value for value in fid], coverage).statistic)
    assert {(each.better, each.worse) for each in agreement.disagreements} == {
        *(("arm 0", "arm 1"), ("arm 3", "arm 0"), ("arm 3", "arm 1"), ("arm 3", "arm 2")),
    }
    assert all(each.by_first.value < 0 and each.by_second.value < 0 for each in agreement.disagreements)


def test_noise_says_which_disagreements_to_believe(study: Studies, tmp_path: Path) -> None:
    """By the jackknife, paired: replicates that are close together make a difference certain."""
    values, files = [(3.0, 0.5), (4.0, 0.6), (3.1, 0.7)], []
    for index, (fid, coverage) in enumerate(values):
        path = tmp_path / f"{index}.json"
        noise = [0.01 * ((index + block) % 3 - 1) for block in range(20)]
        blocks = {
            "fid": {"value": fid, "replicates": [fid + each for each in noise]},
            "coverage": {"value": coverage, "replicates": [coverage + each / 100 for each in noise]},
        }
        path.write_text(json.dumps(blocks))
        files.append({JACKKNIFE: path})
    (agreement,) = found(study, values, files=files)
    first, second = agreement.disagreements
    assert (first.better, first.worse, first.certainty) == ("arm 0", "arm 1", 2)
    assert (second.better, second.worse, second.certainty) == ("arm 0", "arm 2", 1)
    assert agreement_in_words(agreement) == (
        "fid and coverage order 1 of 3 pairs of arms alike, 1 of the others beyond noise in both (Kendall's τ -0.33)"
    )
    listing = disagreements_listing(agreement, 1)
    assert [column.header for column in listing.columns[:2]] == ["better by fid", "better by coverage"]
    (row,) = [listing.cells(row) for row in listing.rows]
    assert [cell.split(" ± ")[0] for cell in row[2:4]] == ["-1.000", "-0.1000"]
    assert all(cell.endswith(" *") for cell in row[2:4])
    assert (*row[:2], row[4]) == ("arm 0", "arm 1", "both exceed their noise")


def test_with_seeds_differences_are_over_those_that_two_arms_share(study: Studies) -> None:
    values = [(3.0, 0.5), (3.2, 0.52), (4.0, 0.6), (4.3, 0.61)]
    names = ["a, seed 0", "a, seed 1", "b, seed 0", "b, seed 1"]
    (agreement,) = found(study, values, names=names, seeds=(0, 1))
    (disagreement,) = agreement.disagreements
    assert (disagreement.better, disagreement.worse) == ("a", "b")
    assert disagreement.by_first.value == pytest.approx(-1.05)
    assert disagreement.by_first.noise is not None


def test_one_objective_or_one_arm_says_nothing(study: Studies) -> None:
    assert found(study, [(3.0, 0.5)]) == []
    assert agreements(table(*study([{"fid": 3.0, "recall": 0.1}, {"fid": 4.0, "recall": 0.2}]))) == []
