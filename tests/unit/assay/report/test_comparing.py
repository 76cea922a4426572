"""Which differences count: intervals, noise of a difference, and results that cannot be compared."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.costs.devices import DeviceDays
from assay.planning import Plan, PlannedTrial, Rung
from assay.report import as_csv, as_json
from assay.results import TrialOutcome, joint, table
from assay.results.intervals import Estimate, difference
from table_text import as_text

Studies = Callable[..., tuple[Plan, list[TrialOutcome]]]
BLOCKS, T_19 = 20, 2.0930240544082634
"""Blocks, and the 97.5% quantile of Student's t on one degree of freedom less."""


def leave_one_out(values: np.ndarray[Any, Any]) -> tuple[float, ...]:
    """The mean of a sample without one block after another."""
    blocks = values.reshape(BLOCKS, -1)
    return tuple(float(np.delete(blocks, b, axis=0).mean()) for b in range(BLOCKS))


def test_the_interval_of_a_mean_is_that_of_the_mean() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    block_means = values.reshape(BLOCKS, -1).mean(axis=1)
    estimate = Estimate(float(values.mean()), leave_one_out(values))
    assert estimate.half_width == pytest.approx(T_19 * block_means.std(ddof=1) / np.sqrt(BLOCKS))
    assert Estimate(1.0).half_width is None
    assert Estimate(1.0, (1.0, float("nan"))).half_width is None


def test_blocks_of_unequal_sizes_count_by_their_sizes() -> None:
    """A mean of 70 values, whose blocks have 2 to 5: its error is known, and what falls as 1/N adds nothing to it."""
    sizes = (2, 3, 4, 5) * 5
    values = np.random.default_rng(0).normal(5.0, 2.0, sum(sizes))
    blocks = np.split(np.arange(len(values)), np.cumsum(sizes)[:-1])
    rest = [np.delete(values, block) for block in blocks]
    mean = Estimate(float(values.mean()), tuple(float(part.mean()) for part in rest), sizes)
    assert mean.error is not None
    assert 0.7 < mean.error / (values.std(ddof=1) / np.sqrt(len(values))) < 1.4
    biased = Estimate(mean.value + 8 / len(values), tuple(float(p.mean()) + 8 / len(p) for p in rest), sizes)
    assert biased.error == pytest.approx(mean.error)
    assert difference(biased, mean).noise == pytest.approx(0, abs=1e-9), "block by block they differ by a constant"
    equal = Estimate(mean.value, mean.replicates)
    independent = difference(equal, mean).noise
    assert independent is not None
    assert independent > T_19 / 2 * mean.error, "other blocks share nothing"


def test_noise_that_arms_share_is_not_noise_of_their_difference() -> None:
    """Arms share their random numbers: what one block adds to both does not tell them apart."""
    shared = np.random.default_rng(1).normal(5.0, 2.0, 400)
    own = np.random.default_rng(2).normal(0.05, 0.02, 400)
    best = Estimate(float(shared.mean()), leave_one_out(shared))
    ours = Estimate(float((shared + own).mean()), leave_one_out(shared + own))
    assert ours.half_width is not None
    assert abs(ours.value - best.value) < ours.half_width, "the intervals overlap"
    assert difference(ours, best).is_beyond_noise is True
    other_blocks = Estimate(best.value, best.replicates[:-1])
    assert difference(ours, other_blocks).is_beyond_noise is False, "of other blocks nothing is shared"
    assert difference(ours, Estimate(best.value)).is_beyond_noise is None


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e308])
def test_an_interval_that_is_no_finite_number_is_unknown(value: float) -> None:
    """Replicates may be finite where the value is not, and the square of a large number is too large."""
    estimate = Estimate(value, tuple(float(b) for b in range(BLOCKS)))
    assert estimate.error is None or math.isfinite(estimate.error)
    assert estimate.half_width is None
    noise = difference(estimate, Estimate(1.0, (1.0, 2.0, 3.0))).noise
    assert noise is None or math.isfinite(noise)


def replicated(tmp_path: Path, **values: tuple[float, float]) -> list[Mapping[str, Path]]:
    """A jackknife.json an arm: of each metric, its value, and by how much each next block moves it."""
    files = []
    for name, (value, step) in values.items():
        path = tmp_path / f"{name}.json"
        replicates = [value + step * (b - (BLOCKS - 1) / 2) for b in range(BLOCKS)]
        path.write_text(json.dumps({"fid": {"value": value, "replicates": replicates, "sizes": [50] * BLOCKS}}))
        files.append({"jackknife.json": path})
    return files


def test_intervals_and_what_is_beyond_noise_are_shown(study: Studies, tmp_path: Path) -> None:
    files = replicated(tmp_path, near=(3.02, 0.01), far=(4.0, -0.01), best=(3.0, 0.004))
    plan, trials = study([{"fid": 3.02}, {"fid": 4.0}, {"fid": 3.0}], ["near", "far", "best"], files=files)
    made = table(plan, trials)
    assert [(r.trial, r.from_best and r.from_best.is_beyond_noise) for r in made.rows] == [
        ("best", None),
        ("near", False),
        ("far", True),
    ]
    lines = as_text(made, 120).splitlines()
    (near,) = [line for line in lines if "near" in line]
    assert "3.020 ± 0.526" in near
    assert "+0.020 ~" in near
    assert any("+1.000 *" in line for line in lines)
    assert "training with another seed changes a metric more" in " ".join(as_text(made).split())
    data = as_json(made)["trials"]
    assert data[1]["from_best"]["is_beyond_noise"] is False
    assert data[1]["intervals"]["fid"] == pytest.approx(0.526, abs=1e-3)
    assert as_csv(made).splitlines()[0] == "rank,trial,fid,from best,compute,state"


def test_a_wide_table_with_intervals_fits_80_columns(study: Studies, tmp_path: Path) -> None:
    values = {"fid": 12.345, "precision": 0.69, "recall": 0.63, "num_samples": 50_000.0}
    files = replicated(tmp_path, first=(12.345, 0.02), second=(14.321, 0.01))
    reference = {"source": "table 3", "rows": [{"fid": 13.06, "precision": 0.7}]}
    names = ["addition + GroupNorm, guidance_scale 1.0", "AdaGN, guidance_scale 0.0"]
    metrics = [values, {**values, "fid": 14.321}]
    text = as_text(table(*study(metrics, names, files=files, reference=reference)), width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    for shown in ("12.35", "±1.05", "+1.98 *", "13.06", "0.6900", "50,000", "cached"):
        assert shown in text


def test_without_replicates_nothing_is_called_noise(study: Studies) -> None:
    made = table(*study([{"fid": 3.0}, {"fid": 4.0}]))
    assert as_json(made)["trials"][1]["from_best"] == {"value": 1.0, "noise": None, "is_beyond_noise": None}
    assert not {"*", "~", "±"} & set(as_text(made))


def test_results_that_cannot_be_compared_are_not_ranked(study: Studies) -> None:
    """The smaller the sample, the larger FID: a small one's number is another quantity."""
    metrics = [{"fid": f, "num_samples": n} for f, n in ((2.0, 5000), (3.0, 50_000), (4.0, 50_000), (1.0, 5000))]
    notes = [{"eyes": "inception"}] * 4
    made = table(*study(metrics, ["small", "large", "worse", "tiny"], notes=notes))
    assert [(r.trial, r.rank) for r in made.rows] == [("large", 1), ("worse", 2), ("tiny", None), ("small", None)]
    (note, *_) = made.notes
    assert note == "not ranked: measured under different conditions (num_samples 5,000, not 50,000): tiny; small"
    assert as_json(made)["trials"][2]["unranked"] == "num_samples 5,000, not 50,000"


def test_the_extractor_that_most_trials_used_is_the_one_they_are_ranked_by(study: Studies) -> None:
    metrics = [{"fid": f, "num_samples": n} for f, n in ((2.0, 100), (3.0, 100), (1.0, 50_000))]
    notes = [{"eyes": "inception"}, {"eyes": "inception"}, {"eyes": "pixels"}]
    made = table(*study(metrics, ["a", "b", "other"], notes=notes))
    assert [(r.trial, r.rank) for r in made.rows] == [("a", 1), ("b", 2), ("other", None)]
    assert made.rows[2].unranked == "num_samples 50,000, not 100; eyes pixels, not inception"


def test_the_winner_of_a_race_is_the_best(paper: Callable[..., tuple[Plan, tuple[TrialOutcome, ...]]]) -> None:
    """One trial came to the last rung: those that were stopped on the way are what it is better than."""

    def race(planned: PlannedTrial, rung: Rung) -> Mapping[str, float] | None:
        is_out = rung.amount == 1000 and planned.trial.arm != "fast"
        return (
            None if is_out else {"fid": {"fast": 3.0, "slow": 5.0}[planned.trial.name], "num_samples": rung.amount or 0}
        )

    arms = {"slow": {"model.norm": "add"}, "fast": {"model.norm": "adagn"}}
    scheduler = {"name": "asha", "budget": "evaluate.num_samples", "rungs": [100, 1000]}
    plan, trials = paper(race, arms=arms, scheduler=scheduler)
    unfinished = table(plan, trials)
    assert unfinished.best is None, "the other may still come"
    assert "num_samples 100, not 1,000" in unfinished.notes[0]
    made = table(replace(plan, decided={plan.trials[0].rungs[0].leaf.key: "stop"}), trials)
    assert made.best == "fast"
    assert [(row.status, row.rank) for row in made.rows] == [("cached", 1), ("stopped at 100", None)]
    assert made.notes[0] == "not ranked: stopped before being comparable: 1 trial"


def test_several_sweeps_are_ranked_together(study: Studies) -> None:
    reference = {"source": "table 3", "rows": [{"fid": 13.0}]}
    first = table(*study([{"fid": 2.0, "num_samples": 10}, {"fid": 4.0, "num_samples": 10}], name="first"))
    second = table(
        *study([{"fid": 3.0, "num_samples": 10}, {"fid": 1.0, "num_samples": 5}], name="second", reference=reference)
    )
    made = joint([first, second])
    assert made is not None
    assert [(r.trial, r.rank) for r in made.rows] == [
        ("first: arm 0", 1),
        ("second: arm 0", 2),
        ("first: arm 1", 3),
        ("second: arm 1", None),
    ]
    assert "second: arm 1" in made.notes[0], "what was ranked alone is measured otherwise here"
    assert made.reference_source == "table 3"
    by_precision = table(*study([{"precision": 1.0}], metric="precision", mode="max"))
    assert joint([first, by_precision]) is None
    assert joint([first]) is None


def test_v100_days_are_shown_where_the_device_is_known(study: Studies) -> None:
    plan, trials = study([{"fid": 1.0}], device="Tesla V100-SXM2-16GB")
    made = table(plan, trials)
    assert as_json(made)["trials"][0]["v100_days"] == pytest.approx(105 / 86_400)
    assert "0.0012" in as_text(made)
    made = table(*study([{"fid": 1.0}]))
    assert as_json(made)["trials"][0]["v100_days"] is None
    assert "V100" not in as_text(made)


def test_costs_in_the_days_of_two_devices_are_not_added_up(study: Studies) -> None:
    first = table(*study([{"fid": 1.0}], device="Tesla V100-SXM2-16GB"))
    both = joint([first, replace(first, sweep="other")])
    assert both is not None
    assert "V100-days" in as_text(both)
    mixed = joint([first, replace(first, sweep="other", days=DeviceDays("A100"))])
    assert mixed is not None
    assert "-days" not in as_text(mixed)
