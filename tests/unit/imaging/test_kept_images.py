"""Images are kept by choice: as a file, without being drawn again, and without being in memory all at once."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from assay.errors import ConfigError
from assay.store import Store
from imaging.kept_images import ShardImages, write_npz, write_pngs
from quick_samples import compute, drawing, graph, result, tensors


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store in which everything is computed, and no images kept."""
    store = Store(tmp_path_factory.mktemp("none"))
    compute(graph(), store)
    return store


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store in which everything is computed, and the images kept as npz."""
    store = Store(tmp_path_factory.mktemp("npz"))
    compute(graph(sample__keep_images="npz"), store)
    return store


class TestStages:
    def test_keeping_images_changes_no_key(self) -> None:
        none, npz, png = (graph(sample__keep_images=how) for how in ("none", "npz", "png"))
        assert none.keys() == npz.keys() - {"draw", "images"}
        assert all(none[name].key == npz[name].key == png[name].key for name in none)
        assert npz["draw"].key == png["draw"].key
        assert npz["images"].key != png["images"].key

    @pytest.mark.slow
    def test_without_keeping_them_only_those_of_the_grid_are_stored(self, trained: Store) -> None:
        sample = result(graph(), trained, "features")
        columns = {s.start: pq.read_schema(trained.files.local_path(s.file.path)).names for s in sample.shards}
        assert {start: "image" in names for start, names in columns.items()} == {0: True, 40: True, 80: True} | {
            100: False,
            120: False,
        }
        assert tensors(sample, "features").shape == (130, 64)
        assert result(graph(), trained, "evaluate").file("samples.png").is_file()
        reference = result(graph(), trained, "reference")
        assert "image" not in pq.read_schema(trained.files.local_path(reference.shards[0].file.path)).names

    @pytest.mark.slow
    def test_the_file_holds_what_the_features_are_of(self, kept: Store, trained: Store) -> None:
        stages = graph(sample__keep_images="npz")
        with np.load(result(stages, kept, "images").file("samples.npz")) as file:
            images, labels = file["arr_0"], file["arr_1"]
        assert (images.shape, images.dtype) == ((130, 8, 8, 1), np.uint8)
        assert labels.tolist() == [i % 10 for i in range(130)]
        features = tensors(result(stages, kept, "features"), "features")
        assert np.array_equal(features, images.reshape(130, 64).astype(np.float32) / 127.5 - 1)
        assert np.array_equal(features, tensors(result(graph(), trained, "features"), "features"))
        assert result(stages, kept, "evaluate").metrics == result(graph(), trained, "evaluate").metrics, (
            "keeping images changes no metric"
        )

    def test_another_format_draws_nothing_again(self, kept: Store) -> None:
        with drawing() as count:
            told = compute(stages := graph(sample__keep_images="png"), kept)
        assert list(told) == ["images"]
        assert count == []
        with np.load(result(graph(sample__keep_images="npz"), kept, "images").file("samples.npz")) as file:
            images = file["arr_0"]
        with zipfile.ZipFile(result(stages, kept, "images").file("samples.zip")) as archive:
            assert archive.namelist() == [*(f"{i:06d}.png" for i in range(130)), "labels.csv"]
            assert archive.read("labels.csv").decode().splitlines()[:3] == ["id,label", "0,0", "1,1"]
            for i in (0, 57, 129):
                with Image.open(io.BytesIO(archive.read(f"{i:06d}.png"))) as picture:
                    assert np.array_equal(np.asarray(picture), images[i, ..., 0])

    def test_images_are_drawn_once_for_the_file_and_the_features(self, tmp_path: Path) -> None:
        with drawing() as count:
            compute(graph(sample__keep_images="npz", evaluate__num_samples=30), Store(tmp_path))
        assert sum(count) == 30 * 2, "two steps an image"

    def test_to_keep_them_later_computes_no_metric_again(self, trained: Store, tmp_path: Path) -> None:
        told = compute(graph(sample__keep_images="npz"), trained)
        assert sorted(told) == ["draw", "images"]

    def test_an_unconditional_model_has_no_labels_to_keep(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        for how, name in (("npz", "samples.npz"), ("png", "samples.zip")):
            stages = graph(sample__keep_images=how, model__num_classes=None, evaluate__num_samples=12)
            compute(stages, store)
            names = zipfile.ZipFile(result(stages, store, "images").file(name)).namelist()
            assert names == ["arr_0.npy"] if how == "npz" else [f"{i:06d}.png" for i in range(12)]

    def test_png_of_two_channels_is_refused_before_anything_starts(self) -> None:
        with pytest.raises(ConfigError, match=r"sample\.keep_images.*png is for grey images.*use npz"):
            graph(sample__keep_images="png", model__in_channels=2, model__out_channels=4)


class TestFiles:
    def parts(self, count: int, size: int = 8, channels: int = 3) -> Iterator[ShardImages]:
        """Parts of 16 images and fewer."""
        for start in range(0, count, 16):
            rng = np.random.default_rng(start)
            num = min(16, count - start)
            images = rng.integers(0, 256, (num, size, size, channels), dtype=np.uint8)
            yield ShardImages(start, images, rng.integers(0, 10, num))

    def test_an_npz_is_what_numpy_would_have_written(self, tmp_path: Path) -> None:
        write_npz(tmp_path / "ours.npz", self.parts(40), 40)
        images = np.concatenate([part.images for part in self.parts(40)])
        np.savez(tmp_path / "numpy.npz", images, np.concatenate([part.labels for part in self.parts(40)]))
        with zipfile.ZipFile(tmp_path / "ours.npz") as ours, zipfile.ZipFile(tmp_path / "numpy.npz") as theirs:
            assert ours.namelist() == theirs.namelist() == ["arr_0.npy", "arr_1.npy"]
            for name in ours.namelist():
                assert ours.read(name) == theirs.read(name)

    def test_a_file_larger_than_memory_allows_is_written_a_part_at_a_time(self, tmp_path: Path) -> None:
        """64 MiB of images in parts of 1 MiB: what is in memory at once is a few parts."""
        tracemalloc.start()
        try:
            write_npz(tmp_path / "many.npz", self.parts(1024, size=148), 1024)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (tmp_path / "many.npz").stat().st_size > 64 << 20
        assert peak < 8 << 20

    def test_threads_keep_the_order_of_pngs(self, tmp_path: Path) -> None:
        write_pngs(tmp_path / "images.zip", self.parts(40), threads=4)
        images = np.concatenate([part.images for part in self.parts(40)])
        with zipfile.ZipFile(tmp_path / "images.zip") as archive:
            for i, image in enumerate(images):
                with Image.open(io.BytesIO(archive.read(f"{i:06d}.png"))) as picture:
                    assert np.array_equal(np.asarray(picture), image)
