"""Pydantic's errors in assay's words: what was got, what is allowed, one message per value.

Pydantic reports a type error without the field's bounds, and a union as one error per alternative, at paths that no
user wrote. So the allowed values are read from the model itself, whose annotations say more than the error.
"""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from assay.errors import ConfigProblem, FieldError, did_you_mean
from assay.registry import Registry
from assay.text import shorten

Path = tuple[str | int, ...]
_annotated: Any = Annotated
_MAPPINGS = (dict, collections.abc.Mapping)
_LISTS = (tuple, list, collections.abc.Sequence)
_SINGULAR = {int: "an integer", float: "a number", str: "text", bool: "true or false", type(None): "null"}
_PLURAL = {int: "integers", float: "numbers", str: "texts", bool: "true or false"}
_BOUNDS = {
    "ge": "≥ {}",
    "gt": "> {}",
    "le": "≤ {}",
    "lt": "< {}",
    "multiple_of": "divisible by {}",
    "min_length": "of length ≥ {}",
    "max_length": "of length ≤ {}",
    "pattern": "matching {}",
}
_EXPECTED_OF = {"int": int, "float": float, "string": str, "bool": bool, "none": type(None)}


def got(value: Any) -> str:
    """A value in recognisable form, with its type: `'many' (str)`, `true (bool)`, `null`."""
    if value is None:
        return "null"
    kind = "mapping" if isinstance(value, Mapping) else "list" if isinstance(value, tuple) else type(value).__name__
    text = str(value).lower() if isinstance(value, bool) else repr(list(value) if isinstance(value, tuple) else value)
    return f"{shorten(text)} ({kind})"


def describe(annotation: Any, plural: bool = False) -> str:
    """What a field accepts: `an integer ≥ 1, a list of integers ≥ 0 or text`."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        registry = registry_of(annotation)
        return _bounded(describe(args[0], plural), args[1:]) if registry is None else ", ".join(registry)
    if _is_union(annotation):
        return _either([describe(arg, plural) for arg in args])
    if origin is Literal:
        return ", ".join(str(arg) for arg in args)
    if origin in _LISTS:
        items = [arg for arg in args if arg is not Ellipsis]
        count = f"{len(items)} " if origin is tuple and Ellipsis not in args else ""
        words = {describe(item, plural=True): None for item in items}
        return f"{'lists' if plural else 'a list'} of {count}{' and '.join(words)}"
    if origin in _MAPPINGS or (isinstance(annotation, type) and issubclass(annotation, (dict, BaseModel))):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            keys = [f"{name}: …" for name in annotation.model_fields]
            if len(keys) > 8 or annotation.model_config.get("extra") == "allow":
                keys = [*keys[:6], "…"]
            return f"{'mappings' if plural else 'a mapping'} {{{', '.join(keys)}}}"
        return "mappings" if plural else "a mapping of keys to values"
    return (_PLURAL if plural else _SINGULAR).get(annotation, "values" if plural else "a value")


def _bounded(words: str, metadata: Sequence[Any]) -> str:
    """Append the bounds, wherever pydantic keeps them: annotated_types objects (Ge, …) or a FieldInfo's metadata."""
    flat = [item for entry in metadata for item in (entry, *getattr(entry, "metadata", ()))]
    bounds = {name: getattr(item, name) for item in flat for name in _BOUNDS if getattr(item, name, None) is not None}
    if "ge" in bounds and bounds["ge"] == bounds.get("le"):
        return str(bounds["ge"])
    return " ".join([words, " and ".join(_BOUNDS[name].format(value) for name, value in bounds.items())]).strip()


def _either(words: Sequence[str]) -> str:
    unique = list(dict.fromkeys(words))
    return " or ".join([", ".join(unique[:-1]), unique[-1]]) if len(unique) > 1 else unique[0]


def plain_message(error: ErrorDetails, annotation: Any = None, siblings: Sequence[str] = ()) -> str:
    """One pydantic error in plain words. `annotation` is the field's; `siblings` are the keys allowed beside it."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key{did_you_mean(str(error['loc'][-1]), siblings)}"
    if kind == "missing":
        return "required, but missing" + (f"; allowed: {describe(annotation)}" if annotation is not None else "")
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", error["msg"]))
    message = f"got {got(value)}, allowed: {describe(annotation) if annotation is not None else _expected(error)}"
    allowed = choices(annotation)
    if isinstance(value, str) and allowed:
        return message + did_you_mean(value, allowed, "")
    if kind == "finite_number":
        return f"{message} that is finite"
    return message


def _expected(error: ErrorDetails) -> str:
    """What is allowed, from the error alone, if there is no annotation."""
    kind, context = error["type"], error.get("ctx", {})
    for bound, words in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
        if bound in context:
            return f"a number {words} {context[bound]}"
    if "expected" in context:
        return str(context["expected"])
    base = _EXPECTED_OF.get(kind.split("_")[0])
    return _SINGULAR[base] if base else error["msg"]


def choices(annotation: Any) -> list[str]:
    """The names that a Literal or a registry allows, also inside a union."""
    if (registry := registry_of(annotation)) is not None:
        return registry.names()
    if get_origin(annotation) is Literal:
        return [arg for arg in get_args(annotation) if isinstance(arg, str)]
    if _is_union(annotation) or get_origin(annotation) is Annotated:
        return [name for arg in get_args(annotation) for name in choices(arg)]
    return []


def registry_of(annotation: Any) -> Registry[Any] | None:
    """The registry whose names a field accepts: Annotated[str, AfterValidator(REGISTRY.checked)]."""
    for item in get_args(annotation)[1:] if get_origin(annotation) is Annotated else ():
        registry = getattr(item.func, "__self__", None) if isinstance(item, AfterValidator) else None
        if isinstance(registry, Registry):
            return registry
    return None


def annotation_of(field: FieldInfo) -> Any:
    """A field's annotation including its metadata, which pydantic separates."""
    return _annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def locate(model: Any, loc: Sequence[str | int]) -> tuple[Path, Any, list[str]]:
    """Follow an error's location through the annotations: (path in the data, annotation there, keys beside it).

    Stops at a union: what pydantic appends below one is the name of an alternative, not a place in the data.
    """
    path: list[str | int] = []
    annotation: Any = model
    siblings: list[str] = []
    for part in loc:
        inner = _bare(annotation)
        if _is_union(inner):
            break
        if part == "[key]":  # the key itself is wrong, not its value
            return tuple(path), None, []
        annotation, siblings = _step(inner, part)
        path.append(part)
    return tuple(path), annotation, siblings


def _step(inner: Any, part: str | int) -> tuple[Any, list[str]]:
    """The annotation one key or index further, None if it has none, and the keys allowed beside it."""
    origin, args = get_origin(inner), get_args(inner)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        fields = {info.alias or name: info for name, info in inner.model_fields.items()}
        info = fields.get(str(part))
        return info and annotation_of(info), [*fields]
    if origin in _MAPPINGS:
        return args[-1], []
    items = [arg for arg in args if arg is not Ellipsis] if origin in _LISTS and isinstance(part, int) else []
    return (items[min(int(part), len(items) - 1)] if items else None), []


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _bare(annotation: Any) -> Any:
    """Without Annotated and `| None`: pydantic adds no location for either."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if _is_union(annotation):
        some = [arg for arg in get_args(annotation) if arg is not type(None)]
        if len(some) == 1:
            return _bare(some[0])
    return annotation


def located_messages(error: ValidationError, model: type[BaseModel]) -> list[tuple[Path, str, tuple[str, ...]]]:
    """Every problem once: its path in the data, its message, and the fields below that path that a FieldError names.

    A union's errors become one.
    """
    by_path: dict[Path, list[ErrorDetails]] = {}
    for item in error.errors(include_url=False):
        by_path.setdefault(locate(model, item["loc"])[0], []).append(item)
    messages = []
    for path, items in by_path.items():
        # Best is an alternative that refused the value by a validator of its own; else the shallowest error.
        refusals = [item for item in items if item["type"] == "value_error"]
        best = min(refusals or items, key=lambda item: len(item["loc"]))
        _, annotation, siblings = locate(model, best["loc"])
        raised = best.get("ctx", {}).get("error")
        fields = raised.fields if isinstance(raised, FieldError) else ()
        messages.append((path, plain_message(best, annotation, siblings), fields))
    return messages


def config_problems(error: ValidationError, model: type[BaseModel]) -> list[ConfigProblem]:
    """Pydantic's refusal of a config as ConfigProblems, each at the dotted path of the value."""
    problems = []
    for path, message, fields in located_messages(error, model):
        parts = [*map(str, path)]
        problems.append(ConfigProblem(".".join(parts), message, tuple(".".join([*parts, name]) for name in fields)))
    return problems
