"""Arithmetic of one name on a plot's axis."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from assay.report.plots.axes import Axis
from assay.report.plots.series import Point, Series
from assay.sweep import Plot
from assay.sweep.expressions import Expression


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        ("sample.temperature", "sample.temperature", 0.25),
        ("1 - sample.temperature", "sample.temperature", 0.75),
        ("-2 * (fid + 0.5)", "fid", -1.5),
        ("sample.temperature-1", "sample.temperature", -0.75),
    ],
)
def test_an_expression_is_arithmetic_of_one_name(text: str, name: str, shown: float) -> None:
    expression = Expression.of(text)
    assert expression.name == name
    assert expression.at(0.25) == shown


@pytest.mark.parametrize(
    "text", ["a.b - c", "a.b / 0", "exp(a)", "1 - a[0]", "a and 1 - a", "1 - 'a'", "1 -", "2 + 3", ""]
)
def test_anything_else_is_a_name_which_no_trial_will_have(text: str) -> None:
    assert Expression.of(text) == Expression(text)


def test_an_axis_has_the_values_of_the_expression() -> None:
    plot = Plot(kind="line", x="1 - sample.temperature", y="fid", log=("x",))
    axis = Axis.of(plot, [Series("", [Point(0.75, 3.0), Point(0.5, 2.0)], [Point(1.0, 1.0)])])
    assert axis.name == "1 - sample.temperature"
    assert axis.ticks == (0.0, 0.25, 0.5)
    assert [axis.at(x) for x in (0.75, 0.5)] == [0.25, 0.5]


def test_bars_have_names_along_x() -> None:
    with pytest.raises(ValidationError, match=r"a bar plot has names along x; allowed: sample\.temperature"):
        Plot(kind="bar", x="1 - sample.temperature", y="fid")
