"""The stages that judge samples, in-process: by pixels, with replicates, and what they say of samples that are odd."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from adm import checkpoints, presets
from adm.classifier_features import ClassifierFeatures
from adm.models import build
from adm.training.stages import WEIGHTS
from adm.workload import workload
from asked_checks import refuse
from assay.errors import ConfigError, UserError
from assay.execution import inline
from assay.execution.work import to_numpy
from assay.store import Store, StoredResult
from assay.workload import JACKKNIFE, Stage, topological
from imaging import FeatureError, Moments, frechet_distance, frechet_interval, kid, precision_recall
from imaging.data import data_config, images_of_rows, open_source, to_uint8
from imaging.data.digits import digits
from imaging.evaluation import checks as evaluation_checks
from imaging.evaluation import graph as evaluation_graph
from imaging.metrics.jackknife import index_blocks

NUM_SAMPLES, NUM_REFERENCE = 120, 300
FEATURES = "imaging.extractors.features:Pixels"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of the digits that was never trained: fast, and its samples are all different."""
    model = presets.load("digits").model
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    checkpoints.save(path, build(model).state_dict(), model)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One for all tests: what one computed, the next reads."""
    return Store(tmp_path_factory.mktemp("store"))


def graph(checkpoint: Path, **overrides: Any) -> dict[str, Stage]:
    values = {
        "train.checkpoint": str(checkpoint),
        "classifier": None,
        "evaluate.extractor": "pixels",
        "evaluate.num_samples": NUM_SAMPLES,
        "evaluate.num_reference": NUM_REFERENCE,
        "sample.steps": 2,
        "sample.batch_size": 60,
        "sample.precision": "fp32",
        **{name.replace("__", "."): value for name, value in overrides.items()},
    }
    stages = topological(workload.stages(workload.resolve("digits", values)))
    return {stage.name: stage for stage in stages}


def compute(stage: Stage, store: Store, told: list[str] | None = None) -> StoredResult:
    for needed in topological([stage]):
        if store.get(needed.key) is None:
            inline.execute(needed, store, 1, lambda event: told.append(event.message) if told is not None else None)
    result = store.get(stage.key)
    assert result is not None
    return result


def pixels(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return (images.reshape(len(images), -1) / 127.5 - 1).astype(np.float32)


def features(store: Store, stage: Stage) -> npt.NDArray[np.float32]:
    result = store.get(stage.key)
    assert result is not None
    return to_numpy(result.read(["features"]))["features"]


class TestMetrics:
    @pytest.mark.slow
    def test_they_are_those_of_the_features_and_say_what_of(self, checkpoint: Path, store: Store) -> None:
        stages = graph(checkpoint)
        result = compute(stages["evaluate"], store)
        samples = features(store, stages["features"])
        reference = pixels(digits().read(images_of_rows("shuffled", 1797)[:NUM_REFERENCE]).images)
        metrics = result.metrics
        assert metrics["fd_pixels"] == pytest.approx(frechet_distance(reference, samples), rel=1e-6)
        assert (metrics["precision"], metrics["recall"]) == precision_recall(reference, samples)
        assert metrics["kid"] == pytest.approx(kid(reference, samples), rel=1e-4)
        assert metrics["kid_se"] > 0
        assert (metrics["num_samples"], metrics["num_reference"]) == (NUM_SAMPLES, NUM_REFERENCE)
        assert metrics["num_reference_images"] == NUM_REFERENCE
        assert result.notes["extractor"] == "pixels"
        assert str(result.notes["reference"]).startswith("digits ")
        config = workload.resolve("digits", {"classifier": None, "evaluate.extractor": "pixels"})
        assert set(workload.metrics(config)) <= set(metrics)
        assert set(workload.report.comparable) <= {*metrics, *result.notes}

    def test_replicates_are_the_metrics_without_a_block_and_give_the_intervals(
        self, checkpoint: Path, store: Store
    ) -> None:
        stages = graph(checkpoint)
        result = compute(stages["evaluate"], store)
        samples = features(store, stages["features"])
        reference = pixels(digits().read(images_of_rows("shuffled", 1797)[:NUM_REFERENCE]).images)
        content = json.loads(result.file(JACKKNIFE).read_text())
        assert set(content) == {"fd_pixels", "precision", "kid"}
        blocks = index_blocks(NUM_SAMPLES)
        rest = np.delete(samples, blocks[3], axis=0)
        expected = {
            "fd_pixels": frechet_distance(reference, rest),
            "kid": kid(reference, rest),
        }
        for name, value in expected.items():
            assert content[name]["replicates"][3] == pytest.approx(value, rel=1e-4)
        for name, of in content.items():
            assert of["value"] == result.metrics[name]
            assert len(of["replicates"]) == 20
            assert of["sizes"] == [6] * 20
            spread = np.array(of["replicates"]) - np.mean(of["replicates"])
            reach = 2.0930 * np.sqrt(19 / 20 * np.square(spread).sum())  # t, 19 degrees
            assert result.metrics[f"{name}_high"] - of["value"] == pytest.approx(reach, rel=1e-3)
            assert of["value"] - result.metrics[f"{name}_low"] == pytest.approx(reach, rel=1e-3)
        interval = frechet_interval(reference, [Moments.of(samples[block]) for block in blocks])
        assert result.metrics["fd_pixels_low"] == pytest.approx(interval.low, rel=1e-5)

    def test_few_samples_have_a_distance_without_an_interval_and_a_warning(
        self, checkpoint: Path, store: Store
    ) -> None:
        told: list[str] = []
        result = compute(graph(checkpoint, evaluate__num_samples=60)["evaluate"], store, told)
        assert "fd_pixels_low" not in result.metrics
        assert "precision_low" in result.metrics
        assert [line for line in told if "60 samples for 64 features" in line] == [line for line in told if line]
        assert "Draw more than 64" in "".join(told)

    @pytest.mark.slow
    def test_the_distance_is_extrapolated_where_it_is_asked_for(self, checkpoint: Path, store: Store) -> None:
        asked = {"evaluate.fid_infinity": True, "classifier": None, "evaluate.extractor": "pixels"}
        assert "fd_pixels_infinity" in workload.metrics(workload.resolve("digits", asked))
        stages = graph(checkpoint, evaluate__fid_infinity=True, evaluate__num_samples=240)
        result = compute(stages["evaluate"], store)
        assert result.metrics["fd_pixels_infinity"] < result.metrics["fd_pixels"]
        assert len(json.loads(result.file(JACKKNIFE).read_text())["fd_pixels_infinity"]["replicates"]) == 20

    def test_pictures_pass_on_how_sure_the_metrics_are_and_what_they_are_of(
        self, checkpoint: Path, store: Store
    ) -> None:
        stages = graph(checkpoint, figures__draw=["column"])
        drawn, evaluated = (compute(stages[name], store) for name in ("figures", "evaluate"))
        assert drawn.notes == evaluated.notes
        assert drawn.file(JACKKNIFE).read_text() == evaluated.file(JACKKNIFE).read_text()


class TestReference:
    """Which images of a data set samples are compared with."""

    @pytest.fixture
    def by_class(self, tmp_path: Path) -> dict[str, Any]:
        """A folder of 10 classes with 40 images each. Its files are sorted by class, as ImageNet's are."""
        draw = np.random.default_rng(0)
        for name in "abcdefghij":
            (tmp_path / "data" / name).mkdir(parents=True)
            for number, image in enumerate(draw.integers(0, 256, (40, 8, 8), dtype=np.uint8)):
                Image.fromarray(image).save(tmp_path / "data" / name / f"{number:02}.png")
        return {"data__source": "folder", "data__path": str(tmp_path / "data"), "data__labels": "subfolder"}

    def counts(self, result: StoredResult) -> npt.NDArray[np.int64]:
        return np.bincount(to_numpy(result.read(["label"]))["label"], minlength=10)

    def test_a_part_of_sorted_data_has_every_class_and_a_larger_part_holds_it(
        self, checkpoint: Path, store: Store, by_class: dict[str, Any]
    ) -> None:
        part = graph(checkpoint, evaluate__num_reference=100, **by_class)["reference"]
        classes = self.counts(compute(part, store))
        assert classes.sum() == 100
        assert classes.min() >= 4
        assert classes.max() <= 20
        larger = graph(checkpoint, evaluate__num_reference=150, **by_class)["reference"]
        compute(larger, store)
        assert np.array_equal(features(store, larger)[:100], features(store, part))

    @pytest.mark.slow
    def test_null_is_all_of_it_and_every_class_stands_for_it_in_precision_and_recall(
        self, checkpoint: Path, store: Store, by_class: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(evaluation_graph, "NUM_PAIRED", 60)
        stages = graph(checkpoint, evaluate__num_reference=None, **by_class)
        metrics = compute(stages["evaluate"], store).metrics
        assert (metrics["num_reference"], metrics["num_reference_images"]) == (400, 60)
        reference, samples = features(store, stages["reference"]), features(store, stages["features"])
        assert metrics["fd_pixels"] == pytest.approx(frechet_distance(reference, samples), rel=1e-6)
        chosen = images_of_rows("shuffled", 400)[:60]
        assert (metrics["precision"], metrics["recall"]) == precision_recall(reference[chosen], samples)
        assert metrics["kid"] == pytest.approx(kid(reference[chosen], samples), rel=1e-4)
        source = open_source(data_config(stages["reference"].config["data"]), 8, 1)
        assert np.bincount(source.labels[chosen], minlength=10).min() >= 2
        parts = graph(checkpoint, evaluate__num_reference=400, **by_class)
        same = compute(parts["evaluate"], store).metrics
        for name in ("precision", "recall", "kid", "fd_pixels"):
            assert same[name] == pytest.approx(metrics[name], rel=1e-6), "the same images in another order"

    def test_all_images_are_those_that_were_there_when_it_was_planned(
        self, checkpoint: Path, tmp_path: Path, by_class: dict[str, Any]
    ) -> None:
        planned = graph(checkpoint, evaluate__num_reference=None, **by_class)["reference"]
        assert planned.amount == 400
        (tmp_path / "data" / "a" / "00.png").unlink()
        with pytest.raises(
            UserError, match=r"the data in .*data changed since this was planned: run the same command again"
        ):
            compute(planned, Store(tmp_path / "store"))

    def test_data_that_is_not_here_is_planned_and_data_that_is_none_is_refused(
        self, checkpoint: Path, tmp_path: Path
    ) -> None:
        elsewhere = {"data__source": "folder", "evaluate__num_reference": None}
        assert graph(checkpoint, data__path=str(tmp_path / "away"), **elsewhere)["reference"].amount == 50_000
        with pytest.raises(ConfigError, match=r"^data\.path: .*contains no images"):
            graph(checkpoint, data__path=str(tmp_path), **elsewhere)

    def test_the_papers_presets_compare_with_all_of_the_data(self) -> None:
        assert presets.load("imagenet256").evaluate.num_reference is None
        assert presets.load("lsun_cat_256").evaluate.num_reference is None


class TestConditions:
    """What must be equal for trials to be ranked together."""

    def said(self, checkpoint: Path, **overrides: Any) -> Mapping[str, str]:
        return graph(checkpoint, **overrides)["evaluate"].config["conditions"]

    def by_classifier(self, checkpoint: Path, iterations: int = 300, seed: int = 0) -> Mapping[str, str]:
        config = presets.load("digits").classifier
        assert config is not None
        classifier = config.model_dump(mode="json")
        classifier["train"]["iterations"] = iterations
        return self.said(checkpoint, classifier=classifier, seed=seed, evaluate__extractor="classifier")

    def test_other_images_are_another_reference(self, checkpoint: Path) -> None:
        one, other = self.said(checkpoint), self.said(checkpoint, evaluate__num_reference=200)
        assert one["reference"] != other["reference"]
        assert one["extractor"] == other["extractor"]

    def test_trials_race_where_all_of_it_is_the_same(self, checkpoint: Path) -> None:
        stages = graph(checkpoint, figures__draw=["column"])
        conditions = stages["evaluate"].conditions
        assert conditions == {
            **stages["evaluate"].config["conditions"],
            "num_samples": NUM_SAMPLES,
            "num_reference_images": NUM_REFERENCE,
        }
        assert stages["figures"].conditions == conditions

    def test_memory_changes_no_key(self, checkpoint: Path) -> None:
        plain, small = graph(checkpoint)["evaluate"], graph(checkpoint, evaluate__max_gib=0.001)["evaluate"]
        assert small.key == plain.key
        assert small.execution == {**plain.execution, "max_bytes": 1_073_741}

    def test_a_classifier_trained_otherwise_is_another_extractor_and_a_replicate_is_not(self, checkpoint: Path) -> None:
        plain = self.by_classifier(checkpoint)
        assert self.by_classifier(checkpoint, seed=1) == plain
        longer = self.by_classifier(checkpoint, iterations=400)
        assert longer["extractor"] != plain["extractor"]
        assert longer["reference"] == plain["reference"]


class TestOddSamples:
    """A sweep goes on wherever a metric is defined."""

    def evaluated(self, checkpoint: Path, *body: str) -> Stage:
        stages = graph(checkpoint)
        sample = replace(
            stages["features"], name="".join(path.rpartition(":")[2] for path in body), body=body, rows=None
        )
        return replace(stages["evaluate"], inputs={**stages["evaluate"].inputs, "samples": sample})

    def test_a_collapsed_model_is_measured_and_warned_of_once(self, checkpoint: Path, store: Store) -> None:
        told: list[str] = []
        result = compute(self.evaluated(checkpoint, "odd_samplers:Collapsed", FEATURES), store, told)
        reference = pixels(digits().read(images_of_rows("shuffled", 1797)[:NUM_REFERENCE]).images)
        sample = features(store, self.evaluated(checkpoint, "odd_samplers:Collapsed", FEATURES).inputs["samples"])[0]
        expected = np.square(reference.mean(axis=0) - sample).sum() + np.trace(np.cov(reference, rowvar=False))
        assert result.metrics["fd_pixels"] == pytest.approx(expected, rel=1e-4)
        assert (result.metrics["precision"], result.metrics["recall"]) == (0.0, 0.0)
        assert result.metrics["kid"] > 0
        lines = [line.removeprefix("evaluate: ") for line in told if line]
        assert len(lines) == 2
        assert lines[0].startswith("the first 100 samples are all the same: the sampler or the data repeats one image")
        assert lines[1].startswith("samples: all 120 rows of features are the same")

    def test_images_in_0_to_1_are_warned_of(self, checkpoint: Path, store: Store) -> None:
        told: list[str] = []
        compute(self.evaluated(checkpoint, "odd_samplers:ZeroOrOne", FEATURES), store, told)
        assert "the first 100 samples have no value above 1: images in [0, 1] were converted to uint8" in "".join(told)

    def test_features_that_are_no_numbers_stop_it_and_name_the_image(self, checkpoint: Path, store: Store) -> None:
        stage = self.evaluated(checkpoint, "odd_samplers:Collapsed", "odd_samplers:NotANumber")
        with pytest.raises(FeatureError, match="samples: features must be finite; row 7 holds NaN or infinity"):
            compute(stage, store)

    def test_an_extractor_that_gives_no_numbers_stops_it_and_names_the_image(self, tmp_path: Path) -> None:
        classifier = presets.load("digits").classifier
        assert classifier is not None
        weights = {
            name: torch.full_like(value, torch.nan) for name, value in build(classifier.model).state_dict().items()
        }
        checkpoints.save(tmp_path / WEIGHTS, weights, classifier.model)
        trained = SimpleNamespace(file=lambda name: tmp_path / name)
        context: Any = SimpleNamespace(device="cpu", inputs={"classifier": trained})
        batch = {"id": np.arange(40, 44), "image": digits().read(np.arange(4)).images}
        with pytest.raises(FeatureError, match=r"image 40: its features hold NaN or infinity. Look at the extractor"):
            ClassifierFeatures(context)(batch)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_images_that_are_no_numbers_are_never_made_black(self, value: float) -> None:
        images = torch.zeros(2, 1, 4, 4)
        images[1, 0, 2, 2] = value
        with pytest.raises(UserError, match=r"images contain NaN or infinity, .*diverged.* fp32"):
            to_uint8(images)


class TestBeforeAnythingStarts:
    @pytest.mark.parametrize(
        ("images", "message"),
        [
            (np.zeros((5, 8, 8, 1), np.uint8), r"the first 5 images are each of one colour, the first \[0\]"),
            (
                np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1).repeat(5, axis=0),
                "the first 5 images are all the same",
            ),
            (np.eye(8, dtype=np.uint8)[None, ..., None].repeat(5, axis=0) * [[[[1]]]], "are all the same"),
            (np.random.default_rng(0).integers(0, 2, (5, 8, 8, 1)), r"no value above 1: images in \[0, 1\]"),
        ],
        ids=["black", "same", "same too", "cast"],
    )
    def test_data_that_is_no_images_is_refused(self, tmp_path: Path, images: npt.NDArray[Any], message: str) -> None:
        np.savez(tmp_path / "data.npz", images.astype(np.uint8))
        config = {"data": {"source": "npz", "path": str(tmp_path / "data.npz")}, "image_size": 8, "channels": 1}
        with pytest.raises(UserError, match=rf"data\.npz: .*{message}"):
            evaluation_checks.reference(config)

    def test_it_is_refused_where_the_sweep_would_start(self, tmp_path: Path, checkpoint: Path) -> None:
        np.savez(tmp_path / "data.npz", np.zeros((400, 8, 8, 1), np.uint8))
        stages = graph(checkpoint, data__source="npz", data__path=str(tmp_path / "data.npz"))
        with pytest.raises(UserError, match=r"reference: .*each of one colour"):
            refuse(stages.values())

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            ("evaluate.num_samples", 3, "got 3, allowed: 4 or more with precision_recall_k 3"),
            ("evaluate.num_reference", 2, "has 2 images; precision_recall_k 3 needs 4 or more"),
            ("evaluate.inception_precision", "bf16", "has no effect on evaluate.extractor classifier"),
            ("evaluate.reference", "ref.npz", "has no effect on evaluate.extractor classifier"),
        ],
    )
    def test_what_cannot_be_evaluated_is_refused(self, path: str, value: Any, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            workload.resolve("digits", {path: value})

    def test_blocks_and_pixels_have_their_bounds(self) -> None:
        with pytest.raises(ConfigError, match=r"splits the samples into 20 blocks, but evaluate.num_samples is 19"):
            workload.resolve("digits", {"evaluate.fid_infinity": True, "evaluate.num_samples": 19})
        with pytest.raises(ConfigError, match=r"pixels at 64×64 with 3 channels gives 12,288 features.*use inception"):
            workload.resolve("imagenet64", {"evaluate.extractor": "pixels"})


def test_nothing_is_said_of_samples_that_are_as_they_should_be(checkpoint: Path, store: Store) -> None:
    told: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compute(graph(checkpoint, evaluate__num_samples=130)["evaluate"], store, told)
    assert not any(told)
