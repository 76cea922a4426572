"""A JSON Schema of sweep files, for editors: it completes keys, config paths and names, and underlines mistakes.

It knows what a key and a value may look like. What depends on several of them (whether a base has a path, whether
values agree) is for `assay validate`.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from assay.registry import Registry
from assay.sweep.arms import BASE_KEYS
from assay.sweep.fields import ChoosingSection
from assay.sweep.resources import Resources
from assay.sweep.schema import Limits, Sweep
from assay.sweep.search.schedulers import Scheduler
from assay.sweep.search.searchers import Searcher
from assay.workload import JSON, Workload
from assay.workload.typed_workload import TypedWorkload, fields_below

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ANYTHING: Mapping[str, Any] = {}
MODE_OF_ONE_METRIC: Mapping[str, Any] = {
    "if": {"properties": {"metric": {"type": "object"}}},
    "then": {"properties": {"mode": {"not": {}}}},
    "else": {"required": ["mode"]},
}


def json_schema(workloads: Sequence[Workload]) -> dict[str, JSON]:
    """The schema of sweeps of these workloads, any of which an arm may name."""
    schema: dict[str, Any] = Sweep.model_json_schema(schema_generator=_WithNames)
    parts, properties = schema.pop("$defs"), schema["properties"]
    for section in (Searcher, Scheduler):
        parts[section.__name__] = _choosing(section)
    groups = [field["$ref"] for field in parts[Resources.__name__]["properties"].values()]
    parts[Resources.__name__]["additionalProperties"] = {"anyOf": [{"$ref": ref} for ref in groups]}
    days = parts[Limits.__name__]["properties"].pop("device_days")
    parts[Limits.__name__]["properties"] |= {workload.report.days.field: days for workload in workloads}
    parts |= (values := _values(workloads))
    paths = {path: _ref(path) for path in values}
    parts["Config"] = _object(paths)
    parts["Arm"] = _object({**paths, **{key: {"$ref": f"#/properties/{key}"} for key in BASE_KEYS}})
    mode = properties["mode"]
    properties["mode"] = {**mode.pop("anyOf")[0], "description": mode["description"]}  # without null, which is no value
    properties["workload"] |= {"enum": [workload.name for workload in workloads]}
    properties["base"] |= {"enum": list(dict.fromkeys(base for each in workloads for base in each.presets()))}
    properties["config"] |= _ref("Config")
    properties["arms"]["additionalProperties"] = _ref("Arm")
    properties["parameters"]["propertyNames"] = {"enum": list(values)}
    keys = (key for key in properties if key != "profiles")
    parts["Profile"] = _object({key: {"anyOf": [{"$ref": f"#/properties/{key}"}, {"type": "null"}]} for key in keys})
    properties["profiles"]["additionalProperties"] = _ref("Profile")
    return {"$schema": DIALECT, **schema, "title": "A sweep", **MODE_OF_ONE_METRIC, "$defs": parts}


def _ref(part: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{part}"}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


class _WithNames(GenerateJsonSchema):
    """With the names of a registry where a field takes one of them, and what classes say about their fields."""

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        inner = super().model_schema(schema)
        documented = {n: text for each in reversed(schema["cls"].__mro__) for n, text in _documented(each).items()}
        for name, field in inner.get("properties", {}).items():
            field.pop("title", None)  # it only repeats the name
            if name in documented:
                field["description"] = documented[name]
        return inner

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> dict[str, Any]:
        inner = super().function_after_schema(schema)
        registry = getattr(schema["function"]["function"], "__self__", None)
        return {**inner, "enum": registry.names()} if isinstance(registry, Registry) else inner


def _choosing(section: type[ChoosingSection]) -> dict[str, Any]:
    """A section with the options of every entry that its name may choose."""
    registry = section.registry
    options = [section, *(own for _, entry in registry.items() if (own := entry.options) is not None)]
    properties: dict[str, Any] = {}
    for model in reversed(options):
        properties |= model.model_json_schema(schema_generator=_WithNames)["properties"]
    properties["name"] = {**properties["name"], "enum": registry.names()}
    return {"description": " ".join((inspect.getdoc(section) or "").split()), **_object(properties)}


def _values(workloads: Sequence[Workload]) -> dict[str, Any]:
    """Config path → the schema of its value, over all workloads; of a section, what may stand instead of it."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for workload in workloads:
        typed = _typed_values(workload.config_type) if isinstance(workload, TypedWorkload) else None
        paths = [path for base in workload.presets() for path in workload.paths(base)]
        for path, schema in (dict.fromkeys(paths, ANYTHING) if typed is None else typed).items():
            known = found.setdefault(path, [])
            if schema not in known:
                known.append(schema)
    return {path: dict(each[0]) if len(each) == 1 else {"anyOf": each} for path, each in found.items()}


def _typed_values(config: type[BaseModel]) -> dict[str, Mapping[str, Any]]:
    values: dict[str, Mapping[str, Any]] = {}
    for field in fields_below(config):
        schema = _properties(field.owner)[field.path.rpartition(".")[2]]
        if field.sections and field.is_settable:
            values[field.path] = {"type": ["object", "null"]}
        elif not field.sections:
            values[field.path] = ANYTHING if "$ref" in str(schema) else schema
    return values


@cache
def _properties(model: type[BaseModel]) -> dict[str, Any]:
    properties: dict[str, Any] = model.model_json_schema(schema_generator=_WithNames)["properties"]
    return properties


@cache
def _documented(model: type) -> dict[str, str]:
    """Field → the text below it in the class's source."""
    if not issubclass(model, BaseModel) or model.__module__.startswith("pydantic"):
        return {}
    (body,) = (node.body for node in ast.parse(textwrap.dedent(inspect.getsource(model))).body)  # type: ignore[attr-defined]
    return {
        field.target.id: " ".join(inspect.cleandoc(text.value.value).split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
