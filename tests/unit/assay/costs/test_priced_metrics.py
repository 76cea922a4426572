"""CostEstimator beside what the ledger has of such work: table 10, and the trainings of other studies."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from adm.workload import workload
from assay.costs.devices import SECONDS_PER_DAY
from assay.costs.ledger import Total
from assay.costs.priced_metrics import NOT_PRICED, priced
from assay.execution import inline
from assay.planning import make_plan
from assay.report import as_csv, as_json, write
from assay.results import from_store, table
from assay.store import Cost, Store
from assay.sweep import Sweep
from assay.workload import topological
from table_text import as_text

V100, CPU = "Tesla V100-SXM2-16GB", "cpu (x86_64)"
SWEEP = {
    "version": 1,
    "name": "prices",
    "workload": "adm",
    "base": "imagenet64",
    "config": {"measure": "compute"},
    "arms": {
        "ADM-G": {"compute.generator.preset": "imagenet128", "compute.classifier.preset": "classifier128"},
        "ADM": {"compute.generator.preset": "lsun_cat_256"},
        "BigGAN-deep": {"compute.rival": "biggan_deep_128"},
    },
    "metric": "total_v100_days",
    "mode": "min",
    "report": {"plots": [{"kind": "bar", "x": "arm", "y": "total_v100_days"}]},
}


def train(store: Store, preset: str, iterations: int, device: str, images_per_second: float) -> None:
    """What a training of the preset leaves in the ledger."""
    config = workload.resolve(preset, {"train.iterations": iterations})
    stages = topological(workload.stages(config))
    (stage,) = [s for s in stages if s.budget is not None and s.budget.path == "train.iterations"]
    assert stage.items is not None
    with store.staging() as output:
        cost = Cost(device, 8, stage.items / images_per_second / 8, {"items": iterations})
        store.commit(stage, output, {"loss": 1.0}, cost)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The prices are in it, and no training."""
    store = Store(tmp_path / "store")
    for trial in make_plan(Sweep.model_validate(SWEEP)).trials:
        inline.execute(trial.leaf, store, 1, lambda event: None)
    return store


@pytest.mark.slow
def test_what_trainings_took_stands_beside_what_they_should(store: Store, tmp_path: Path) -> None:
    train(store, "imagenet128", 100, V100, 20.0)
    train(store, "imagenet128", 300, V100, 20.0)
    train(store, "classifier128", 100, V100, 80.0)
    plan = make_plan(Sweep.model_validate(SWEEP), store)
    trials, by_ledger = from_store(plan, store), priced(plan, store)
    made = table(plan, trials, by_ledger=by_ledger)
    guided = next(row for row in made.rows if row.trial == "ADM-G")
    generator, classifier = (4_360_000 * 256 / 20 / SECONDS_PER_DAY, 300_000 * 256 / 80 / SECONDS_PER_DAY)
    assert guided.ledger["generator_v100_days"].device_days == pytest.approx(generator)
    assert guided.ledger["classifier_v100_days"].device_days == pytest.approx(classifier)
    assert guided.ledger["total_v100_days"].device_days == pytest.approx(generator + classifier)
    assert {row.trial for row in made.rows if row.ledger} == {"ADM-G"}, "nobody trained the others"
    assert "ledger's total_v100_days" in as_csv(made).splitlines()[0]
    assert as_json(made)["trials"][2]["ledger"]["total_v100_days"] == pytest.approx(generator + classifier)
    assert "imagenet128: 20 images per V100-second over 102,400;" in " ".join(as_text(made, 200).split())
    written = write(plan, trials, tmp_path / "report", frozenset(), by_ledger)
    assert "ledger&#x27;s total_v100_days" in written.page.read_text()
    (plot,) = written.pictures
    with_mark, without = (_black(plot), _black(*write(plan, trials, tmp_path / "bare", frozenset()).pictures))
    assert with_mark > without, "the ledger's figure is in the plot"


def _black(plot: Path) -> int:
    return sum(count for count, color in Image.open(plot).convert("L").getcolors() or [] if color == 0)


def test_what_is_not_known_is_not_nothing(store: Store) -> None:
    train(store, "imagenet128", 100, CPU, 0.1)
    plan = make_plan(Sweep.model_validate(SWEEP), store)
    found = priced(plan, store)
    (amounts,) = found.amounts.values()
    assert amounts["generator_v100_days"] == Total(1, unknown=1, unpriced=1)
    assert "classifier_v100_days" not in amounts
    assert f"25,600 images in 2d 23h on {CPU}, not declared" in found.notes[0]


def test_a_part_that_nobody_trained_leaves_the_sum_open(store: Store) -> None:
    train(store, "imagenet128", 100, V100, 20.0)
    plan = make_plan(Sweep.model_validate(SWEEP), store)
    text = as_text(table(plan, from_store(plan, store), by_ledger=priced(plan, store)), 200)
    assert "646+?" in text


def test_networks_of_as_many_operations_are_one_to_the_ledger(store: Store) -> None:
    """As table 7 has one row for ImageNet 256 and LSUN."""
    train(store, "lsun_horse_256", 100, V100, 6.0)
    train(store, "imagenet256", 300, V100, 6.0)
    plan = make_plan(Sweep.model_validate(SWEEP), store)
    assert "lsun_cat_256: 6 images per V100-second over 102,400." in priced(plan, store).notes[0]


def test_studies_without_prices_read_nothing(store: Store) -> None:
    sweep = Sweep.model_validate(SWEEP | {"config": {}, "base": "tiny_digits", "arms": {}, "metric": "fd_classifier"})
    assert priced(make_plan(sweep), store) is NOT_PRICED
