"""Pydantic's errors in plain words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from assay.workload.typed import config_problems, plain_message

Count = Annotated[int, Field(strict=True, ge=0)]


def _even(value: str) -> str:
    raise ValueError(f"{value!r} is odd")


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: Count = 0
    name: Literal["bar", "line"] = "bar"
    either: Count | None = None
    steps: Count | tuple[Count, ...] | Annotated[str, Field(strict=True)] = 1
    choice: Literal["all"] | Count = "all"
    odd: Count | Annotated[str, AfterValidator(_even)] = 0
    pair: tuple[Count, str] = (0, "")
    rate: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.5
    eights: Annotated[int, Field(multiple_of=8)] = 8
    some: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)
    flag: Annotated[bool, Field(strict=True)] = False
    by_name: dict[str, Count] = {}

    @model_validator(mode="after")
    def _fits(self) -> Inner:
        if self.count == 13:
            raise ValueError("count is unlucky")
        return self


class Outer(BaseModel):
    inner: Inner = Inner()
    maybe: Inner | None = None
    needed: int


def problems(**inner: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"inner": inner, "needed": 1})
    return [f"{problem.path}: {problem.message}" for problem in config_problems(caught.value, Outer)]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("count", "many", "count: got 'many' (str), allowed: an integer ≥ 0"),
        ("count", -1, "count: got -1 (int), allowed: an integer ≥ 0"),
        ("count", 1.5, "count: got 1.5 (float), allowed: an integer ≥ 0"),
        ("count", None, "count: got null, allowed: an integer ≥ 0"),
        ("name", "lin", "name: got 'lin' (str), allowed: bar, line; did you mean 'line'?"),
        ("name", 3, "name: got 3 (int), allowed: bar, line"),
        ("either", "x", "either: got 'x' (str), allowed: an integer ≥ 0 or null"),
        ("steps", -1, "steps: got -1 (int), allowed: an integer ≥ 0, a list of integers ≥ 0 or text"),
        ("steps", [1, -1, "x"], "steps: got [1, -1, 'x'] (list), allowed: an integer ≥ 0, a list of integers ≥ 0 or"),
        ("choice", "al", "choice: got 'al' (str), allowed: all or an integer ≥ 0; did you mean 'all'?"),
        ("odd", "one", "odd: 'one' is odd"),
        ("pair", [1], "pair.1: required, but missing; allowed: text"),
        ("pair", ["a", "b"], "pair.0: got 'a' (str), allowed: an integer ≥ 0"),
        ("rate", 1, "rate: got 1 (int), allowed: a number > 0 and < 1"),
        ("eights", 12, "eights: got 12 (int), allowed: an integer divisible by 8"),
        ("some", [], "some: got [] (list), allowed: a list of integers of length ≥ 1"),
        ("flag", "yes", "flag: got 'yes' (str), allowed: true or false"),
        ("by_name", {"a": -1}, "by_name.a: got -1 (int), allowed: an integer ≥ 0"),
        ("by_name", 3, "by_name: got 3 (int), allowed: a mapping of keys to values"),
        ("cuont", 1, "cuont: unknown key; did you mean 'count'?"),
        ("count", "x" * 100, "count: got '" + "x" * 58 + "… (str), allowed"),
    ],
)
def test_one_message_a_value(field: str, value: Any, expected: str) -> None:
    found = problems(**{field: value})
    assert len(found) == 1, found
    assert found[0].startswith(f"inner.{expected}")


def test_a_cross_field_error_keeps_its_words_and_its_section() -> None:
    assert problems(count=13) == ["inner: count is unlucky"]


def test_missing_and_optional_sections() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"maybe": {"count": -1}, "inner": 3})
    found = {problem.path: problem.message for problem in config_problems(caught.value, Outer)}
    assert found["maybe.count"] == "got -1 (int), allowed: an integer ≥ 0"
    assert found["needed"] == "required, but missing; allowed: an integer"
    assert found["inner"].startswith("got 3 (int), allowed: a mapping {count: …, name: …,")


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        ("x", Annotated[int, Field(strict=True)], "got 'x' (str), allowed: an integer"),
        (0, Annotated[int, Field(ge=1)], "got 0 (int), allowed: a number ≥ 1"),
        (3, str, "got 3 (int), allowed: text"),
        ("c", Literal["a", "b"], "got 'c' (str), allowed: 'a' or 'b'"),
    ],
)
def test_without_the_model_the_error_alone_must_do(value: Any, annotation: Any, expected: str) -> None:
    from pydantic import TypeAdapter

    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_python(value)
    assert plain_message(caught.value.errors()[0]) == expected
