"""With data.crop none, sizes are looked at all over the set before anything is started."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import imaging.data.parquet
from assay.errors import UserError
from imaging import data as imaging_data
from imaging.data import checks

WANTED = {"image_size": 8, "channels": 3}


def png(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize("scattered", [True, False])
def test_a_wrong_size_behind_many_good_ones_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scattered: bool
) -> None:
    monkeypatch.setattr(checks, "MOST_HEADERS", 20)
    if not scattered:
        monkeypatch.setattr(imaging.data.parquet, "HELD_BYTES", 0)
    file = tmp_path / "some.parquet"
    pq.write_table(pa.table({"image": [png(8)] * 150 + [png(9)] * 40 + [png(8)] * 10}), file, row_group_size=10)
    data = {"source": "parquet", "path": str(file), "crop": "none"}
    with pytest.raises(UserError, match=r"row 1[5-8]\d of .*some\.parquet is 9×9, but data.crop none takes .* 8×8"):
        imaging_data.check({"data": data, **WANTED})


@pytest.mark.parametrize("count", [1, 5, 20, 21, 1003])
@pytest.mark.parametrize("scattered", [True, False])
def test_all_of_a_few_and_the_ends_of_many(monkeypatch: pytest.MonkeyPatch, count: int, scattered: bool) -> None:
    monkeypatch.setattr(checks, "MOST_HEADERS", 20)
    looked_at = checks._sample(count, scattered)
    assert len(set(looked_at.tolist())) == len(looked_at) == min(count, 20)
    assert looked_at[0] == 0
    assert looked_at[-1] == count - 1
    assert np.all(np.diff(looked_at) > 0)
