"""What planning looks at: once in a plan, and anew in the next; and what of a stage's config is in its key."""

import pytest

from assay.look import a_look, current_look, once_a_look
from assay.workload import Stage

looked: list[str] = []


@once_a_look
def size_of(name: str) -> int:
    looked.append(name)
    if name == "absent":
        raise ValueError(name)
    return len(looked)


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    looked.clear()


def test_each_is_looked_at_once_in_a_look_and_again_in_the_next() -> None:
    for _ in range(2):
        with a_look():
            assert (size_of("a"), size_of("b")) == (size_of("a"), size_of("b"))
    assert looked == ["a", "b", "a", "b"]


def test_outside_of_a_look_nothing_is_kept() -> None:
    assert size_of("a") != size_of("a")
    assert current_look() is None


def test_a_look_inside_of_another_is_the_same() -> None:
    with a_look(verifies=True) as outer:
        before = size_of("a")
        with a_look() as inner:
            assert inner is outer
            assert size_of("a") == before
        assert size_of("a") == before


def test_what_is_refused_is_looked_at_again() -> None:
    with a_look():
        for _ in range(2):
            with pytest.raises(ValueError, match="absent"):
                size_of("absent")
    assert len(looked) == 2


def test_places_are_not_in_the_key() -> None:
    def stage(path: str, contents: str, places: tuple[str, ...]) -> Stage:
        config = {"data": {"path": path, "contents": contents}, "seed": 0}
        return Stage("train", 1, "train", ("some.module:body",), config, places=places)

    placed = ("data.path", "data.times", "not.there")
    assert stage("/a", "x", placed).key == stage("/b", "x", placed).key
    assert stage("/a", "x", placed).key != stage("/a", "y", placed).key
    assert stage("/a", "x", ()).key != stage("/b", "x", ()).key
    assert stage("/a", "x", placed).config["data"]["path"] == "/a", "bodies see it"
