"""adm's stages, in-process: resume, extension, and that sample i is sample i."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from adm import checkpoints
from adm.workload import workload
from assay.errors import ConfigError, UserError
from assay.events import Event
from assay.execution import inline
from assay.execution.work import to_numpy
from assay.store import Store
from assay.workload import Stage, topological

pytestmark = pytest.mark.slow

TINY = {
    "train.iterations": 6,
    "train.batch_size": 8,
    "train.checkpoint_every": 2,
    "train.precision": "fp32",
    "classifier.train.iterations": 4,
    "classifier.train.batch_size": 8,
    "evaluate.num_samples": 12,
    "evaluate.num_reference": 100,
    "sample.steps": 3,
    "sample.precision": "fp32",
    "sample.guidance_scale": 1.0,
    "sample.batch_size": 4,
}


def graph(**overrides: Any) -> dict[str, Stage]:
    config = workload.resolve("digits", {**TINY, **{k.replace("__", "."): v for k, v in overrides.items()}})
    return {stage.name: stage for stage in topological(workload.stages(config))}


def compute(stages: Mapping[str, Stage], store: Store, until: str, told: list[str] | None = None) -> Stage:
    for stage in topological([stages[until]]):
        if store.get(stage.key) is None:
            inline.execute(stage, store, 1, lambda event: told.append(event.message) if told is not None else None)
    return stages[until]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the model and the classifier of the plain graph, and nothing else."""
    folder = tmp_path_factory.mktemp("trained")
    for stage in ("train", "train_classifier"):
        compute(graph(), Store(folder), stage)
    return folder


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(trained, tmp_path / "store"))


def weights(store: Store, stage: Stage) -> dict[str, np.ndarray[Any, Any]]:
    result = store.get(stage.key)
    assert result is not None
    return {name: value.numpy() for name, value in load_file(result.file("model.safetensors")).items()}


def same(one: Mapping[str, np.ndarray[Any, Any]], other: Mapping[str, np.ndarray[Any, Any]]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


class CutOff(Exception):
    """Stands for a power cut."""


class TestTraining:
    @pytest.mark.parametrize("sampler", ["uniform", "loss_second_moment"])
    def test_a_resumed_training_equals_an_undisturbed_one_bit_for_bit(self, tmp_path: Path, sampler: str) -> None:
        # Four timesteps: enough losses of each for the second-moment sampler to leave its uniform start.
        stage = graph(model__dropout=0.1, train__timestep_sampler=sampler, diffusion__steps=4, train__iterations=12)[
            "train"
        ]
        whole, cut = Store(tmp_path / "whole"), Store(tmp_path / "cut")
        inline.execute(stage, whole, 1, lambda event: None)

        def cut_off(event: Event) -> None:
            if store_steps(cut, stage) == [8, 10]:
                raise CutOff

        import assay.execution.contexts as context

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(context, "PROGRESS_INTERVAL_S", 0.0)
            with pytest.raises(CutOff):
                inline.execute(stage, cut, 1, cut_off)
        assert cut.get(stage.key) is None
        seen: list[int] = []
        inline.execute(stage, cut, 1, lambda event: seen.append(event.done) if event.kind == "progress" else None)
        assert min(seen) > 10, "steps that a checkpoint holds are not computed again"
        assert same(weights(whole, stage), weights(cut, stage))
        assert whole.get(stage.key).history == cut.get(stage.key).history  # type: ignore[union-attr]

    def test_a_longer_training_extends_a_shorter_one(self, store: Store, tmp_path: Path) -> None:
        short, long = graph()["train"], graph(train__iterations=10)["train"]
        fresh = Store(tmp_path / "fresh")
        seen: list[int] = []
        inline.execute(long, store, 1, lambda event: seen.append(event.done) if event.kind == "progress" else None)
        assert min(seen) > short.amount
        inline.execute(long, fresh, 1, lambda event: None)
        assert same(weights(store, long), weights(fresh, long))
        assert store.get(short.key) is not None

    def test_the_classifier_reports_its_accuracy_at_several_noise_levels(self, store: Store) -> None:
        result = store.get(compute(graph(), store, "train_classifier").key)
        assert result is not None
        assert set(result.metrics) >= {"accuracy_t0", "accuracy_t250", "accuracy_t500", "accuracy_t750"}

    def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(self, tmp_path: Path) -> None:
        stage = graph(train__learning_rate=1e30)["train"]
        with pytest.raises(Exception, match=r"loss is (nan|inf) at step \d+.*learning_rate"):
            inline.execute(stage, Store(tmp_path), 1, lambda event: None)


def store_steps(store: Store, stage: Stage) -> list[int]:
    return store.checkpoints(stage).steps()


class TestCheckpoint:
    """`train.checkpoint` takes weights that are there instead of training."""

    def published(self, folder: Path, store: Store) -> Path:
        trained = compute(graph(), store, "train")
        native = checkpoints.load(store.get(trained.key).file("model.safetensors"))  # type: ignore[union-attr]
        checkpoints.export_published(folder / "mine.pt", native, native.config)
        return folder / "mine.pt"

    def test_a_published_file_is_sampled_as_the_training_that_made_it(self, store: Store, tmp_path: Path) -> None:
        path = self.published(tmp_path, store)
        loaded = graph(train__checkpoint=str(path))
        assert "train" not in loaded
        assert same(weights(store, compute(loaded, store, "load")), weights(store, graph()["train"]))

    def test_a_file_that_does_not_fit_is_refused_by_its_keys(self, store: Store, tmp_path: Path) -> None:
        path = self.published(tmp_path, store)
        stages = graph(train__checkpoint=str(path), model__norm="add")
        with pytest.raises(UserError, match="does not fit"):
            compute(stages, store, "load")

    def test_a_file_that_changed_is_another_stage(self, tmp_path: Path) -> None:
        path = tmp_path / "weights.pt"
        path.write_bytes(b"one")
        before = graph(train__checkpoint=str(path))["load"].key
        path.write_bytes(b"other")
        assert graph(train__checkpoint=str(path))["load"].key != before

    def test_a_missing_file_is_said_before_anything_starts(self) -> None:
        with pytest.raises(UserError, match="no such file"):
            graph(train__checkpoint="nowhere.pt")


class TestSampling:
    def images(self, store: Store, stage: Stage) -> np.ndarray[Any, Any]:
        result = store.get(stage.key)
        assert result is not None
        return to_numpy(result.read(["image"]))["image"].astype(int)

    def test_sample_i_is_sample_i_in_any_batch_and_any_number(
        self, store: Store, trained: Path, tmp_path: Path
    ) -> None:
        one, other = store, Store(shutil.copytree(trained, tmp_path / "other"))
        small = compute(graph(), one, "features")
        many = graph(sample__batch_size=7, evaluate__num_samples=20)
        large = compute(many, other, "features")
        assert small.lineage == large.lineage
        # Kernels round differently for other batch sizes: one grey level of 255, and rarely.
        difference = np.abs(self.images(one, small) - self.images(other, large)[:12])
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01

    def test_more_samples_extend_fewer(self, store: Store) -> None:
        compute(graph(), store, "features")
        drawn: list[int] = []
        inline.execute(graph(evaluate__num_samples=20)["features"], store, 1, lambda event: drawn.append(event.done))
        assert sum(drawn) == 8

    def test_an_unconditional_model_can_be_guided(self, store: Store) -> None:
        stage = compute(graph(model__num_classes=None), store, "features")
        assert self.images(store, stage).shape == (12, 8, 8, 1)

    def test_ddim_sampling(self, store: Store) -> None:
        stage = compute(graph(sample__sampler="ddim", sample__steps="ddim5"), store, "features")
        assert self.images(store, stage).std() > 1


class TestEvaluation:
    def test_a_trial_ends_in_named_metrics_and_a_picture(self, store: Store) -> None:
        told: list[str] = []
        result = store.get(compute(graph(), store, "evaluate", told).key)
        assert any("12 samples" in line or "features" in line for line in told), "too few samples is said aloud"
        assert result is not None
        assert set(result.metrics) == {
            *("fd_classifier", "precision", "recall", "kid", "kid_se"),
            *("num_samples", "num_reference", "num_reference_images"),
        }
        assert result.metrics["num_samples"] == 12
        assert result.file("samples.png").read_bytes().startswith(b"\x89PNG")

    def test_the_data_against_itself_is_at_distance_zero(self, tmp_path: Path) -> None:
        from imaging import frechet_distance, precision_recall

        store = Store(tmp_path)
        stage = compute(graph(evaluate__extractor="pixels", sample__guidance_scale=0.0), store, "reference")
        features = to_numpy(store.get(stage.key).read(["features"]))["features"]  # type: ignore[union-attr]
        assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)
        assert precision_recall(features, features) == (1.0, 1.0)

    def test_more_reference_images_than_there_are_is_an_error(self, tmp_path: Path) -> None:
        for number in range(4):
            Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(tmp_path / f"zero_{number}.png")
        with pytest.raises(UserError, match="num_reference: got 100, but the data has 4 images"):
            graph(data__source="folder", data__path=str(tmp_path), evaluate__extractor="pixels")


class TestGraph:
    def keys(self, **overrides: Any) -> dict[str, str]:
        return {name: stage.key for name, stage in graph(**overrides).items()}

    def changed(self, **overrides: Any) -> set[str]:
        before, after = self.keys(), self.keys(**overrides)
        return {name for name in after if after[name] != before.get(name)}

    def test_a_change_reaches_only_the_stages_that_read_it(self) -> None:
        assert self.changed(model__norm="add") == {"train", "features", "evaluate"}
        assert self.changed(diffusion__loss="rescaled_mse") == {"train", "features", "evaluate"}
        assert self.changed(sample__guidance_scale=2.0) == {"features", "evaluate"}
        assert self.changed(evaluate__precision_recall_k=5) == {"evaluate"}
        assert self.changed(evaluate__precision_recall_arithmetic="float16") == {"evaluate"}
        assert self.changed(sample__batch_size=9) == set()
        assert self.changed(train__checkpoint_every=5) == set()
        assert self.changed(classifier__train__iterations=9) == {
            "train_classifier",
            "reference",
            "statistics",
            "features",
            "evaluate",
        }

    def test_where_the_gradient_is_taken_matters_where_one_is_taken(self) -> None:
        assert self.changed(sample__guidance_at="mean") == {"features", "evaluate"}
        unguided = self.keys(sample__guidance_scale=0.0)
        assert self.keys(sample__guidance_scale=0.0, sample__guidance_at="mean") == unguided

    def test_a_training_annealed_over_its_length_is_another_one_of_another_length(self) -> None:
        def training(iterations: int, over: Any) -> Stage:
            return graph(train__iterations=iterations, train__anneal_iterations=over)["train"]

        short, long = training(6, "iterations"), training(10, "iterations")
        assert short.lineage != long.lineage, "or the longer one would go on from the end of the shorter one"
        assert (short.key, long.key) == (training(6, 6).key, training(10, 10).key)
        assert training(6, None).key == graph()["train"].key

    def test_mirroring_is_the_trainings_business_and_not_the_references(self) -> None:
        assert self.changed(data__flip=True) == {
            *("train_classifier", "train", "reference", "statistics", "features", "evaluate")
        }
        without_classifier = {"evaluate__extractor": "pixels", "sample__guidance_scale": 0.0}
        plain, mirrored = self.keys(**without_classifier), self.keys(data__flip=True, **without_classifier)
        assert plain["reference"] == mirrored["reference"]
        assert plain["train"] != mirrored["train"]

    def test_other_images_in_the_same_folder_are_other_data(self, tmp_path: Path) -> None:
        def reference() -> str:
            config = workload.resolve("imagenet64", {"data.path": str(tmp_path)})
            return {stage.name: stage.key for stage in topological(workload.stages(config))}["reference"]

        for number in range(4):
            (tmp_path / f"dog_{number}.png").write_bytes(b"one")
        before = reference()
        assert reference() == before
        (tmp_path / "cat_2.png").write_bytes(b"two")
        assert reference() != before

    def test_every_preset_has_a_graph(self) -> None:
        for name in workload.presets():
            config = workload.resolve(name, {})
            stages = topological(workload.stages(config))
            assert stages[-1].name in ("evaluate", "train", "train_classifier", "train_upsampler"), name
            assert all(stage.flops for stage in stages if stage.kind == "train"), name

    def test_a_config_that_does_not_fit_names_the_path(self) -> None:
        with pytest.raises(ConfigError, match="classifier"):
            workload.resolve("digits", {"classifier": None})
        with pytest.raises(ConfigError, match=r"train\.batch_size"):
            workload.resolve("digits", {"train.batch_size": 0})
        with pytest.raises(ConfigError, match=r"did you mean 'train\.batch_size'"):
            workload.resolve("digits", {"train.batch_sise": 8})


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("sample.steps", 5000, "asks for 5000 steps.*takes 0 to 1000"),
        ("sample.steps", [600, 1], "section 1 of .* asks for 600 steps.*takes 0 to 500"),
        ("sample.steps", "fast", "ddimN"),
        ("sample.steps", "ddim3000", "no integer stride visits exactly 3000 of 1000"),
        ("evaluate.num_reference", 5000, "1797"),
        ("model.num_classes", 5, "10"),
        ("classifier.model.out_channels", 4, "10"),
        ("classifier.model.kind", "unet", "encoder"),
        ("model.channel_mult", [], "channel_mult"),
        ("model.channels", 33, "32"),
        ("model.head_channels", 7, "divisor"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_trained(path: str, value: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        workload.resolve("digits", {path: value})


@pytest.mark.parametrize("steps", [1000, [90, 60, 60, 20, 20], "90,60,60,20,20", "ddim25", ""])
def test_every_spelling_of_steps_is_taken(steps: Any) -> None:
    assert workload.resolve("digits", {"sample.steps": steps})
