"""A value of the preset that what the user wrote does not go with: the line is of what she wrote, or of the base."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from assay.errors import SpecError
from assay.sweep import load_sweep


def test_the_message_names_the_setting_where_the_line_names_another(tmp_path: Path) -> None:
    for number in range(60):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number % 10}_{number}.png")
    sweep = tmp_path / "s.yaml"
    sweep.write_text(
        f"version: 1\nname: s\nworkload: adm\nbase: tiny_digits\nmetric: fd_classifier\nmode: min\n"
        f"config: {{data.source: folder, data.path: {tmp_path}}}\n"
    )
    with pytest.raises(SpecError, match=r"evaluate\.num_reference: got 500, but the data has 60 images"):
        load_sweep(sweep)
