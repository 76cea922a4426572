"""Images that cannot be decoded, or have another size than they should."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.errors import AssayWarning, UserError
from image_files import SIZE, folder, jpeg, lsun, npz, parquet, png, zipped
from imaging import data as imaging_data
from imaging.config import DataConfig
from imaging.data import open_source

WANTED = {"image_size": SIZE, "channels": 3}
"""What a stage says that it trains on."""

ENCODED = [folder, parquet, lsun, zipped]
NAMES = {folder: "a_03.png", zipped: "a_03.png of .*some.zip", parquet: "row 3 of .*some.parquet", lsun: "key 0003 of"}


@pytest.fixture(params=ENCODED, ids=lambda write: write.__name__)
def write(request: pytest.FixtureRequest) -> Callable[[Path, list[bytes]], DataConfig]:
    return request.param


class TestBrokenImages:
    @pytest.mark.parametrize(
        "broken", [b"", b"no image", png(9)[:-30], jpeg(9)[:200], jpeg(9)[:1500]], ids=lambda b: f"{len(b)}B"
    )
    def test_one_is_an_error_that_names_it(
        self, tmp_path: Path, write: Callable[[Path, list[bytes]], DataConfig], broken: bytes
    ) -> None:
        source = open_source(write(tmp_path, [png(0), png(1), png(2), broken, png(4)]), SIZE, 3)
        source.read(np.array([0, 1, 2, 4]))
        with pytest.raises(UserError, match=rf"{NAMES[write]}.* cannot be decoded.*broken_images skip"):
            source.read(np.arange(5))

    @pytest.mark.parametrize("threads", [1, 3])
    def test_those_skipped_are_replaced_by_the_next_readable_ones_and_counted(
        self, tmp_path: Path, write: Callable[[Path, list[bytes]], DataConfig], threads: int
    ) -> None:
        images = [png(value) for value in range(20)]
        images[3] = images[4] = images[19] = b"no image"
        data = write(tmp_path, images).model_copy(update={"broken_images": "skip"})
        source = open_source(data, SIZE, 3, threads=threads)
        order = np.random.default_rng(0).permutation(20)
        expected = {3: 5, 4: 5, 19: 0}
        found = source.read(order).images[:, 0, 0, 0].tolist()
        assert found == [expected.get(index, index) for index in order.tolist()]
        assert len(source.skipped) == 3
        source.read(order)
        assert len(source.skipped) == 3, "each counts once"

    def test_the_label_is_that_of_the_replacement(self, tmp_path: Path) -> None:
        data = parquet(tmp_path, [png(0), b"", None, png(3)], label=[0, 1, 2, 3])
        source = open_source(data.model_copy(update={"broken_images": "skip"}), SIZE, 3, 4)
        images, labels = source.read(np.array([1, 2, 0]))
        assert labels.tolist() == [3, 3, 0]
        assert images[:, 0, 0, 0].tolist() == [3, 3, 0]
        assert source.skipped == {f"row {row} of {data.path}" for row in (1, 2)}
        assert source.labels.tolist() == [0, 1, 2, 3]

    def test_none_that_can_be_decoded_is_an_error(
        self, tmp_path: Path, write: Callable[[Path, list[bytes]], DataConfig]
    ) -> None:
        data = write(tmp_path, [b"one", b"two"]).model_copy(update={"broken_images": "skip"})
        with pytest.raises(UserError, match="none of the 2 images can be decoded"):
            open_source(data, SIZE, 3).read(np.array([1]))

    @pytest.mark.parametrize(("mode", "told"), [("I", "32-bit integers"), ("F", "floats")])
    def test_one_whose_black_and_white_are_not_known_counts_as_broken(
        self, tmp_path: Path, mode: str, told: str
    ) -> None:
        buffer = io.BytesIO()
        Image.new(mode, (SIZE, SIZE), 1).save(buffer, "tiff")
        data = parquet(tmp_path, [png(0), buffer.getvalue(), png(2)])
        message = rf"row 1 of .*: its pixels are {told} \(mode {mode}\).*save it with 8 bits per channel; replace it"
        with pytest.raises(UserError, match=message):
            open_source(data, SIZE, 3).read(np.arange(3))
        source = open_source(data.model_copy(update={"broken_images": "skip"}), SIZE, 3)
        assert source.read(np.arange(3)).images[:, 0, 0, 0].tolist() == [0, 2, 2]
        assert source.skipped == {f"row 1 of {data.path}"}

    def test_a_file_that_is_gone_is_not_skipped(self, tmp_path: Path) -> None:
        data = folder(tmp_path, [png(0), png(1)]).model_copy(update={"broken_images": "skip"})
        source = open_source(data, SIZE, 3)
        (tmp_path / "a_01.png").unlink()
        with pytest.raises(UserError, match=r"a_01\.png cannot be read: No such file"):
            source.read(np.array([1]))

    def test_the_reference_says_which_it_skipped(self, tmp_path: Path) -> None:
        from types import SimpleNamespace

        from imaging.extractors.features import StoredImages

        data = folder(tmp_path, [png(0), b"", png(2)]).model_dump(mode="json") | {"broken_images": "skip"}
        config = {"data": data, "image_size": SIZE, "channels": 3, "order": "stored"}
        step = StoredImages(SimpleNamespace(config=config, threads=1, amount=3))  # type: ignore[arg-type]
        with pytest.warns(AssayWarning, match=r"1 of the images.*a_01\.png"):
            rows = step({"id": np.arange(3)})
        assert rows["image"][:, 0, 0, 0].tolist() == [0, 2, 2]
        step({"id": np.arange(3)})  # told once


class TestSizes:
    def test_crop_none_names_the_file_its_size_and_what_is_wanted(
        self, tmp_path: Path, write: Callable[[Path, list[bytes]], DataConfig]
    ) -> None:
        images = [png(0), png(1), png(2), png(3, (8, 9)), png(4)]
        data = write(tmp_path, images).model_copy(update={"crop": "none"})
        source = open_source(data, SIZE, 3)
        assert source.read(np.array([0, 4])).images.shape == (2, SIZE, SIZE, 3)
        told = rf"{NAMES[write]}.* is 8×9, but data.crop none takes images of exactly 8×8; set data.crop centre"
        with pytest.raises(UserError, match=told):
            source.read(np.array([3]))
        with pytest.raises(UserError, match=told):
            imaging_data.check({"data": data.model_dump(), **WANTED})

    def test_a_wrong_size_is_no_broken_image(self, tmp_path: Path) -> None:
        data = folder(tmp_path, [png(0), png(1, (9, 9))])
        data = data.model_copy(update={"crop": "none", "broken_images": "skip"})
        with pytest.raises(UserError, match="9×9"):
            open_source(data, SIZE, 3).read(np.array([1]))

    def test_npz(self, tmp_path: Path) -> None:
        data = npz(tmp_path, np.zeros((3, 16, 12, 3), np.uint8)).model_copy(update={"crop": "none"})
        with pytest.raises(UserError, match=r"image 0 of .*some\.npz is 12×16"):
            open_source(data, SIZE, 3).read(np.array([0]))
