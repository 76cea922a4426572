"""The key of data is of what is read: not of where it is, how its path is spelled, or what lies beside it."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from adm.workload import workload
from assay.errors import UserError
from assay.workload import topological
from imaging.config import DataConfig
from imaging.data import num_images, open_planned, planned_data

COUNT, SIZE = 12, 8
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)


def bmp(pixels: np.ndarray[Any, Any]) -> bytes:
    """Other pixels are as many bytes."""
    header = Image.fromarray(pixels[::-1, :, ::-1].copy())
    with tempfile.SpooledTemporaryFile() as file:
        header.save(file, "bmp")
        file.seek(0)
        return file.read()


def folder(path: Path, pixels: np.ndarray[Any, Any] = PIXELS) -> DataConfig:
    path.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(pixels):
        (path / f"{index % 3}_{index:02}.bmp").write_bytes(bmp(image))
    return DataConfig(source="folder", path=str(path))


def npz(path: Path, pixels: np.ndarray[Any, Any] = PIXELS) -> DataConfig:
    path.mkdir(parents=True, exist_ok=True)
    np.savez(path / "images.npz", pixels)
    return DataConfig(source="npz", path=str(path / "images.npz"))


def parquet(path: Path, pixels: np.ndarray[Any, Any] = PIXELS) -> DataConfig:
    path.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate((slice(0, 5), slice(5, COUNT))):
        table = pa.table({"image": [bmp(image) for image in pixels[rows]], "label": list(range(len(pixels[rows])))})
        pq.write_table(table, path / f"part-{number}.parquet", compression="none")
    return DataConfig(source="parquet", path=str(path))


def lsun(path: Path, pixels: np.ndarray[Any, Any] = PIXELS) -> DataConfig:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    with lmdb.open(str(path), map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
        for index, image in enumerate(pixels):
            transaction.put(f"{index:04}".encode(), bmp(image))
    return DataConfig(source="lmdb", path=str(path))


def zipped(path: Path, pixels: np.ndarray[Any, Any] = PIXELS) -> DataConfig:
    path.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path / "images.zip", "w") as archive:
        for index, image in enumerate(pixels):
            archive.writestr(zipfile.ZipInfo(f"{index:02}.bmp"), bmp(image))
    return DataConfig(source="zip", path=str(path / "images.zip"))


@pytest.fixture(params=[folder, npz, parquet, lsun, zipped], ids=lambda write: write.__name__)
def write(request: pytest.FixtureRequest) -> Callable[..., DataConfig]:
    return request.param


def contents(data: DataConfig) -> str:
    found = planned_data(data)["contents"]
    assert isinstance(found, str)
    return found


def keys(path: str, **more: Any) -> dict[str, str]:
    overrides = {"data.source": "folder", "data.path": path, "evaluate.num_reference": 6, "classifier": None}
    overrides |= {"evaluate.extractor": "pixels", "sample.guidance_scale": 0.0, "model.num_classes": None, **more}
    stages = topological(workload.stages(workload.resolve("tiny_digits", overrides)))
    return {stage.name: stage.key for stage in stages}


def opened(data: DataConfig) -> Any:
    return open_planned(data.model_dump(mode="json") | planned_data(data), SIZE, 3)


class TestWhereItIs:
    def test_a_path_by_any_spelling_and_by_links_is_the_same_data(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder(tmp_path / "images")
        (tmp_path / "x").mkdir()
        (tmp_path / "link").symlink_to("images")
        (tmp_path / "links").mkdir()
        for file in (tmp_path / "images").iterdir():
            (tmp_path / "links" / file.name).symlink_to(file)
        shutil.copytree(tmp_path / "images", tmp_path / "elsewhere" / "copy")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        expected = keys(str(tmp_path / "images"))
        for path in ("images", "./images", "images/", "x/../images", "~/images", "link", "links", "elsewhere/copy"):
            assert keys(path) == expected, path

    def test_a_stage_gets_the_whole_path_and_the_config_shows_it_as_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder(tmp_path / "images")
        monkeypatch.chdir(tmp_path)
        given = {"data.source": "folder", "data.path": "images", "evaluate.num_reference": None}
        config = workload.resolve("digits", given)
        assert config["data"]["path"] == "images"
        reading = [stage for stage in topological(workload.stages(config)) if "data" in stage.config]
        assert {stage.name for stage in reading} == {"train", "train_classifier", "reference"}
        assert {stage.config["data"]["path"] for stage in reading} == {str(tmp_path / "images")}

    def test_a_copy_of_any_source_is_the_same_data(self, tmp_path: Path, write: Callable[..., DataConfig]) -> None:
        data = write(tmp_path / "here")
        shutil.copytree(tmp_path / "here", tmp_path / "there")
        assert data.path is not None
        copied = data.model_copy(update={"path": data.path.replace("here", "there")})
        assert contents(copied) == contents(data)

    def test_names_of_files_that_say_nothing_do_not_matter(self, tmp_path: Path) -> None:
        data = parquet(tmp_path / "here")
        before = contents(data)
        for number in range(2):
            (tmp_path / "here" / f"part-{number}.parquet").rename(tmp_path / "here" / f"shard-{number}.parquet")
        (tmp_path / "here" / "._shard-0.parquet").write_bytes(b"resource fork")
        assert contents(data) == before

    @pytest.mark.parametrize(
        "stray",
        [
            *(".DS_Store", "notes.txt", "Thumbs.db", ".ipynb_checkpoints/0_00-checkpoint.bmp", "._0_00.bmp"),
            *("__MACOSX/0_00.bmp", "@eaDir/0_00.bmp/SYNOPHOTO.bmp", ".git/0_00.bmp", "sub/.hidden/0_00.bmp"),
        ],
    )
    def test_what_lies_beside_images_is_none(self, tmp_path: Path, stray: str) -> None:
        data = folder(tmp_path)
        before = contents(data)
        (tmp_path / stray).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "0_00.bmp", tmp_path / stray)
        assert contents(data) == before
        assert num_images(data) == COUNT

    def test_a_hidden_folder_that_is_named_is_read(self, tmp_path: Path) -> None:
        assert contents(folder(tmp_path / ".cache")) == contents(folder(tmp_path / "images"))

    def test_a_name_that_is_not_utf_8_is_read(self, tmp_path: Path) -> None:
        data = folder(tmp_path)
        before = contents(data)
        shutil.copy(tmp_path / "0_00.bmp", os.fsencode(tmp_path) + b"/0_caf\xe9\n\x1b[31m.bmp")
        assert contents(data) != before
        source = opened(data)
        assert len(source) == COUNT + 1
        names = [Path(source.stored.name(index)).name for index in range(len(source))]
        assert r"0_caf\xe9\n\x1b[31m.bmp" in names, "for messages, on one line"

    def test_files_that_other_settings_name_are_what_they_hold(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        images = np.random.default_rng(0).integers(0, 256, (20, SIZE, SIZE, 3), dtype=np.uint8)
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        np.savez("a/ref.npz", images)
        Path("a/weights.pth").write_bytes(b"weights")
        Path("a/model.pt").write_bytes(b"a checkpoint")

        def found(where: str, reference: str = "ref.npz") -> dict[str, str]:
            files = {"evaluate.reference": f"{where}/{reference}", "train.checkpoint": f"{where}/model.pt"}
            inception = {"evaluate.extractor": "inception", "evaluate.inception_weights": f"{where}/weights.pth"}
            overrides = {"classifier": None, "sample.guidance_scale": 0.0, **files, **inception}
            stages = topological(workload.stages(workload.resolve("tiny_digits", overrides)))
            assert all(str(tmp_path) not in str(stage.keyed_config) for stage in stages)
            return {stage.name: stage.key for stage in stages}

        before = found("a")
        shutil.copytree("a", "b", dirs_exist_ok=True)
        Path("b/ref.npz").rename("b/other.npz")
        assert found("b", "other.npz") == found(str(tmp_path / "a")) == before
        np.savez("b/other.npz", 255 - images)
        assert {name for name, key in found("b", "other.npz").items() if key != before[name]} >= {"reference"}


class TestWhatItHolds:
    def test_other_pixels_of_the_same_names_sizes_and_times_are_other_data(
        self, tmp_path: Path, write: Callable[..., DataConfig]
    ) -> None:
        data = write(tmp_path / "data")
        before = contents(data)
        files = {path: path.stat() for path in (tmp_path / "data").iterdir()}
        other = PIXELS.copy()
        other[5, 3, 3, 1] ^= 1
        write(tmp_path / "data", other)
        for path, status in files.items():
            assert path.stat().st_size == status.st_size
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert contents(data) != before

    def test_an_image_more_or_less_or_under_another_name_is_other_data(self, tmp_path: Path) -> None:
        data = folder(tmp_path)
        found = {contents(data)}
        (tmp_path / "0_00.bmp").rename(tmp_path / "1_00.bmp")
        found.add(contents(data))
        shutil.copy(tmp_path / "1_00.bmp", tmp_path / "1_99.bmp")
        found.add(contents(data))
        (tmp_path / "1_00.bmp").unlink()
        found.add(contents(data))
        one, two = tmp_path / "1_04.bmp", tmp_path / "2_05.bmp"
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second), two.write_bytes(first)
        found.add(contents(data))
        assert len(found) == 5

    def test_data_that_is_not_here_is_planned_by_its_path_and_not_run(self, tmp_path: Path) -> None:
        one, other = keys(str(tmp_path / "a"), **{"evaluate.num_reference": 5}), keys(str(tmp_path / "b"))
        assert one["train"] != other["train"]
        folder(tmp_path / "a")
        unseen = {"source": "folder", "path": str(tmp_path / "a"), "contents": None}
        with pytest.raises(UserError, match="can be read here, but not on the machine where the sweep was planned"):
            open_planned(unseen, SIZE, 3)


@contextmanager
def nobody() -> Iterator[Path]:
    """A folder of a user who may not read everything."""
    is_root = os.geteuid() == 0
    place = Path(tempfile.mkdtemp())
    place.chmod(0o777)
    if is_root:
        os.seteuid(65534)
    try:
        yield place
    finally:
        if is_root:
            os.seteuid(0)
        shutil.rmtree(place)


class TestWhatCannotBeRead:
    """One line that names it, when a sweep is planned."""

    def refused(self, path: Path) -> str:
        with pytest.raises(UserError) as raised:
            keys(str(path))
        assert "\n" not in str(raised.value)
        return str(raised.value)

    def test_links_that_lead_nowhere_or_to_themselves(self, tmp_path: Path) -> None:
        folder(tmp_path / "data")
        link = tmp_path / "data" / "0_99.png"
        link.symlink_to("gone")
        assert f"{link} is a link to gone, where there is nothing" in self.refused(tmp_path / "data")
        link.unlink()
        link.symlink_to(link.name)
        assert f"{link} is a link that leads back to itself" in self.refused(tmp_path / "data")
        assert "leads back to itself" in self.refused(link)

    def test_what_is_no_file(self, tmp_path: Path) -> None:
        folder(tmp_path / "data")
        os.mkfifo(tmp_path / "data" / "0_99.png")
        assert "0_99.png is a FIFO, allowed: a file" in self.refused(tmp_path / "data")
        for source in ("folder", "npz", "parquet", "lmdb", "zip"):
            with pytest.raises(UserError, match=r"0_99\.png' is not a f"):
                planned_data(DataConfig(source=source, path=str(tmp_path / "data" / "0_99.png")))  # type: ignore[arg-type]

    def test_files_and_folders_that_this_user_may_not_read(self) -> None:
        with nobody() as place:
            data = folder(place / "data")
            closed = folder(place / "data" / "closed")
            assert data.path is not None
            assert closed.path is not None
            Path(closed.path).chmod(0)
            try:
                assert f"{closed.path} cannot be read: Permission denied" in self.refused(place / "data")
                assert "Permission denied" in self.refused(place / "data" / "closed" / "deeper")
            finally:
                Path(closed.path).chmod(0o700)
            image = place / "data" / "0_00.bmp"
            image.chmod(0)
            assert f"{image} cannot be read: Permission denied" in self.refused(place / "data")

    def test_weights_that_the_environment_names_are_where_every_process_finds_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ADM_INCEPTION_WEIGHTS", "weights/inception.pth")
        with pytest.raises(UserError, match=r"ADM_INCEPTION_WEIGHTS is .*, allowed: an absolute path"):
            workload.resolve("digits", {"evaluate.extractor": "inception"})

    def test_paths_that_are_none(self) -> None:
        for path in ("", "a\0b", "~nobody-of-this-name/images"):
            self.refused_path(path)

    def refused_path(self, path: str) -> None:
        with pytest.raises(UserError, match=r"allowed: the path of a file or folder|Write the whole path"):
            keys(path)
