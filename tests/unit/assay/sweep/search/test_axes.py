"""What one parameter may be: every value is allowed, every grid complete, every partition adds up."""

from __future__ import annotations

import itertools
import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from assay.sweep.search import Floats, Integers, Partitions, Values
from assay.sweep.search.partitions import apportion, count, every, nth


def test_all_partitions_of_250_steps_in_tens() -> None:
    axis = Partitions(total=250, parts=5, step=10, least=10)
    points = axis.points()
    assert len(points) == axis.num_points == math.comb(24, 4) == 10_626
    assert points[0] == [10, 10, 10, 10, 210]
    assert [50, 50, 50, 50, 50] in points
    assert [90, 60, 60, 20, 20] in points


def test_a_partition_may_have_a_most() -> None:
    axis = Partitions(total=7, parts=3, least=1, most=3)
    assert axis.points() == [[1, 3, 3], [2, 2, 3], [2, 3, 2], [3, 1, 3], [3, 2, 2], [3, 3, 1]]


@st.composite
def partitions(draw: st.DrawFn) -> Partitions:
    parts, step, least = draw(st.integers(1, 5)), draw(st.integers(1, 10)), draw(st.integers(0, 12))
    cap = draw(st.integers(0, 9))
    units = draw(st.integers(0, cap * parts))
    total = parts * least + units * step
    slack = draw(st.integers(0, step - 1))
    return Partitions(max(total, 1), parts, step, least, least + cap * step + slack) if total else Partitions(1, 1)


@given(partitions(), st.integers(), st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_every_partition_adds_up_within_its_bounds(axis: Partitions, seed: int, weights: list[float]) -> None:
    points = axis.points()
    assert len(points) == axis.num_points >= 1
    assert len({tuple(point) for point in points}) == len(points)
    made = [axis.draw(Random(seed)), axis.of_weights(weights[: axis.parts]), *axis.corners()]
    for value in made:
        assert value in points
    for value in [*points[:50], *made]:
        assert axis.has(value)
        assert sum(value) == axis.total
        assert all(axis.least <= part and (axis.most is None or part <= axis.most) for part in value)
        assert all((part - axis.least) % axis.step == 0 for part in value)
        assert axis.of_weights(axis.to_weights(value)) == value


@given(st.integers(1, 4), st.integers(0, 9), st.integers(0, 5))
def test_counted_listed_and_numbered_partitions_are_the_same(parts: int, units: int, cap: int) -> None:
    listed = [list(p) for p in itertools.product(range(cap + 1), repeat=parts) if sum(p) == units]
    assert list(every(parts, units, cap)) == listed
    assert count(parts, units, cap) == len(listed)
    assert [nth(rank, parts, units, cap) for rank in range(len(listed))] == listed


def test_a_partition_too_large_to_list_is_drawn_at_once() -> None:
    axis = Partitions(total=10**9, parts=8)
    assert axis.num_points > 10**59
    assert sum(axis.draw(Random(0))) == 10**9


def test_even_integers_too_many_to_list_are_counted_at_once() -> None:
    assert Integers(1, 10**9, num=500_000_000).num_points == 500_000_000
    assert Integers(1, 10**6, step=10, num=500_000_000).num_points == 10**5


def test_every_partition_is_as_likely_as_any_other() -> None:
    axis = Partitions(total=3, parts=2)
    random = Random(0)
    drawn = [tuple(axis.draw(random)) for _ in range(4000)]
    assert all(900 < drawn.count(value) < 1100 for value in [(0, 3), (1, 2), (2, 1), (3, 0)])


def test_shares_are_in_proportion_and_overflow_goes_to_the_others() -> None:
    assert apportion([1, 1, 1], 10, 10) == [4, 3, 3]
    assert apportion([0, 0], 4, 10) == [2, 2]
    assert apportion([1, 0, 0], 9, 5) == [5, 2, 2]
    assert apportion([0.9, 0.6, 0.6, 0.2, 0.2], 25, 25) == [9, 6, 6, 2, 2]


def test_grids_over_ranges() -> None:
    assert Floats(0.0, 1.0, num=11).points() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert Floats(1e-5, 1e-3, log=True, num=3).points() == [1e-5, 1e-4, 1e-3]
    assert list(Integers(1, 8, step=2).points()) == [1, 3, 5, 7]
    assert Integers(1, 8, log=True, num=4).points() == [1, 2, 4, 8]
    assert Integers(0, 10, step=5, num=9).points() == [0, 5, 10]


floats = st.floats(1e-8, 1e8, allow_subnormal=False)


@given(st.tuples(floats, floats).filter(lambda b: b[0] < b[1]), st.booleans(), st.integers(2, 20), st.integers())
def test_floats_stay_in_their_range(bounds: tuple[float, float], log: bool, num: int, seed: int) -> None:
    axis = Floats(*bounds, log=log, num=num)
    points = list(axis.points())
    assert (len(points), points[0], points[-1]) == (num, *bounds)
    assert axis.has(axis.draw(Random(seed)))
    assert all(map(axis.is_point, points))
    assert not axis.is_point(bounds[1] + 1)


@given(st.integers(1, 50), st.integers(1, 300), st.integers(1, 20), st.booleans(), st.integers(2, 9), st.integers())
def test_integers_stay_on_their_steps(low: int, more: int, step: int, log: bool, num: int, seed: int) -> None:
    whole = Integers(low, low + more, 1 if log else step, log)
    some = Integers(low, low + more, 1 if log else step, log, num)
    assert len(whole.points()) == whole.num_points
    assert len(some.points()) == some.num_points <= num
    assert {value for value in whole.points() if some.is_point(value)} == set(some.points())
    assert {*some.points(), *whole.corners(), whole.draw(Random(seed))} <= set(whole.points())
    assert all(whole.has(value) for value in whole.points())
    assert type(whole.draw(Random(seed))) is int


def test_the_ends_of_a_logarithmic_range_are_drawn_as_often_as_the_logarithm_says() -> None:
    random = Random(0)
    drawn = [Integers(1, 4, log=True).draw(random) for _ in range(6000)]
    wide = math.log(4.5 / 0.5)
    for value in (1, 2, 3, 4):
        expected = math.log((value + 0.5) / (value - 0.5)) / wide
        assert abs(drawn.count(value) / 6000 - expected) < 0.03


def test_values_are_told_apart_as_json_is() -> None:
    axis = Values((1, [2, 3], "ddim", None))
    assert all(axis.has(value) for value in (1, 1.0, [2, 3], "ddim", None))
    assert not any(axis.has(value) for value in (True, [3, 2], "ddpm", False))
    assert not Integers(0, 1).has(True)
    assert not Floats(0.0, 1.0).has("0.5")
    assert not Partitions(3, 2).has([1, 1])
    assert not Partitions(3, 2).has([1.0, 2.0])
