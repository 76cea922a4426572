"""Every source reads the same images: one contract, and what is a source's own."""

import io
import re
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import imaging.data.parquet
from adm.config import Config
from adm.workload import workload
from assay.errors import UserError
from assay.workload import topological
from imaging.config import DataConfig
from imaging.data import Source, open_source, planned_data, split
from imaging.data.folder import image_files
from imaging.data.npz import Npz

SIZE, COUNT = 8, 40
LABELS = np.repeat([0, 1, 2, 3], COUNT // 4)
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray[Any, Any], kind: str = "png") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **({"lossless": True} if kind == "webp" else {}))
    return buffer.getvalue()


def folder(path: Path, pixels: np.ndarray[Any, Any] = PIXELS) -> DataConfig:
    for index, (image, label) in enumerate(zip(pixels, LABELS, strict=False)):
        (path / f"class{label}_{index:03}.png").write_bytes(encoded(image))
    return DataConfig(source="folder", path=str(path))


def subfolders(path: Path) -> DataConfig:
    for index, (image, label) in enumerate(zip(PIXELS, LABELS, strict=True)):
        (path / f"n{label}" / "deeper").mkdir(parents=True, exist_ok=True)
        (path / f"n{label}" / "deeper" / f"{index:03}.PNG").write_bytes(encoded(image))
    return DataConfig(source="folder", path=str(path), labels="subfolder")


def npz(path: Path) -> DataConfig:
    np.savez(path / "images.npz", PIXELS, LABELS)
    return DataConfig(source="npz", path=str(path / "images.npz"))


def npz_compressed(path: Path) -> DataConfig:
    np.savez_compressed(path / "images.npz", arr_0=PIXELS, labels=LABELS.astype(np.uint8))
    return DataConfig(source="npz", path=str(path / "images.npz"))


def parquet(path: Path) -> DataConfig:
    table = pa.table({"image": [encoded(image) for image in PIXELS], "label": pa.array(LABELS, pa.int32())})
    pq.write_table(table, path / "train.parquet", row_group_size=7)
    return DataConfig(source="parquet", path=str(path / "train.parquet"))


def parquet_folder(path: Path) -> DataConfig:
    """As Hugging Face writes: structs with bytes and a path, in several files, the columns under other names."""
    for number, rows in enumerate((slice(0, 13), slice(13, COUNT))):
        images = [{"bytes": encoded(image), "path": None} for image in PIXELS[rows]]
        table = pa.table({"img": images, "fine_label": LABELS[rows]})
        pq.write_table(table, path / f"train-{number:05}-of-00002.parquet", row_group_size=10)
    return DataConfig(source="parquet", path=str(path), image_column="img", label_column="fine_label")


def lsun(path: Path) -> DataConfig:
    with lmdb.open(str(path), map_size=1 << 22) as environment, environment.begin(write=True) as transaction:
        for index, image in enumerate(PIXELS):
            transaction.put(f"{index:040x}".encode(), encoded(image, "webp"))
    return DataConfig(source="lmdb", path=str(path))


def contents(source: Any, path: str) -> Any:
    return planned_data(DataConfig(source=source, path=path))["contents"]


WRITERS = [folder, subfolders, npz, npz_compressed, parquet, parquet_folder, lsun]


@pytest.fixture(params=WRITERS, ids=lambda writer: writer.__name__)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> DataConfig:
    write: Callable[[Path], DataConfig] = request.param
    return write(tmp_path)


class TestEverySource:
    def open(self, data: DataConfig, **options: Any) -> Source:
        classes = None if data.source == "lmdb" else 4
        return open_source(data, SIZE, 3, classes, **options)

    def test_it_reads_the_pixels_that_were_written(self, data: DataConfig) -> None:
        source = self.open(data)
        images, labels = source.read(np.arange(COUNT))
        assert len(source) == len(source.labels) == COUNT
        assert images.dtype == np.uint8
        assert labels.dtype == source.labels.dtype == np.int64
        np.testing.assert_array_equal(images, PIXELS)
        np.testing.assert_array_equal(labels, 0 if data.source == "lmdb" else LABELS)
        np.testing.assert_array_equal(source.labels, labels)

    def test_indices_are_answered_in_their_order_and_as_often_as_asked(self, data: DataConfig) -> None:
        indices = np.array([39, 3, 3, 0, 21])
        examples = self.open(data).read(indices)
        np.testing.assert_array_equal(examples.images, PIXELS[indices])

    @pytest.mark.parametrize("threads", [2, 5])
    def test_any_number_of_threads_reads_the_same(self, data: DataConfig, threads: int) -> None:
        indices = np.random.default_rng(1).permutation(COUNT)
        several = self.open(data, threads=threads).read(indices)
        np.testing.assert_array_equal(several.images, PIXELS[indices])
        np.testing.assert_array_equal(several.labels, self.open(data).read(indices).labels)

    def test_it_may_be_read_from_several_threads_at_once(self, data: DataConfig) -> None:
        from concurrent.futures import ThreadPoolExecutor

        source = self.open(data, threads=2)
        orders = [np.random.default_rng(seed).permutation(COUNT) for seed in range(8)]
        with ThreadPoolExecutor(4) as pool:
            for order, examples in zip(orders, pool.map(source.read, orders), strict=True):
                np.testing.assert_array_equal(examples.images, PIXELS[order])

    def test_grey_models_get_grey_images(self, data: DataConfig) -> None:
        images, _ = open_source(data, SIZE, 1).read(np.array([5]))
        np.testing.assert_array_equal(images[0, ..., 0], np.asarray(Image.fromarray(PIXELS[5]).convert("L")))

    def test_no_images_are_no_error(self, data: DataConfig) -> None:
        assert self.open(data).read(np.array([], dtype=np.int64)).images.shape == (0, SIZE, SIZE, 3)

    def test_other_content_has_another_contents(self, data: DataConfig, tmp_path: Path) -> None:
        assert data.path is not None
        before = contents(data.source, data.path)
        assert before == contents(data.source, data.path)
        changed = next(path for path in sorted(tmp_path.rglob("*")) if path.is_file() and path.name != "lock.mdb")
        changed.write_bytes(changed.read_bytes() + b"!")
        assert contents(data.source, data.path) != before


class TestFolder:
    def test_classes_are_the_sorted_names_not_their_order_of_meeting(self, tmp_path: Path) -> None:
        for name in ("zebra_1.png", "a/lion_2.png", "b/ant_3.png", "lion_0.webp"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            Image.fromarray(PIXELS[0]).save(tmp_path / name)
        source = open_source(DataConfig(source="folder", path=str(tmp_path)), SIZE, 3, 3)
        assert source.labels.tolist() == [1, 0, 1, 2], "a/lion, b/ant, lion, zebra"

    def test_other_files_are_no_images(self, tmp_path: Path) -> None:
        data = folder(tmp_path)
        (tmp_path / "README.txt").write_text("mine")
        assert len(open_source(data, SIZE, 3)) == COUNT

    def test_linked_class_folders_are_read_and_counted(self, tmp_path: Path) -> None:
        everything, subset, copied = (tmp_path / name for name in ("everything", "subset", "copied"))
        everything.mkdir()
        subfolders(everything)
        for root in (subset, copied):
            shutil.copytree(everything / "n0", root / "n0")
        shutil.copytree(everything / "n2", copied / "n2")
        (subset / "n2").symlink_to(everything / "n2", target_is_directory=True)
        data = DataConfig(source="folder", path=str(subset), labels="subfolder")
        source = open_source(data, SIZE, 3, 2)
        np.testing.assert_array_equal(source.read(np.arange(len(source))).images, PIXELS[np.isin(LABELS, (0, 2))])
        assert source.labels.tolist() == [0] * 10 + [1] * 10
        assert contents("folder", str(subset)) == contents("folder", str(copied))
        changed = everything / "n2" / "deeper" / "020.PNG"
        changed.write_bytes(changed.read_bytes() + b"!")
        assert contents("folder", str(subset)) != contents("folder", str(copied))

    def test_links_that_lead_round_in_a_circle_are_left_out(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            Image.fromarray(PIXELS[0]).save(tmp_path / name / f"{name}_0.png")
        before = contents("folder", str(tmp_path))
        (tmp_path / "a" / "all").symlink_to(tmp_path)
        (tmp_path / "b" / "itself").symlink_to(".")
        assert image_files(tmp_path) == ["a/a_0.png", "b/b_0.png"]
        assert contents("folder", str(tmp_path)) == before
        (tmp_path / "a" / "other").symlink_to(tmp_path / "b")
        (tmp_path / "b" / "other").symlink_to(tmp_path / "a")
        assert image_files(tmp_path) == ["a/a_0.png", "a/other/b_0.png", "b/b_0.png", "b/other/a_0.png"]

    def test_a_folder_has_the_key_that_it_ever_had(self, tmp_path: Path) -> None:
        """Or all that is stored of it would be computed again."""
        for name, content in {
            "b/x_1.png": b"12",
            "a/deep/y_2.PNG": b"1",
            ".hidden/z.png": b"123",
            "notes.txt": b"1234",
            "c.gif": b"",
        }.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        (tmp_path / "empty").mkdir()
        (tmp_path / "c_link.png").symlink_to(tmp_path / "b" / "x_1.png")
        names = ["a/deep/y_2.PNG", "b/x_1.png", "c.gif", "c_link.png"]
        hashes = [sha256(content).digest() for content in (b"1", b"12", b"", b"12")]
        parts = "\0".join(names).encode(), b"".join(hashes)
        expected = sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()[:32]
        assert contents("folder", str(tmp_path)) == expected == "7f3229ddcdffb076bafd34f263b81a4e"

    def test_the_first_frame_of_a_gif_is_read(self, tmp_path: Path) -> None:
        frames = [Image.new("RGB", (SIZE, SIZE), colour) for colour in ((250, 0, 0), (0, 250, 0))]
        frames[0].save(tmp_path / "a_0.gif", save_all=True, append_images=frames[1:])
        source = open_source(DataConfig(source="folder", path=str(tmp_path)), SIZE, 3)
        assert source.read(np.array([0])).images[0, 0, 0].tolist() == [250, 0, 0]


class TestModes:
    """Other pixels than 8 bits of grey or RGB."""

    def read(self, path: Path, channels: int = 3) -> np.ndarray[Any, Any]:
        return open_source(DataConfig(source="folder", path=str(path)), SIZE, channels).read(np.array([0])).images[0]

    @pytest.mark.parametrize("channels", [1, 3])
    def test_16_bit_grey_is_scaled_to_8_and_not_cut_off(self, tmp_path: Path, channels: int) -> None:
        values = np.random.default_rng(0).integers(0, 2**16, (SIZE, SIZE), dtype=np.uint16)
        values[0, :4] = 0, 128, 129, 65535
        Image.fromarray(values).save(tmp_path / "x.png")
        found = self.read(tmp_path, channels)
        assert found[0, :4, 0].tolist() == [0, 0, 1, 255]
        np.testing.assert_array_equal(found, (values / 257).round()[..., None].repeat(channels, axis=2))

    def test_a_palette_with_transparency_is_shown_over_white(self, tmp_path: Path) -> None:
        image = Image.fromarray(np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE) % 4, "P")
        image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
        image.save(tmp_path / "x.png", transparency=bytes([0, 100, 200, 255]))
        over_white = [[255, 255, 255], [171, 175, 179], [110, 118, 126], [100, 110, 120]]
        assert self.read(tmp_path)[0, :4].tolist() == over_white


class TestNpz:
    def test_what_cannot_be_read_of_an_archive_is_said(self, tmp_path: Path) -> None:
        """Both were a traceback: no array of that name, and an archive that Python does not unpack."""
        for name, content, says in (
            ("arr_0", b"no array", "has no array arr_0, where the images should be; it has arr_0 (no array)"),
            ("arr_0.npy", b"\x93NUMPY\x09\x09", "cannot be read as an npz file"),
        ):
            file = tmp_path / "x.npz"
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(name, content)
            with pytest.raises(UserError, match=re.escape(says)):
                Npz(DataConfig(source="npz", path=str(file)))

    def test_what_is_stored_as_it_is_is_mapped_and_not_loaded(self, tmp_path: Path) -> None:
        assert isinstance(Npz(npz(tmp_path))._images, np.memmap)

    def test_fortran_order(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "f.npz", np.asfortranarray(PIXELS))
        source = open_source(DataConfig(source="npz", path=str(tmp_path / "f.npz")), SIZE, 3)
        np.testing.assert_array_equal(source.read(np.arange(COUNT)).images, PIXELS)

    def test_grey_images(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "grey.npz", PIXELS[..., :1])
        data = DataConfig(source="npz", path=str(tmp_path / "grey.npz"))
        np.testing.assert_array_equal(open_source(data, SIZE, 1).read(np.arange(3)).images, PIXELS[:3, ..., :1])
        np.testing.assert_array_equal(
            open_source(data, SIZE, 3).read(np.arange(3)).images, PIXELS[:3, ..., :1].repeat(3, 3)
        )

    def test_other_content_of_the_same_size_has_another_contents(self, tmp_path: Path) -> None:
        data = npz(tmp_path)
        assert data.path is not None
        size, before = Path(data.path).stat().st_size, contents("npz", data.path)
        big = np.zeros((200, 64, 64, 3), dtype=np.uint8)
        for value in (0, 1):
            big[100] = value
            np.savez(data.path, big)
            assert contents("npz", data.path) != before
            before, size = contents("npz", data.path), Path(data.path).stat().st_size
        assert size > 2_000_000, "the changed bytes are neither at its beginning nor at its end"


class TestParquet:
    def test_only_the_row_groups_last_used_are_held_where_not_all_fit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = parquet(tmp_path)
        monkeypatch.setattr(imaging.data.parquet, "HELD_BYTES", 3000)
        stored = imaging.data.parquet.Parquet(data)
        assert not stored.scattered
        for index in np.random.default_rng(0).permutation(COUNT):
            np.testing.assert_array_equal(np.asarray(stored.open(int(index))), PIXELS[index])
        assert 1 <= len(stored._cache) < len(stored._groups)
        assert stored._cached_bytes == sum(column.nbytes for column in stored._cache.values()) <= 3000

    def test_a_row_is_named_within_its_file(self, tmp_path: Path) -> None:
        stored = imaging.data.parquet.Parquet(parquet_folder(tmp_path))
        assert stored.name(12) == f"row 12 of {tmp_path / 'train-00000-of-00002.parquet'}"
        assert stored.name(13) == f"row 0 of {tmp_path / 'train-00001-of-00002.parquet'}"
        assert stored.name(39) == f"row 26 of {tmp_path / 'train-00001-of-00002.parquet'}"

    def test_large_row_groups_that_do_not_fit_are_warned_of(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(imaging.data.parquet, "HELD_BYTES", 3000)
        monkeypatch.setattr(imaging.data.parquet, "SMALL_GROUP_ROWS", 4)
        with pytest.warns(UserWarning, match="row groups of about 6.*row_group_size up to 4"):
            imaging.data.parquet.Parquet(parquet(tmp_path))

    def test_unlabelled_data_is_all_of_class_0(self, tmp_path: Path) -> None:
        data = parquet(tmp_path).model_copy(update={"label_column": None})
        assert not open_source(data, SIZE, 3).labels.any()


class TestLmdb:
    def test_a_database_can_be_opened_again_in_the_same_process(self, tmp_path: Path) -> None:
        data = lsun(tmp_path)
        first, second = open_source(data, SIZE, 3), open_source(data, SIZE, 3)
        np.testing.assert_array_equal(first.read(np.array([1])).images, second.read(np.array([1])).images)

    def test_it_needs_no_lock_file(self, tmp_path: Path) -> None:
        data = lsun(tmp_path)
        (tmp_path / "lock.mdb").unlink()
        assert len(open_source(data, SIZE, 3)) == COUNT
        assert not (tmp_path / "lock.mdb").exists()


class TestSplit:
    def test_every_class_gives_its_share(self, tmp_path: Path) -> None:
        source = open_source(npz(tmp_path), SIZE, 3)
        training, held_out = split(source, 0.2)
        assert np.bincount(source.labels[held_out]).tolist() == [2, 2, 2, 2]
        assert sorted([*training, *held_out]) == list(range(COUNT))


class TestStages:
    """What of the data is in a stage's key."""

    def keys(self, **overrides: Any) -> dict[str, str]:
        config = workload.resolve("imagenet64", {f"data.{name}": value for name, value in overrides.items()})
        return {stage.name: stage.key for stage in topological(workload.stages(config))}

    @pytest.mark.parametrize("write", [folder, npz, parquet, parquet_folder], ids=lambda write: write.__name__)
    def test_other_data_is_another_stage(self, tmp_path: Path, write: Callable[[Path], DataConfig]) -> None:
        chosen = write(tmp_path).model_dump(exclude_unset=True)
        before = self.keys(**chosen)
        changed = next(iter(sorted(tmp_path.iterdir())))
        if changed.suffix == ".png":
            changed.write_bytes(changed.read_bytes() + b"!")
        elif changed.suffix == ".npz":
            np.savez(changed, 255 - PIXELS, LABELS)
        else:
            pq.write_table(pq.read_table(changed).slice(1), changed)
        after = self.keys(**chosen)
        assert all(before[name] != after[name] for name in ("train", "reference"))

    @pytest.mark.parametrize("option", [{"crop": "random"}, {"flip": False}, {"validation": 0.25}])
    def test_what_varies_training_leaves_the_reference_alone(self, option: dict[str, Any]) -> None:
        def reference(**data: Any) -> Any:
            config = workload.resolve(
                "digits",
                {
                    "data.source": "folder",
                    "data.flip": True,
                    "evaluate.extractor": "pixels",
                    "sample.guidance_scale": 0.0,
                    **{f"data.{name}": value for name, value in data.items()},
                },
            )
            return {stage.name: stage for stage in topological(workload.stages(config))}

        assert reference()["reference"].key == reference(**option)["reference"].key
        if "validation" not in option:
            assert reference()["train"].key != reference(**option)["train"].key

    def test_broken_images_are_the_references_business_too(self) -> None:
        before, after = self.keys(), self.keys(broken_images="skip")
        assert all(before[name] != after[name] for name in ("train", "reference"))

    def test_a_config_without_classes_takes_lmdb(self) -> None:
        config = workload.resolve("lsun_bedroom_256", {"data.source": "lmdb"})
        assert Config.model_validate(config).data.source == "lmdb"
