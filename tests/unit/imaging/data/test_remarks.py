"""What of a data set may be meant otherwise is said with counts, wherever a stage's data is checked."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import imaging.data as imaging_data
from assay.errors import UserError, passing_warnings
from imaging.config import DataConfig
from imaging.evaluation import checks as evaluation_checks

SIZE = 8


def picture(seed: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)).save(file, "png")
    return file.getvalue()


def folder(root: Path, *names: str, **data: Any) -> DataConfig:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(number))
    return DataConfig(source="folder", path=str(root), **data)


def parquet(root: Path, **files: int) -> DataConfig:
    root.mkdir()
    for name, rows in files.items():
        table = pa.table({"image": [picture(row) for row in range(rows)], "label": np.arange(rows) % 2})
        pq.write_table(table, root / f"{name}.parquet")
    return DataConfig(source="parquet", path=str(root))


def said(data: DataConfig, classes: int | None = None) -> list[str]:
    wanted = {"image_size": SIZE, "channels": 1, "classes": classes}
    told: list[str] = []
    with passing_warnings(told.append):
        imaging_data.check({"data": data.model_dump(), **wanted})
    return told


class TestFilesThatAreNotRead:
    def test_pictures_of_other_formats_are_counted(self, tmp_path: Path) -> None:
        names = ["a.png", *(f"{i}.tif" for i in range(10)), "b.heic", "c.heic", "d.JPG.bak", "e.JPG.bak", "LICENSE"]
        assert said(folder(tmp_path / "x", *names)) == [
            f"data.path '{tmp_path / 'x'}': 15 files are not read: 10 .tif, 2 .JPG.bak, 2 .heic, 1 without a suffix; "
            "only .png, .jpg, .jpeg, .gif, .bmp, .webp are read"
        ]

    def test_a_name_is_shown_without_what_a_terminal_obeys(self, tmp_path: Path) -> None:
        (told,) = said(folder(tmp_path / "x", "a.png", "b.\x1b[31m", "c.\udcff"))
        assert told.isprintable()
        assert "2 files are not read: 1 .\\x1b[31m, 1 .\\xff" in told

    def test_parquet_in_subfolders(self, tmp_path: Path) -> None:
        data = parquet(tmp_path / "x", images=4)
        (tmp_path / "x" / "more").mkdir()
        (tmp_path / "x" / "more" / "0.parquet").write_bytes(b"")
        (told,) = said(data)
        assert "1 file is not read: 1 .parquet; only .parquet directly in this folder are read" in told

    def test_nothing_is_said_where_all_is_read(self, tmp_path: Path) -> None:
        names = [f"{kind}_{number}.png" for kind in ("cat", "dog") for number in range(3)]
        assert said(folder(tmp_path / "x", *names), classes=2) == []
        assert said(parquet(tmp_path / "y", **{"train-0": 4, "train-1": 4}), classes=2) == []


class TestSplits:
    def test_parquet(self, tmp_path: Path) -> None:
        (told,) = said(parquet(tmp_path / "x", **{"train-00000-of-00002": 5, "train-00001-of-00002": 5, "test": 2}))
        assert told == (
            f"data.path '{tmp_path / 'x'}' mixes splits: train (2 files, such as train-00000-of-00002.parquet) and "
            "test (1 file, such as test.parquet); all 12 images are read as one data set. To read one split, name its "
            "file"
        )

    @pytest.mark.parametrize(
        "names",
        [
            ("train/cat/1.png", "val/cat/2.png"),
            ("cat/train2017/1.png", "cat/val2017/2.png"),
            ("Training/1.png", "Test/2.png"),
            ("train_images/1.png", "dev-set/2.png"),
            ("train_1.png", "test_2.png"),
        ],
    )
    def test_folders(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        told = [line for line in said(folder(tmp_path / "x", *names)) if "mixes splits: train (1 file" in line]
        assert len(told) == 1
        assert "all 2 images are read as one data set" in told[0]

    def test_splits_that_are_taken_for_classes(self, tmp_path: Path) -> None:
        (told,) = said(folder(tmp_path / "x", "train/1.png", "test/2.png", labels="subfolder"))
        assert "data.labels subfolder reads them as classes" in told

    @pytest.mark.parametrize("names", [("train/1.png", "bus/2.png"), ("tests/1.png", "trainer/2.png")])
    def test_other_names_are_none(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        assert said(folder(tmp_path / "x", *names, labels="subfolder")) == []

    def test_arrays_of_an_npz(self, tmp_path: Path) -> None:
        images = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 1), dtype=np.uint8)
        np.savez(tmp_path / "x.npz", images, x_train=images, x_test=images, mu=np.zeros(3))
        (told,) = said(DataConfig(source="npz", path=str(tmp_path / "x.npz")))
        assert "2 arrays are not read: x_train, x_test; only arr_0 and its labels are read" in told


class TestClasses:
    def test_fewer_than_the_model_has(self, tmp_path: Path) -> None:
        names = [f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(3)]
        (told,) = said(folder(tmp_path / "x", *names, labels="subfolder"), classes=10)
        assert told.endswith("8 of the model's 10 classes have no image; the data has 2 ('cat', 'dog')")

    def test_labels_that_are_numbers_name_those_without_images(self, tmp_path: Path) -> None:
        table = pa.table({"image": [picture()] * 4, "label": [0, 1, 3, 9]})
        pq.write_table(table, tmp_path / "x.parquet")
        (told,) = said(DataConfig(source="parquet", path=str(tmp_path / "x.parquet")), classes=10)
        assert told.endswith(
            "6 of the model's 10 classes have no image: 2, 4, 5, 6, 7 and 1 more; the data has 4 (0, 1, 3, 9)"
        )

    @pytest.mark.parametrize(
        ("labels", "name", "told"),
        [
            (
                "basename",
                "IMG",
                "their names begin with the same word; data.labels subfolder uses the first folder as the class",
            ),
            ("subfolder", "pets", "all are in one folder; data.labels basename uses the name before '_'"),
        ],
    )
    def test_all_of_one_class(self, tmp_path: Path, labels: Any, name: str, told: str) -> None:
        data = folder(tmp_path / "x", *(f"pets/IMG_{number}.png" for number in range(5)), labels=labels)
        (line,) = said(data, classes=10)
        assert "9 of the model's 10 classes have no image: all 5 images are of class " + repr(name) in line
        assert told in line

    def test_a_class_with_hardly_any_image(self, tmp_path: Path) -> None:
        names = [f"cat_{i}.png" for i in range(40)] + [f"dog_{i}.png" for i in range(50)] + ["owl_0.png"]
        (told,) = said(folder(tmp_path / "x", *names), classes=3)
        assert told.endswith(
            "1 class of 3 with fewer than 10 images each, where half of the classes have 40 and more: 'owl' has 1"
        )

    def test_a_model_that_is_told_no_classes_is_told_nothing_of_them(self, tmp_path: Path) -> None:
        assert said(folder(tmp_path / "x", "IMG_1.png", "IMG_2.png")) == []


class TestFirstImages:
    def test_those_that_are_black_are_warned_of_where_others_are_not(self, tmp_path: Path) -> None:
        images = np.zeros((200, SIZE, SIZE, 1), np.uint8)
        images[64:] = np.random.default_rng(0).integers(0, 256, (136, SIZE, SIZE, 1))
        np.savez(tmp_path / "x.npz", images)
        config = {"data": {"source": "npz", "path": str(tmp_path / "x.npz")}, "image_size": SIZE, "channels": 1}
        with pytest.warns(UserWarning, match=r"the first 64 images are each of one colour.*later ones look fine"):
            evaluation_checks.reference(config)
        np.savez(tmp_path / "x.npz", images[:64].repeat(3, axis=0))
        with pytest.raises(UserError, match="the first 64 images are each of one colour"):
            evaluation_checks.reference(config)

    def test_a_file_that_is_evaluated_likewise(self, tmp_path: Path) -> None:
        from imaging.reference.npz_images import NpzImages

        images = np.zeros((70, SIZE, SIZE, 3), np.uint8)
        images[64:] = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3))
        np.savez(tmp_path / "x.npz", images)
        with pytest.warns(UserWarning, match=r"the first 64 images are each of one colour.*later ones look fine"):
            assert len(NpzImages.open(tmp_path / "x.npz")) == 70


def test_data_of_a_network_that_another_stage_makes_is_looked_at_in_any_size(tmp_path: Path) -> None:
    data = folder(tmp_path / "x", "a.png", crop="none").model_dump()
    imaging_data.check({"data": data, "steps": 4})
    (tmp_path / "x" / "a.png").write_bytes(b"none")
    with pytest.raises(UserError, match=r"a\.png cannot be decoded"):
        imaging_data.check({"data": data, "steps": 4})
