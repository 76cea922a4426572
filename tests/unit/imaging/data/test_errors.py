"""What is wrong with data is said in one message: what was found, what is allowed, what to do."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from adm.workload import workload
from assay.errors import AssayWarning, ConfigError, UserError
from image_files import SIZE, folder, lsun, npz, parquet, png, zipped
from imaging import data as imaging_data
from imaging.config import DataConfig
from imaging.data import open_source
from imaging.data.decoded_images import DecodedImages

WANTED = {"image_size": SIZE, "channels": 3}
"""What a stage says that it trains on."""


def opened(data: DataConfig, classes: int | None = None, channels: int = 3) -> Any:
    return open_source(data, SIZE, channels, classes)


class TestLabels:
    @pytest.mark.parametrize("source", ["npz", "parquet"])
    @pytest.mark.parametrize(
        ("labels", "told"),
        [
            ([0, 1, 2, 7], "8 classes, but the model has 3: image 3 has label 7, allowed: 0 to 2.*classes to 8"),
            ([0, -1, 2, 1], "label -1 of image 1 is negative; allowed: 0 to 2"),
            ([0.0, 1.0, 2.0, 1.0], "must be integers from 0; got (float64|double)"),
            (["a", "b", "c", "a"], "must be integers from 0; got"),
        ],
    )
    def test_labels_no_model_can_take(self, tmp_path: Path, source: str, labels: list[Any], told: str) -> None:
        if source == "npz":
            data = npz(tmp_path, np.zeros((4, 8, 8, 3), np.uint8), np.array(labels))
        else:
            data = parquet(tmp_path, [png(0)] * 4, label=labels)
        with pytest.raises(UserError, match=told):
            opened(data, 3)

    def test_missing_ones_matter_to_a_model_with_classes_only(self, tmp_path: Path) -> None:
        for data, told in (
            (npz(tmp_path, np.zeros((4, 8, 8, 3), np.uint8)), "neither arr_1 nor labels"),
            (parquet(tmp_path, [png(0)], lable=[1]), r"no column 'label' .*only image, lable; did you mean 'lable'\?"),
            (lsun(tmp_path / "lmdb", [png(0)]), "LMDB"),
        ):
            assert not opened(data).labels.any()
            assert not opened(data, 1).labels.any()
            with pytest.raises(
                UserError, match=rf"the model has 3 classes, but the data has no labels.*num_classes null.*{told}"
            ):
                opened(data, 3)

    def test_as_many_labels_as_images(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"one label per image, shape \(4,\); got \(3,\)"):
            opened(npz(tmp_path, np.zeros((4, 8, 8, 3), np.uint8), np.arange(3)), 4)

    def test_a_row_without_a_label(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="1 rows have no label"):
            opened(parquet(tmp_path, [png(0), png(1)], label=[0, None]), 2)

    def test_a_folder_of_more_classes_than_the_model_knows(self, tmp_path: Path) -> None:
        for name in ("a_1.png", "b_1.png", "c_1.png"):
            (tmp_path / name).write_bytes(png(0))
        with pytest.raises(UserError, match="3 classes, but the model has 2"):
            opened(DataConfig(source="folder", path=str(tmp_path)), 2)

    def test_a_file_in_no_subfolder(self, tmp_path: Path) -> None:
        (tmp_path / "cat").mkdir()
        (tmp_path / "cat" / "1.png").write_bytes(png(0))
        (tmp_path / "stray.png").write_bytes(png(0))
        with pytest.raises(UserError, match=r"stray\.png is in no subfolder.*data.labels basename"):
            opened(DataConfig(source="folder", path=str(tmp_path), labels="subfolder"))


class TestPaths:
    @pytest.mark.parametrize("source", ["folder", "npz", "parquet", "lmdb", "zip"])
    def test_none_given(self, source: Any) -> None:
        with pytest.raises(UserError, match=f"data.source {source} needs data.path"):
            opened(DataConfig(source=source))

    @pytest.mark.parametrize("source", ["folder", "npz", "parquet", "lmdb", "zip"])
    def test_nothing_there(self, tmp_path: Path, source: Any) -> None:
        (tmp_path / "images").mkdir()
        with pytest.raises(UserError, match="it does not exist; did you mean 'images'"):
            opened(DataConfig(source=source, path=str(tmp_path / "imagse")))

    def test_a_file_for_a_folder_and_a_folder_for_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(UserError, match=r"is not a folder; data.source folder takes the folder with the images"):
            opened(DataConfig(source="folder", path=str(tmp_path / "file")))
        with pytest.raises(UserError, match=r"is not a file; data.source npz takes an npz file"):
            opened(DataConfig(source="npz", path=str(tmp_path)))

    @pytest.mark.parametrize(
        ("source", "told"),
        [
            ("folder", r"contains no images; looked for \.png"),
            ("parquet", r"contains no \*\.parquet"),
            ("lmdb", "data.mdb"),
        ],
    )
    def test_an_empty_folder(self, tmp_path: Path, source: Any, told: str) -> None:
        with pytest.raises(UserError, match=told):
            opened(DataConfig(source=source, path=str(tmp_path)))


class TestFiles:
    def test_what_is_no_zip(self, tmp_path: Path) -> None:
        data = zipped(tmp_path, [png(0)])
        path = tmp_path / "some.zip"
        whole = path.read_bytes()
        for content in (b"", b"no zip", whole[:-40]):
            path.write_bytes(content)
            with pytest.raises(UserError, match=r"some\.zip cannot be read as a zip file"):
                opened(data)
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("labels.csv", "__MACOSX/._a_00.png", ".hidden/a_00.png"):
                archive.writestr(name, png(0))
        with pytest.raises(UserError, match=r"some\.zip contains no images; looked for \.png"):
            opened(data)

    def test_what_is_no_npz(self, tmp_path: Path) -> None:
        path = tmp_path / "some.npz"
        np.savez(path, np.zeros((4, 8, 8, 3), np.uint8))
        whole = path.read_bytes()
        for content in (b"", b"no npz", whole[:300], whole[:-40]):
            path.write_bytes(content)
            with pytest.raises(UserError, match=r"some\.npz cannot be read as an npz file.*numpy\.savez"):
                opened(DataConfig(source="npz", path=str(path)))

    def test_npz_arrays_that_are_no_images(self, tmp_path: Path) -> None:
        for array, told in (
            (np.zeros((4, 8, 8, 3)), r"got float64 \(4, 8, 8, 3\); scale the values"),
            (np.zeros((4, 8, 8), np.uint8), r"uint8 \(N, H, W, C\) with C 1 or 3; got uint8 \(4, 8, 8\)"),
            (np.zeros((4, 3, 8, 8), np.uint8), r"got uint8 \(4, 3, 8, 8\)"),
            (np.zeros((0, 8, 8, 3), np.uint8), r"got uint8 \(0, 8, 8, 3\)"),
            (np.array([None]), "got object"),
        ):
            with pytest.raises(UserError, match=told):
                opened(npz(tmp_path, array))

    def test_an_npz_without_arr_0_says_what_it_has(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"no array arr_0.*it has images, labels"):
            opened(npz(tmp_path, images=np.zeros((1, 8, 8, 3), np.uint8), labels=np.zeros(1, int)))

    def test_a_large_compressed_npz_is_warned_of(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import imaging.data.npz

        monkeypatch.setattr(imaging.data.npz, "LARGE_BYTES", 100)
        np.savez_compressed(tmp_path / "c.npz", np.zeros((4, 8, 8, 3), np.uint8))
        with pytest.warns(AssayWarning, match=r"compressed: every process.*numpy\.savez"):
            opened(DataConfig(source="npz", path=str(tmp_path / "c.npz")))

    @pytest.mark.parametrize("content", [b"", b"no parquet at all", b"PAR1 and PAR1"])
    def test_what_is_no_parquet(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "some.parquet").write_bytes(content)
        with pytest.raises(UserError, match=r"some\.parquet cannot be read as a parquet file"):
            opened(DataConfig(source="parquet", path=str(tmp_path)))

    def test_a_missing_image_column(self, tmp_path: Path) -> None:
        data = parquet(tmp_path, [png(0)]).model_copy(update={"image_column": "imgae"})
        with pytest.raises(
            UserError, match=r"no column 'imgae' \(data.image_column\), only image; did you mean 'image'"
        ):
            opened(data)

    @pytest.mark.parametrize("values", [["text"], [3], [{"path": "a.png"}], [[1, 2]]])
    def test_a_column_of_no_images(self, tmp_path: Path, values: Any) -> None:
        with pytest.raises(UserError, match=r"must be encoded images, binary or a struct.*got"):
            opened(parquet(tmp_path, values))

    def test_a_parquet_without_rows(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="has no rows"):
            opened(parquet(tmp_path, pa.array([], pa.binary())))  # type: ignore[arg-type]

    @pytest.mark.parametrize("content", [b"", b"no database" * 1000])
    def test_what_is_no_lmdb(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "data.mdb").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as an LMDB"):
            opened(DataConfig(source="lmdb", path=str(tmp_path)))

    def test_an_lmdb_whose_end_is_missing(self, tmp_path: Path) -> None:
        """What is not there of a mapped file ends the process that reads it."""
        data = lsun(tmp_path, [png(seed) for seed in range(200)])
        database = tmp_path / "data.mdb"
        whole = database.read_bytes()
        for part in (len(whole) // 2, len(whole) - 1):
            (tmp_path / "part").mkdir(exist_ok=True)
            (tmp_path / "part" / "data.mdb").write_bytes(whole[:part])
            with pytest.raises(UserError, match=rf"its data\.mdb is truncated, with {part:,} of {len(whole):,}"):
                opened(data.model_copy(update={"path": str(tmp_path / "part")}))

    def test_an_lmdb_that_becomes_shorter_while_it_is_open(self, tmp_path: Path) -> None:
        source = opened(data := lsun(tmp_path, [png(seed) for seed in range(200)]))
        os.truncate(tmp_path / "data.mdb", 4 * 4096)
        with pytest.raises(UserError, match=r"its data\.mdb is truncated"):
            opened(data)
        del source

    def test_an_lmdb_without_entries(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="an LMDB without entries"):
            opened(lsun(tmp_path, []))


class TestOptions:
    """Options that would have no effect are refused with the config."""

    @pytest.mark.parametrize(
        ("overrides", "told"),
        [
            ({"data.path": "somewhere"}, "not used by the built-in digits"),
            ({"data.crop": "random"}, "crop 'random' has no effect on data.source digits: it is for folder, npz"),
            ({"data.broken_images": "skip"}, "no effect on data.source digits"),
            ({"data.source": "folder", "data.image_column": "img"}, "for parquet; leave it out"),
            ({"data.source": "npz", "data.labels": "subfolder"}, "for folder, zip; leave it out"),
            ({"data.source": "npz", "data.broken_images": "skip"}, "for folder, parquet, lmdb"),
            ({"data.source": "lmdb"}, "lmdb has no classes"),
            ({"data.source": "lmdb", "model.num_classes": None}, "a classifier cannot be trained on data.source lmdb"),
            ({"data.source": "tfrecord"}, "folder"),
            ({"data.crop": "center"}, "centre"),
        ],
    )
    def test_refused(self, overrides: dict[str, Any], told: str) -> None:
        with pytest.raises(ConfigError, match=told):
            workload.resolve("digits", overrides)

    def test_images_have_one_channel_or_three(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"1 channel \(grey\) or 3 \(RGB\), but the model takes 4"):
            opened(folder(tmp_path, [png(0)]), channels=4)

    def test_the_digits_have_their_size(self) -> None:
        with pytest.raises(UserError, match="8×8 with 1 channel, but the model takes 16×16 with 3"):
            open_source(DataConfig(source="digits"), 16, 3)


class TestCheck:
    """What is found before anything is started."""

    def test_what_can_work_passes(self, tmp_path: Path) -> None:
        images = folder(tmp_path, [png(0), png(1)])
        data = images.model_dump(mode="json") | imaging_data.planned_data(images)
        imaging_data.check({"data": data, **WANTED})
        imaging_data.check({"data": data, "image_size": 4, "channels": 1, "extractor": "pixels"})
        imaging_data.check({"data": {"source": "digits"}, "image_size": 8, "channels": 1})

    @pytest.mark.parametrize("broken", [0, 2])
    def test_the_first_and_the_last_image_are_decoded(self, tmp_path: Path, broken: int) -> None:
        images = [png(0), png(1), png(2)]
        images[broken] = b""
        data = folder(tmp_path, images).model_dump(mode="json")
        with pytest.raises(UserError, match=f"a_{broken:02}.png"):
            imaging_data.check({"data": data, **WANTED})

    def test_a_classifiers_classes_are_its_outputs(self, tmp_path: Path) -> None:
        data = parquet(tmp_path, [png(0), png(1)], label=[0, 5]).model_dump(mode="json")
        with pytest.warns(AssayWarning, match="4 of the model's 6 classes have no image: 1, 2, 3, 4"):
            imaging_data.check({"data": data, **WANTED, "classes": 6})
        with pytest.raises(UserError, match="6 classes, but the model has 5"):
            imaging_data.check({"data": data, **WANTED, "classes": 5})
        with pytest.raises(UserError, match="6 classes, but the model has 3"):
            imaging_data.check({"data": data, **WANTED, "classes": 3})

    def test_a_thousand_sizes_are_looked_at_and_no_more(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        looked_at: list[int] = []
        monkeypatch.setattr("imaging.data.checks.MOST_HEADERS", 3)
        monkeypatch.setattr(DecodedImages, "check_sizes", lambda self, indices: looked_at.extend(indices.tolist()))
        data = folder(tmp_path, [png(index) for index in range(11)]).model_dump(mode="json") | {"crop": "none"}
        imaging_data.check({"data": data, **WANTED})
        assert looked_at == [0, 5, 10]

    def test_it_needs_no_torch(self, tmp_path: Path) -> None:
        data = folder(tmp_path, [png(0)]).model_dump(mode="json")
        config = {"data": data, **WANTED}
        code = f"import sys, imaging.data; imaging.data.check({config!r}); print('torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert done.stdout.strip() == "False"
