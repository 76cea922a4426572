"""The studies' stages: neighbours, inversion, likelihood, throughput and compute, in-process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adm.compute import theoretical_throughput
from adm.compute.published import PUBLISHED
from adm.presets import load
from adm.studies.compute import images_per_v100_second
from adm.studies.figures import nearest_of_all
from adm.workload import workload
from assay.errors import ConfigError
from assay.execution import inline
from assay.store import Store, StoredResult
from assay.workload import Stage, topological
from imaging.evaluation.grid import save_panel
from imaging.metrics.neighbours import nearest_neighbours
from training_group import stage_of, train, with_room

pytestmark = pytest.mark.slow

TINY = {
    "train.iterations": 4,
    "train.batch_size": 8,
    "train.precision": "fp32",
    "classifier.train.iterations": 4,
    "classifier.train.batch_size": 8,
    "sample.steps": 3,
    "sample.precision": "fp32",
    "sample.batch_size": 8,
    "evaluate.num_samples": 16,
    "evaluate.num_reference": 60,
    "figures.num_samples": 4,
}


def stages(base: str = "tiny_digits", **overrides: Any) -> dict[str, Stage]:
    settings = {k.replace("__", "."): v for k, v in overrides.items()}
    return {stage.name: stage for stage in topological(workload.stages(workload.resolve(base, settings)))}


def run(graph: dict[str, Stage], store: Store, name: str) -> StoredResult:
    """The stage's result, computed where it is not stored."""
    for stage in topological([graph[name]]):
        if store.get(stage.key) is None:
            inline.execute(stage, store, 1, lambda event: None)
    result = store.get(graph[name].key)
    assert result is not None
    return result


def tiny(**overrides: Any) -> dict[str, Any]:
    if overrides.get("measure", "quality") != "quality":
        return {k: v for k, v in TINY.items() if not k.startswith("figures")} | overrides
    return TINY | overrides


class TestFigures:
    def graph(self, *draw: str, **more: Any) -> dict[str, Stage]:
        return stages(**tiny(figures__draw=list(draw), **more))

    def test_pictures_are_added_and_the_metrics_passed_on(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        graph = self.graph("neighbours", "diversity", "column")
        result, evaluated = run(graph, store, "figures"), run(graph, store, "evaluate")
        assert {"samples.png", "neighbours.png", "diversity.png", "column.png"} <= set(result.files)
        assert {name: result.metrics[name] for name in evaluated.metrics} == dict(evaluated.metrics)
        assert 0 < result.metrics["nearest_distance_ratio"] < np.inf
        column, neighbours, diversity = (
            np.asarray(Image.open(result.file(f"{name}.png"))).shape for name in ("column", "neighbours", "diversity")
        )
        tile, gap = 32, 2
        four = 4 * (tile + gap) + gap
        assert column == (four, tile + 2 * gap)
        assert neighbours == (four + 4 * gap, four), "a gap below the samples"
        assert diversity == (four, 8 * (tile + gap) + gap + 4 * gap), "a gap between samples and training images"

    def test_a_row_of_classes_has_the_samples_of_one_class(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        graph = self.graph("classes", sample__labels=[3, 8], figures__num_samples=3)
        picture = np.asarray(Image.open(run(graph, store, "figures").file("classes.png")))
        images = run(graph, store, "features").rows(0, 6, ["image"]).column("image").combine_chunks().to_numpy_ndarray()
        tile, gap = 32, 2
        assert picture.shape == (2 * (tile + gap) + gap, 3 * (tile + gap) + gap)
        for row, first in enumerate((0, 1)):
            for place, image in enumerate(images[first::2, ..., 0]):
                top, left = (gap + number * (tile + gap) for number in (row, place))
                shown = picture[top : top + tile, left : left + tile]
                assert np.array_equal(shown, image.repeat(4, axis=0).repeat(4, axis=1))

    def test_a_neighbour_is_the_training_image_of_its_id(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        graph = self.graph("neighbours")
        run(graph, store, "figures")
        reference = run(graph, store, "reference")
        training = reference.read(["features"]).column("features").combine_chunks().to_numpy_ndarray()
        ids, distances = nearest_of_all(training[:5], reference, 2, "cpu")
        assert ids[:, 0].tolist() == [0, 1, 2, 3, 4], "a training image is its own nearest"
        assert (distances[:, 0] == 0).all()
        whole = nearest_neighbours(training[:5], training, 2)
        assert np.array_equal(ids, whole.indices), "a shard at a time or all at once"
        assert np.array_equal(distances, whole.distances)

    @pytest.mark.parametrize("num_reference", [None, 300])
    def test_copies_are_shown_above_what_they_are_copies_of(self, tmp_path: Path, num_reference: int | None) -> None:
        """Whether they are compared with all of the data, in its order, or with a random part."""
        store = Store(tmp_path)
        graph = self.graph("neighbours", evaluate__num_reference=num_reference, evaluate__extractor="pixels")
        body = ("odd_samplers:Copies", "imaging.extractors.features:Pixels")
        copies = replace(graph["features"], name="copies", body=body, rows=None)
        evaluate = replace(graph["evaluate"], inputs={**graph["evaluate"].inputs, "samples": copies})
        inputs = {**graph["figures"].inputs, "samples": copies, "evaluated": evaluate}
        result = run({"figures": replace(graph["figures"], inputs=inputs)}, store, "figures")
        assert result.metrics["nearest_distance_ratio"] == 0
        assert result.metrics["num_reference"] == (num_reference or 1797)
        picture, tile, gap = np.asarray(Image.open(result.file("neighbours.png"))), 32, 2
        first, second = gap, gap + tile + gap + 4 * gap
        assert np.array_equal(picture[first : first + tile], picture[second : second + tile])

    def test_a_larger_search_goes_on_from_the_reference_that_is_there(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        run(self.graph("neighbours"), store, "figures")
        read: list[int] = []
        wider = self.graph("neighbours", figures__num_reference=80)
        for stage in topological([wider["figures"]]):
            if store.get(stage.key) is None:
                inline.execute(stage, store, 1, lambda event: read.append(event.done if event.advance else 0))
        assert sum(read) == 20

    @pytest.mark.parametrize(
        ("overrides", "told"),
        [
            ({"figures.draw": ["diversity"], "figures.num_samples": 11}, "asks for 121 samples, allowed here: at most"),
            ({"figures.draw": ["neighbours"], "figures.num_reference": 2}, "there are 2 training images"),
            ({"measure": "compute", "figures.draw": ["column"]}, "has no effect with measure compute"),
            (
                {"figures.draw": ["classes"]},
                "classes has a row per class that sample.labels lists, but that is balanced",
            ),
            ({"throughput.repeats": 3}, "has no effect with measure quality"),
            ({"measure": "inversion"}, "set sample.sampler ddim"),
            ({"measure": "throughput", "throughput.preset": "imagenet65"}, "did you mean 'imagenet64'"),
            ({"measure": "compute", "compute.upsampler.preset": "upsample"}, "unknown preset"),
        ],
    )
    def test_what_cannot_be_drawn_or_measured_is_refused(self, overrides: dict[str, Any], told: str) -> None:
        with pytest.raises(ConfigError, match=told):
            workload.resolve("tiny_digits", overrides)


def test_a_panel_keeps_rows_and_columns_apart(tmp_path: Path) -> None:
    images = np.zeros((2, 3, 8, 8, 1), dtype=np.uint8)
    images[1, 2] = 200
    save_panel(images, tmp_path / "panel.png", wide_after=(0,), tall_after=(0,))
    picture = np.asarray(Image.open(tmp_path / "panel.png"))
    assert picture.shape == (2 * 34 + 2 + 8, 3 * 34 + 2 + 8)
    assert picture[-3, -3] == 200
    assert picture[2, 2] == 0
    assert (picture[:, 34:44] == 255).all(), "white between the first column and the second"


class TestInversion:
    def graph(self, **more: Any) -> dict[str, Stage]:
        chosen = tiny(
            measure="inversion",
            sample__sampler="ddim",
            sample__steps=4,
            inversion__num_pairs=3,
            inversion__num_images=3,
            **more,
        )
        return stages(**chosen)

    def test_rows_begin_and_end_with_real_images(self, tmp_path: Path) -> None:
        from sklearn.datasets import load_digits

        store = Store(tmp_path)
        graph = self.graph(sample__guidance_scale=1.0)
        result = run(graph, store, "inversion")
        rows = run(graph, store, "invert").read(["row"]).column("row").combine_chunks().to_numpy_ndarray()
        assert rows.shape == (3, 5, 8, 8, 1)
        real = {image.tobytes() for image in np.round(load_digits().images / 16 * 255).astype(np.uint8)}
        ends = {rows[i, j, ..., 0].tobytes() for i in range(3) for j in (0, -1)}
        assert len(ends & real) >= len(ends) - 1
        assert np.isfinite(result.metrics["reconstruction_error"])
        assert "interpolation.png" in result.files

    def test_pair_i_is_pair_i(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        three = run(self.graph(), store, "invert").read(["row"]).column("row").combine_chunks().to_numpy_ndarray()
        one = run(self.graph(sample__batch_size=1), Store(tmp_path / "alone"), "invert")
        alone = one.read(["row"]).column("row").combine_chunks().to_numpy_ndarray()
        assert np.array_equal(three[:, 0], alone[:, 0])
        assert np.abs(three.astype(int) - alone.astype(int)).max() <= 1

    def test_an_unguided_inversion_needs_no_classifier(self) -> None:
        assert "train_classifier" not in self.graph()
        assert "train_classifier" in self.graph(sample__guidance_scale=1.0)


class TestLikelihood:
    def graph(self, **more: Any) -> dict[str, Stage]:
        return stages(**tiny(measure="likelihood", **{"sample__steps": 4, "likelihood__num_images": 5, **more}))

    def test_the_bound_is_the_sum_of_its_terms(self, tmp_path: Path) -> None:
        store, graph = Store(tmp_path), self.graph()
        result = run(graph, store, "likelihood")
        images = run(graph, store, "bound").read(["prior", "terms"])
        terms = images.column("terms").combine_chunks().to_numpy_ndarray()
        totals = terms.sum(axis=1) + images.column("prior").to_numpy()
        assert terms.shape == (5, 4)
        assert (terms > 0).all(), "divergences, and the code length of a pixel's grey level"
        assert result.metrics["bits_per_dim"] == pytest.approx(totals.mean(), rel=1e-6)
        assert result.metrics["bits_per_dim_se"] == pytest.approx(totals.std(ddof=1) / 5**0.5, rel=1e-5)
        header, *rows = (line.split(",") for line in result.file("terms.csv").read_text().splitlines())
        assert header == ["timestep", "bits_per_dim"]
        assert [int(timestep) for timestep, _ in rows] == [0, 333, 666, 999]
        assert sum(float(bits) for _, bits in rows) == pytest.approx(terms.sum(axis=1).mean(), rel=1e-6)
        assert "terms.png" in result.files

    def test_an_image_has_its_bound_in_any_batch_and_among_any_others(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        together, alone, more = (
            run(self.graph(**settings), place, "bound").read(["terms"]).column("terms").combine_chunks()
            for place, settings in (
                (store, {}),
                (Store(tmp_path / "alone"), {"sample__batch_size": 1}),
                (store, {"likelihood__num_images": 7}),
            )
        )
        first, others, longer = (terms.to_numpy_ndarray() for terms in (together, alone, more))
        np.testing.assert_allclose(first, others, rtol=1e-4)
        assert np.array_equal(first, longer[:5])

    def test_it_is_of_the_validation_images_if_there_are_any(self, tmp_path: Path) -> None:
        for name, count in (("train", 4), ("validation", 3)):
            (tmp_path / name).mkdir()
            for index in range(count):
                Image.new("L", (8, 8), index * 50).save(tmp_path / name / f"{index % 2}_{index}.png")
        data = {"data__source": "folder", "data__path": str(tmp_path / "train"), "data__validation": 0.0}
        own = {**data, "data__validation_path": str(tmp_path / "validation")}
        amounts = [self.graph(**each, likelihood__num_images=None)["bound"].amount for each in (data, own)]
        assert amounts == [4, 3]
        with pytest.raises(ConfigError, match=r"likelihood\.num_images: got 5, but the data has 3 images"):
            self.graph(**own)


class TestThroughput:
    def test_a_cpu_has_a_rate_and_no_utilisation(self, tmp_path: Path) -> None:
        graph = stages(measure="throughput", throughput__batch_size=4, throughput__warmup=1, throughput__repeats=3)
        result = run(graph, Store(tmp_path), "throughput")
        assert result.metrics["images_per_second"] > 0
        assert result.metrics["theoretical_images_per_v100_second"] == theoretical_throughput(load("tiny_digits").model)
        assert not {"utilisation", "images_per_v100_second"} & set(result.metrics)
        assert "no peak is declared" in str(result.notes["utilisation"])
        assert len(result.history) == 3

    @pytest.mark.parametrize("preset", ["digits_4_to_8", None])
    def test_naive_and_optimized_are_other_stages(self, tmp_path: Path, preset: str | None) -> None:
        keys = set()
        for how in ("naive", "optimized"):
            graph = stages(
                measure="throughput",
                model__implementation=how,
                throughput__preset=preset,
                throughput__batch_size=2,
                throughput__warmup=0,
                throughput__repeats=1,
            )
            keys.add(run(graph, Store(tmp_path), "throughput").key)
        assert len(keys) == 2

    def test_two_workers_time_steps_together(self, tmp_path: Path) -> None:
        timing = {"batch_size": 4, "workers": 2, "warmup": 1, "repeats": 3}
        overrides = {"measure": "throughput", **{f"throughput.{name}": value for name, value in timing.items()}}
        job = {"base": "tiny_digits", "overrides": overrides, "stage": "throughput", "store": str(tmp_path / "store")}
        train([job], 2, tmp_path / "group")
        result = Store(tmp_path / "store").get(stage_of(job).key)
        assert result is not None
        assert result.metrics["batch_size"] == 4, "of each device, like the rate"
        assert result.metrics["images_per_second"] == pytest.approx(
            4 / np.median([point["step_s"] for point in result.history])
        )

    def test_a_group_of_another_size_is_refused(self, tmp_path: Path) -> None:
        graph = stages(measure="throughput", throughput__workers=2)
        with pytest.raises(Exception, match=r"throughput\.workers is 2, but this group of resources\.train has 1"):
            run(graph, Store(tmp_path), "throughput")

    def test_a_batch_that_does_not_fit_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("adm.studies.throughput.objective_of", with_room(3))
        graph = stages(measure="throughput", throughput__batch_size=4)
        with pytest.raises(Exception, match=r"throughput\.batch_size 4 does not fit on cpu; use a smaller one"):
            run(graph, Store(tmp_path), "throughput")

    def test_another_device_than_asked_for_is_refused(self, tmp_path: Path) -> None:
        graph = stages(measure="throughput", throughput__device="V100")
        with pytest.raises(Exception, match=r"throughput\.device is 'V100', but this stage got"):
            run(graph, Store(tmp_path), "throughput")


class TestCompute:
    def days(self, tmp_path: Path, **compute: Any) -> dict[str, float]:
        overrides = {f"compute__{name}": value for name, value in compute.items()}
        return dict(run(stages(measure="compute", **overrides), Store(tmp_path), "compute").metrics)

    @pytest.mark.parametrize(
        ("parts", "generator"),
        [
            ({"generator__preset": "lsun_horse_256"}, 115.74),
            ({"generator__preset": "lsun_cat_256"}, 92.59),
            ({"generator__preset": "imagenet128"}, 520.91),
            ({"generator__preset": "imagenet256", "generator__iterations": 750_000}, 347.22),
            ({"generator__preset": "imagenet64", "upsampler__preset": "upsample_64_256"}, 328.68),
            ({"generator__preset": "imagenet128", "upsampler__preset": "upsample_128_512"}, 1873.57),
        ],
    )
    def test_generators_follow_from_table_7(self, tmp_path: Path, parts: dict[str, Any], generator: float) -> None:
        found = self.days(tmp_path, **parts)
        assert found["generator_v100_days"] == pytest.approx(generator, abs=0.01)
        assert found["total_v100_days"] == found["generator_v100_days"], "no classifier was asked for"

    def test_classifiers_scale_from_the_rows_that_are_declared(self, tmp_path: Path) -> None:
        whole = self.days(tmp_path, generator__preset="imagenet256", classifier__preset="classifier256")
        short = self.days(
            tmp_path,
            generator__preset="imagenet256",
            classifier__preset="classifier256",
            classifier__iterations=150_000,
        )
        assert whole["classifier_v100_days"] == pytest.approx(46)
        assert short["classifier_v100_days"] == pytest.approx(13.8)

    def test_gans_are_converted_from_what_was_published(self, tmp_path: Path) -> None:
        assert self.days(tmp_path, rival="biggan_deep_256") == {
            "total_v100_days": 256.0,
            "total_v100_days_least": 128.0,
        }
        assert round(PUBLISHED["stylegan2_lsun_horse"].most) == 130
        assert round(PUBLISHED["stylegan2_lsun_cat"].most) == 115
        assert [PUBLISHED[f"biggan_deep_{size}"].most for size in (128, 256, 512)] == [128, 256, 512]

    def test_what_the_paper_did_not_time_goes_by_its_operations(self) -> None:
        digits, imagenet = load("tiny_digits").model, load("imagenet64").model
        assert images_per_v100_second(imagenet, 0.5, of_the_paper=True) == (74.1, "table 7")
        rate, basis = images_per_v100_second(digits, 0.5, of_the_paper=True)
        assert rate == theoretical_throughput(digits) / 2
        assert basis == "50% of its theoretical rate"

    def test_a_config_of_its_own_is_priced_with_its_classifier(self, tmp_path: Path) -> None:
        found = self.days(tmp_path)
        assert set(found) == {"generator_v100_days", "classifier_v100_days", "total_v100_days"}
        two_stages = run(stages("digits_4_to_8", measure="compute"), Store(tmp_path), "compute").metrics
        assert two_stages["upsampler_v100_days"] > 0

    def test_a_device_without_a_worth_gives_no_days(self, tmp_path: Path) -> None:
        with pytest.raises(Exception, match="not in the table of devices"):
            self.days(tmp_path, throughput="measured")
