"""Names that users may write: registered once, refused with a list of those there are, added by other packages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, ValidationError

from assay.errors import AssayWarning, UserError
from assay.registry import Registry
from assay.workload.typed import config_problems


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


def test_going_through_all_entries_leaves_out_one_that_does_not_import(shapes: Registry[int]) -> None:
    with pytest.warns(AssayWarning, match="the shape 'heptagon' .* cannot be imported"):
        assert dict(shapes.items()) == {"triangle": 3, "square": 4, "hexagon": 6}


def test_a_field_of_a_config_says_which_names_it_takes(shapes: Registry[int]) -> None:
    class Drawing(BaseModel):
        shape: Annotated[str, AfterValidator(shapes.checked)] = "square"
        others: tuple[Annotated[str, AfterValidator(shapes.checked)], ...] = ()

    every = "triangle, square, heptagon, hexagon"
    for given, told in {
        "hexagone": f"unknown shape 'hexagone'; did you mean 'hexagon'? allowed: {every}",
        6: f"got 6 (int), allowed: {every}",
    }.items():
        with pytest.raises(ValidationError) as refused:
            Drawing.model_validate({"shape": given})
        assert [(at.path, at.message) for at in config_problems(refused.value, Drawing)] == [("shape", told)]
    with pytest.raises(ValidationError) as refused:
        Drawing.model_validate({"others": "square"})
    (problem,) = config_problems(refused.value, Drawing)
    assert (problem.path, problem.message) == ("others", f"got 'square' (str), allowed: a list of {every}")


def test_a_name_is_registered_once(shapes: Registry[int]) -> None:
    with pytest.raises(ValueError, match="there is a shape 'square' already"):
        shapes.register("square", 5)
