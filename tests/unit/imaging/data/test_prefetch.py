"""Prefetch: in order, ahead, and no thread left behind."""

import threading
from collections.abc import Iterator

import pytest

from imaging.data import Prefetch
from patience import LONGEST_S


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not threads()


@pytest.mark.parametrize("depth", [1, 2, 7, 100])
def test_batches_come_in_order_each_once(depth: int) -> None:
    made: list[int] = []

    def make(step: int) -> int:
        made.append(step)
        return step * step

    with Prefetch(make, 3, 40, depth) as batches:
        assert list(batches) == [(step, step * step) for step in range(3, 40)]
    assert made == list(range(3, 40))


@pytest.mark.parametrize(("start", "stop"), [(5, 5), (6, 5)])
def test_no_steps_are_no_batches(start: int, stop: int) -> None:
    with Prefetch(lambda step: step, start, stop) as batches:
        assert list(batches) == []


def test_the_next_are_made_while_one_is_used_and_no_more_than_depth() -> None:
    made = [threading.Event() for _ in range(10)]
    with Prefetch(lambda step: made[step].set(), 0, 10, depth=2) as batches:
        steps = iter(batches)
        next(steps)
        assert made[1].wait(LONGEST_S)
        assert made[2].wait(LONGEST_S)
        assert not made[3].wait(0.05)
        next(steps)
        assert made[3].wait(LONGEST_S)


def test_what_make_raises_is_raised_at_its_step() -> None:
    def make(step: int) -> int:
        if step == 3:
            raise ValueError("image 3")
        return step

    with Prefetch(make, 0, 10) as batches:
        steps = iter(batches)
        assert [next(steps)[0] for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="image 3"):
            next(steps)


@pytest.mark.parametrize("stops", [ValueError, KeyboardInterrupt])
def test_a_loop_that_stops_in_between_drops_what_is_not_begun(stops: type[BaseException]) -> None:
    made: list[int] = []

    def train() -> None:
        with Prefetch(lambda step: made.append(step), 0, 10**9, depth=4) as batches:
            for step, _ in batches:
                if step == 5:
                    raise stops

    with pytest.raises(stops):
        train()
    assert len(made) <= 10


def test_breaking_off_is_no_error_and_closing_again_neither() -> None:
    prefetch = Prefetch(lambda step: step, 0, 100)
    with prefetch as batches:
        for step, _ in batches:
            if step == 2:
                break
    prefetch.close()


def test_a_depth_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="depth must be 1 or more; got 0"):
        Prefetch(lambda step: step, 0, 1, depth=0)
