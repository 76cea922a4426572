"""Parameters together: which are set where, how many points there are, and draws that stay as they are."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.sweep.search import Axis, Floats, Integers, Partitions, Settings, Space, Values
from assay.workload import canonical_json

BASE = {"sample": {"sampler": "ddpm", "eta": 0.0, "steps": 10}, "classifier": {"depth": 2}}
HERE = Settings(BASE)


def ddim_space() -> Space:
    axes = {
        "sample.sampler": Values(("ddpm", "ddim")),
        "sample.eta": Values((0.0, 0.5, 1.0)),
        "sample.steps": Values((5, 10)),
    }
    conditions = {"sample.eta": {"sample.sampler": "ddim"}, "sample.steps": {"sample.eta": 0.0}}
    return Space(axes, conditions)


def test_a_parameter_whose_condition_does_not_hold_adds_no_point() -> None:
    space = ddim_space()
    points = list(space.grid(HERE))
    ddpm = {"sample.sampler": "ddpm"}
    ddim = {"sample.sampler": "ddim"}
    assert points == [
        {**ddpm, "sample.steps": 5},  # the base's eta is 0.0
        {**ddpm, "sample.steps": 10},
        {**ddim, "sample.eta": 0.0, "sample.steps": 5},
        {**ddim, "sample.eta": 0.0, "sample.steps": 10},
        {**ddim, "sample.eta": 0.5},
        {**ddim, "sample.eta": 1.0},
    ]
    assert space.count(HERE) == 6


def test_conditions_see_later_layers_first_and_null_sections() -> None:
    arm = Settings(BASE, {"sample.sampler": "ddim"}, {"classifier": None})
    assert arm.match({"sample.sampler": "ddim", "classifier.depth": None}, above={})
    assert arm.match({"sample.sampler": "ddpm"}, above={"sample.sampler": "ddpm"})
    assert not arm.match({"classifier.depth": 2}, above={})
    assert HERE.match({"classifier.depth": 2.0}, above={})
    assert not HERE.match({"sample.eta": False}, above={})


@st.composite
def spaces(draw: st.DrawFn, *more: Axis) -> Space:
    names = "abcd"[: draw(st.integers(1, 4))]
    axes: dict[str, Any] = {}
    conditions: dict[str, Any] = {}
    for i, name in enumerate(names):
        axes[name] = draw(st.sampled_from([Values((0, 1)), Values((0, 1, 2)), Integers(0, 3), *more]))
        if i and draw(st.booleans()):
            others = draw(st.lists(st.sampled_from(names[:i]), unique=True, max_size=2))
            conditions[name] = {other: draw(st.integers(0, 2)) for other in others}
    return Space(axes, conditions)


SOME = (Integers(0, 9, num=3), Floats(0.0, 2.0, num=3), Partitions(2, 2))


@given(spaces(*SOME), st.sampled_from([Settings({}), Settings({"a": 0, "b": 1, "c": 2})]))
def test_the_count_is_that_of_the_grid_and_no_point_is_there_twice(space: Space, around: Settings) -> None:
    points = list(space.grid(around))
    assert space.count(around) == len(points)
    assert len({canonical_json(point) for point in points}) == len(points)
    for point in points:
        full = {path: point.get(path, around.at(path, {})) for path in space.axes}
        for path, wanted in space.conditions.items():
            holds = all(full[other] == value for other, value in wanted.items())
            assert (path in point) == holds


def test_points_that_no_condition_tells_apart_are_counted_together() -> None:
    """Seventeen pairs, of which each is three points: more than could be gone through."""
    pairs = [(f"a{i}", f"b{i}") for i in range(17)]
    axes = {name: Values((0, 1)) for pair in pairs for name in pair}
    assert Space(axes, {then: {first: 1} for first, then in pairs}).count(HERE) == 3**17


def test_conditions_see_into_the_sections_that_a_parameter_may_be() -> None:
    space = Space({"a": Values((None, {"b": 1}, {"b": 2})), "c": Integers(1, 5)}, {"c": {"a.b": 2}})
    assert space.count(HERE) == len(list(space.grid(HERE))) == 7


@pytest.mark.slow
@settings(deadline=None)
@given(spaces(), st.integers(0, 9), st.sampled_from([Settings({}), Settings({"a": 0, "b": 1, "c": 2})]))
def test_draws_end_with_the_space_and_are_points_of_the_grid(space: Space, seed: int, around: Settings) -> None:
    drawn = [canonical_json(point) for point in space.draws(seed, [around])]
    assert sorted(drawn) == sorted(canonical_json(point) for point in space.grid(around))


@given(st.integers(0, 1000), st.integers(0, 30), st.integers(0, 30))
def test_more_draws_keep_the_earlier_ones(seed: int, few: int, more: int) -> None:
    space = Space({"x": Floats(0.0, 1.0), "n": Integers(1, 9)}, {})
    first = list(itertools.islice(space.draws(seed, [HERE]), few))
    assert list(itertools.islice(space.draws(seed, [HERE]), few + more))[:few] == first


def test_another_parameter_leaves_the_draws_of_the_others() -> None:
    one = Space({"x": Floats(0.0, 1.0)}, {})
    two = Space({"y": Integers(1, 9), "x": Floats(0.0, 1.0)}, {})
    alone = [point["x"] for point in itertools.islice(one.draws(3, [HERE]), 5)]
    assert [point["x"] for point in itertools.islice(two.draws(3, [HERE]), 5)] == alone


def test_what_one_arm_needs_is_drawn_for_all_and_set_where_it_holds() -> None:
    space = Space({"sample.eta": Floats(0.0, 1.0)}, {"sample.eta": {"sample.sampler": "ddim"}})
    ddim = Settings(BASE, {"sample.sampler": "ddim"})
    point = next(space.draws(0, [HERE, ddim]))
    assert list(point) == ["sample.eta"]
    assert space.within(point, ddim) == point
    assert space.within(point, HERE) == {}


def test_corners_reach_every_value_and_both_ends_where_their_conditions_hold() -> None:
    corners = list(ddim_space().corners(HERE))
    assert {point["sample.eta"] for point in corners if "sample.eta" in point} == {0.0, 0.5, 1.0}
    ends = Space({"x": Floats(0.0, 1.0), "n": Integers(1, 9, step=3)}, {})
    assert {(p["x"], p["n"]) for p in ends.corners(HERE)} == {(0.0, 1), (1.0, 1), (0.0, 7), (1.0, 7)}
