"""Names that users may write: registered once, refused with a list of those there are, added by other packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import UserError
from assay.registry import Registry


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[int]:
    """Number of corners by name; two more are of an installed package, of which one cannot be imported."""
    info = tmp_path / "corners-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: corners\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[test.shapes]\n"
        "hexagon = corners_of_shapes:SIX\nheptagon = corners_of_shapes:SEVEN\nsquare = corners_of_shapes:SIX\n"
    )
    (tmp_path / "corners_of_shapes.py").write_text("SIX = 6\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry[int]("shape", "test.shapes")
    registry.register("triangle", 3)
    registry.register("square", 4)
    return registry


def test_entries_are_ours_and_those_of_installed_packages(shapes: Registry[int]) -> None:
    assert list(shapes) == ["triangle", "square", "heptagon", "hexagon"]
    assert (shapes["triangle"], shapes["hexagon"], shapes["square"]) == (3, 6, 4)


def test_an_unknown_name_lists_those_there_are(shapes: Registry[int]) -> None:
    every = "allowed: triangle, square, heptagon, hexagon"
    with pytest.raises(UserError, match=f"^unknown shape 'hexagone'; did you mean 'hexagon'\\? {every}$"):
        shapes["hexagone"]
    with pytest.raises(ValueError, match=f"^unknown shape 'O'; {every}$"):
        shapes.checked("O")
    assert shapes.checked("square") == "square"


def test_a_package_that_does_not_import_costs_its_own_name_alone(shapes: Registry[int]) -> None:
    assert "heptagon" in shapes
    message = r"the shape 'heptagon' \(corners_of_shapes:SEVEN\) cannot be imported: AttributeError: .*SEVEN"
    with pytest.raises(UserError, match=message):
        shapes["heptagon"]
    with pytest.raises(ValueError, match=message):
        shapes.checked("heptagon")


def test_a_name_is_registered_once(shapes: Registry[int]) -> None:
    with pytest.raises(ValueError, match="there is a shape 'square' already"):
        shapes.register("square", 5)
