"""Every table and figure of the paper is a sweep that runs: its smoke profile, and what a user would notice of it.

In an order that trains little: what is trained short comes first, and longer trainings go on from it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

import assay
from assay.home import Home
from assay.planning import make_plan
from assay.results.reference import config_at, matching_row
from assay.tracking.client import mlflow_client
from repository import ROOT
from smoke_study import IN_FP32, Study

Smoke = Callable[..., Study]
FOLDER = ROOT / "sweeps"
SWEEPS = sorted(FOLDER.glob("*.yaml"))
NO_STUDIES = {"quickstart", "cifar10"}
pytestmark = pytest.mark.studies


def rungs(study: Study, metric: str) -> dict[int, float]:
    """What the log told at each rung of the only trial."""
    told = re.findall(rf"{metric} ([\d.e-]+) at \w+ (\d+):", study.out)
    return {int(amount): float(value) for value, amount in told}


def test_table_8_stops_where_the_target_is_reached(smoke: Smoke) -> None:
    study = smoke("table8_early_stopping")
    ((trial, row),) = study.trials.items()
    climbed = rungs(study, "fd_classifier")
    assert row["status"] == f"reached the target at {max(climbed)}"
    assert 25 in climbed
    assert max(climbed) < 250, "the last rung was spared"
    values = [climbed[amount] for amount in sorted(climbed)]
    assert values == sorted(values, reverse=True), "training helps"
    assert values[-1] <= 6.0 < values[-2]
    assert study.metric(trial, "fd_classifier") == pytest.approx(values[-1], rel=1e-3)


def test_table_9_has_nothing_to_compute_that_table_8_did_not(smoke: Smoke) -> None:
    before, study = smoke("table8_early_stopping"), smoke("table9_early_stopping")
    assert "started" not in study.out
    assert [row["status"] for row in study.trials.values()] == [row["status"] for row in before.trials.values()]


def test_figure_5_shows_the_metric_against_training_time(smoke: Smoke) -> None:
    study = smoke("figure5_architecture")
    assert len(study.trials) == 7
    assert "fd_classifier-by-train.seconds-line.png" in study.pictures
    assert all(row["metrics"]["num_samples"] == 50 for row in study.trials.values())


def test_table_6_finds_what_the_paper_found(smoke: Smoke) -> None:
    study = smoke("table6_adagn")
    assert study.metric("AdaGN", "fd_classifier") < study.metric("Addition + GroupNorm", "fd_classifier")
    assert {name: row["reference"] for name, row in study.trials.items()} == {
        "AdaGN": {"fid": 13.06},
        "Addition + GroupNorm": {"fid": 15.08},
    }
    assert "paper's: table 6" in study.out


def test_figure_6_trades_recall_for_precision(smoke: Smoke) -> None:
    study = smoke("figure6_guidance")
    for sampler in ("20 steps", "DDIM, 10 steps"):
        weak, strong = f"{sampler}, guidance_scale 0.0", f"{sampler}, guidance_scale 4.0"
        assert study.metric(strong, "precision_classifier") > study.metric(weak, "precision_classifier")
        assert study.metric(strong, "recall_classifier") < study.metric(weak, "recall_classifier")
    assert study.metric("GAN, truncation 0.1", "recall") < study.metric("GAN, truncation 1.0", "recall")
    assert "recall-by-precision-pareto.png" in study.pictures


def test_figure_8_has_a_column_for_every_scale(smoke: Smoke) -> None:
    study = smoke("figure8_guidance_scale")
    sheet = study.picture("column.png")
    across = np.flatnonzero((sheet[sheet.shape[0] // 2 :] < 128).any(axis=0))
    groups = 1 + int((np.diff(across) > 8).sum())
    assert groups == len(study.trials) == 4
    assert study.columns.index("kid") < study.columns.index("fd_classifier"), "its own metric leads"


def test_appendix_k_races_on_ray_and_is_tracked(smoke: Smoke) -> None:
    study = smoke("appendix_k_guidance")
    counts = {name: row["metrics"]["num_samples"] for name, row in study.trials.items()}
    assert sorted(counts.values()) == [50, 50, 100, 100]
    assert all(study.trials[name]["status"] == "stopped at 50" for name, count in counts.items() if count == 50)
    client = mlflow_client(Home.default().tracking_uri)
    runs = client.search_runs([client.get_experiment_by_name("appendix_k_guidance").experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    trials = {run.info.run_name: run for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert trials.keys() == counts.keys()
    for name, run in trials.items():
        points = client.get_metric_history(run.info.run_id, "fd_classifier")
        assert sorted(point.step for point in points) == [count for count in (50, 100) if count <= counts[name]]
        assert run.data.metrics["fd_classifier"] == study.metric(name, "fd_classifier")
        assert list(run.data.params) == ["sample.guidance_scale"]


def test_figure_7_finds_samples_that_are_no_copies(smoke: Smoke) -> None:
    study = smoke("figure7_neighbours")
    assert "neighbours.png" in study.pictures
    assert all(row["metrics"]["nearest_distance_ratio"] > 0.3 for row in study.trials.values())
    assert {row["reference"]["fid"] for row in study.trials.values()} == {4.59, 5.44}


def test_figure_9_sees_guidance_cost_variety(smoke: Smoke) -> None:
    study = smoke("figure9_diversity")
    assert study.metric("scale 4.0", "recall") < study.metric("unguided", "recall")
    assert "diversity.png" in study.pictures


def test_figure_10_reconstructs_real_images(smoke: Smoke) -> None:
    study = smoke("figure10_interpolation")
    errors = {scale: study.metric(f"guidance_scale {scale}", "reconstruction_error") for scale in (0.0, 1.0, 2.5)}
    assert errors[0.0] < 20, "grey levels of 255"
    assert errors[2.5] > errors[0.0]
    assert "interpolation.png" in study.pictures


def test_figure_11_loses_recall_with_temperature_either_way(smoke: Smoke) -> None:
    study = smoke("figure11_temperature")
    for way in ("noise", "epsilon"):
        cold, warm = (f"temperature_scales {way}, temperature {t}" for t in (0.6, 1.0))
        assert study.metric(cold, "recall") < study.metric(warm, "recall")
    unscaled = [row["metrics"] for name, row in study.trials.items() if name.endswith("temperature 1.0")]
    assert unscaled[0] == unscaled[1], "at temperature 1 there is nothing to scale"


def test_table_15_wants_its_steps_near_the_image(smoke: Smoke) -> None:
    study = smoke("table15_step_allocation")
    distances = {name: row["metrics"]["fd_classifier"] for name, row in study.trials.items()}
    assert max(distances, key=lambda name: distances[name]) == "steps [2, 2, 4, 5, 7]"


def test_the_race_over_table_15_spends_its_samples_on_the_best(smoke: Smoke) -> None:
    study = smoke("table15_racing")
    counts = [int(row["metrics"]["num_samples"]) for row in study.trials.values()]
    assert sorted(counts) == [50] * 6 + [100] * 2 + [200]
    by_rung = {name: row["metrics"]["num_samples"] for name, row in study.trials.items()}
    assert study.report["trials"][0]["trial"] == max(by_rung, key=lambda name: by_rung[name])
    kinds = ("importance", "slice", "parallel")
    assert {f"fd_classifier-{kind}.png" for kind in kinds} <= set(study.pictures), "of all 9, at their first rung"


def test_the_race_over_table_15_finds_what_a_full_evaluation_finds_for_two_fifths_of_its_samples(smoke: Smoke) -> None:
    """Or one that is within its interval of it. All arms are evaluated in the race's store: what it spared is drawn."""
    race = smoke("table15_racing")
    all_of_them = [*IN_FP32, "scheduler.name=fifo", "scheduler.rungs=[200]"]
    sweep = assay.load_sweep(FOLDER / "table15_racing.yaml", profile="smoke", sets=all_of_them)
    full = {trial.planned.name: trial.metrics for trial in assay.run(sweep, executor="inline").trials}
    assert full.keys() == race.trials.keys()
    assert len(full) == 9
    assert {metrics["num_samples"] for metrics in full.values()} == {200}
    winner = race.report["trials"][0]["trial"]
    assert race.metric(winner, "fd_classifier") == full[winner]["fd_classifier"]
    best = min(metrics["fd_classifier"] for metrics in full.values())
    assert full[winner]["fd_classifier_low"] <= best <= full[winner]["fd_classifier"]
    assert sum(race.metric(name, "num_samples") for name in full) <= 0.4 * 200 * len(full)


def test_table_16_applies_each_schedule_to_each_model(smoke: Smoke) -> None:
    study = smoke("table16_lsun_schedules")
    for steps in ("50", "[4, 4, 4, 4, 4]", "[7, 5, 4, 2, 2]"):
        distances = [
            study.metric(f"{iterations} iterations, steps {steps}", "fd_classifier") for iterations in (50, 100, 250)
        ]
        assert distances == sorted(distances, reverse=True)


def test_table_7_gives_rates_and_no_utilisation_of_what_has_no_declared_peak(smoke: Smoke) -> None:
    study = smoke("table7_throughput")
    assert set(study.trials) == {"8×8, naive", "8×8, optimized"}
    for name in study.trials:
        assert study.metric(name, "images_per_second") > 0
        assert study.metric(name, "theoretical_images_per_v100_second") == pytest.approx(120e12 / 52.67e6, rel=1e-3)
        assert "utilisation" not in study.trials[name]["metrics"]
    assert "utilisation not reported: no peak is declared for cpu" in study.out


def test_more_steps_make_the_bound_tighter(smoke: Smoke) -> None:
    study = smoke("likelihood")
    bits = [study.metric(f"steps {steps}", "bits_per_dim") for steps in (10, 25, 50)]
    assert bits == sorted(bits, reverse=True)
    assert "terms.png" in study.pictures


def test_table_10_prices_what_was_never_trained(smoke: Smoke) -> None:
    study = smoke("table10_compute", profile="cost")
    contradicts_itself = "ImageNet 256: ADM-G (200K), ADM-U (150K), classifier batch 256"
    assert len(study.trials) == 18
    for name, row in study.trials.items():
        if name != contradicts_itself:
            assert row["metrics"]["total_v100_days"] == pytest.approx(row["reference"]["total_v100_days"], rel=0.01)
    assert "train" not in study.out.split("table10_compute: by")[0].replace("trains", "")


def test_table_10_has_cost_and_quality_in_one_table(smoke: Smoke) -> None:
    study = smoke("table10_compute")
    longer, shorter = (study.trials[f"ADM-G ({iterations})"]["metrics"] for iterations in (250, 100))
    assert longer["generator_v100_days"] == pytest.approx(2.5 * shorter["generator_v100_days"])
    assert longer["classifier_v100_days"] == shorter["classifier_v100_days"]
    assert longer["total_v100_days"] == longer["generator_v100_days"] + longer["classifier_v100_days"]
    assert {"fd_pixels", "precision", "recall", "total_v100_days", "ledger's total_v100_days"} <= {*study.columns}
    assert "total_v100_days" not in study.trials["GAN (300)"]["metrics"], "nobody published the cost of ours"


def test_the_evaluator_gives_what_an_independent_computation_gave(smoke: Smoke) -> None:
    trials = smoke("evaluator_check").trials
    assert trials.keys() == {"ADM", "GAN"}
    for row in trials.values():
        assert row["reference"].keys() == {"fd_pixels", "precision", "recall"}
        for name, value in row["reference"].items():
            assert row["metrics"][name] == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("name", sorted({path.stem for path in SWEEPS} - NO_STUDIES))
def test_every_study_leaves_a_report_whose_pictures_show_something(smoke: Smoke, name: str) -> None:
    study = smoke(name)
    assert study.trials
    assert not any(row["failure"] for row in study.trials.values())
    assert f"{name}: by {study.report['metric']}" in study.out
    assert name in (study.folder / "report.html").read_text()
    assert study.pictures
    for picture in study.pictures:
        grey = study.picture(picture)
        assert grey.std() > 10, f"{picture} is blank"


@pytest.mark.parametrize("name", sorted({path.stem for path in SWEEPS} - NO_STUDIES))
def test_every_number_of_the_paper_stands_beside_a_trial_at_full_scale(name: str) -> None:
    for profile in {None, *assay.load_sweep(FOLDER / f"{name}.yaml").profiles} - {"smoke"}:
        sweep = assay.load_sweep(FOLDER / f"{name}.yaml", profile=profile)
        plan = make_plan(sweep)
        configs = [config_at(plan, planned, rung) for planned in plan.trials for rung in planned.rungs]
        shown = [matching_row(sweep.reference, config) for config in configs]
        assert sweep.reference.source, "or that there are none"
        assert all(row in shown for row in sweep.reference.rows)


def test_all_are_planned_without_torch_ray_or_mlflow() -> None:
    """The trials of a searcher that learns are not known before a run."""
    code = (
        "import sys; from assay.sweep import load_sweep; from assay.planning import checked, make_plan\n"
        "for path in sys.argv[1:]:\n"
        "    for profile in [None, *load_sweep(path).profiles]:\n"
        "        sweep = load_sweep(path, profile=profile)\n"
        "        assert checked(make_plan(sweep)).stages or sweep.searcher.facts.learns\n"
        "print(*{'ray', 'torch', 'mlflow', 'pandas'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, *map(str, SWEEPS)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == ""
