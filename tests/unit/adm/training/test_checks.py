"""What a network tells its data's check: pixels a side, channels, and how many classes it knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adm.training import checks
from assay.errors import AssayWarning, UserError

MODEL = {"image_size": 8, "in_channels": 3, "out_channels": 6, "channels": 32, "channel_mult": [1]}


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    """Two images of 8×8, of the classes 0 and 5."""
    np.savez(tmp_path / "two.npz", arr_0=np.zeros((2, 8, 8, 3), np.uint8), arr_1=np.array([0, 5]))
    return {"source": "npz", "path": str(tmp_path / "two.npz")}


def test_an_unconditional_network_takes_any_classes(data: dict[str, Any]) -> None:
    checks.data({"data": data, "model": MODEL})


def test_a_classifiers_classes_are_its_outputs(data: dict[str, Any]) -> None:
    with pytest.warns(AssayWarning, match="4 of the model's 6 classes have no image: 1, 2, 3, 4"):
        checks.data({"data": data, "model": MODEL | {"kind": "encoder", "out_channels": 6}})
    with pytest.raises(UserError, match="6 classes, but the model has 5"):
        checks.data({"data": data, "model": MODEL | {"kind": "encoder", "out_channels": 5}})


def test_a_class_conditional_network_knows_its_classes(data: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="6 classes, but the model has 3"):
        checks.data({"data": data, "model": MODEL | {"num_classes": 3}})


def test_images_have_the_networks_size(data: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="8×8"):
        checks.data({"data": data | {"crop": "none"}, "model": MODEL | {"image_size": 4}})
