"""The keys of a sweep file as Markdown tables, from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
MOST_NAMES = 8
"""Longer lists of names are not printed."""
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}
SHOWN_BOUND = 1000
"""Larger bounds only keep numbers finite."""
ENTRIES = {"parameters": "PATH", "profiles": "NAME", "arms": "LABEL"}
"""Keys whose sections the user names."""
ELSEWHERE = ("Config", "Arm", "Profile")
"""Parts of the schema whose keys are the workload's config paths, or those of the sweep itself."""


def key_tables(schema: Schema) -> str:
    """A table per section of the file, each after those that lead to it."""
    return "\n\n".join(_tables(schema, schema, "")) + "\n"


def _tables(schema: Schema, section: Schema, place: str) -> Iterator[str]:
    keys, required = section["properties"], section.get("required", ())
    about = _inline(section.get("description", ""))
    head = [f"### `{place}`", "", *([about, ""] if about else [])] if place else []
    rows = [_row(name, key, name in required) for name, key in keys.items()]
    yield "\n".join([*head, "| key | value | default | |", "|---|---|---|---|", *rows])
    for name, key in keys.items():
        for part, suffix in _parts(key):
            if part not in ELSEWHERE:
                inner = f"{place}.{name}" if place else name
                entry = f".{ENTRIES[name]}" if suffix == ".*" and name in ENTRIES else suffix
                yield from _tables(schema, schema["$defs"][part], f"{inner}{entry}")


def _parts(key: Schema) -> Iterator[tuple[str, str]]:
    """The sections that a key may hold, and what stands between: [] for a list's, .* for those that the user names."""
    if "$ref" in key:
        yield key["$ref"].rpartition("/")[2], ""
    for inner, suffix in (*((each, "") for each in key.get("anyOf", ())), (key.get("items"), "[]")):
        if isinstance(inner, Mapping):
            yield from ((part, suffix + more) for part, more in _parts(inner))
    if isinstance(named := key.get("additionalProperties"), Mapping):
        yield from ((part, ".*" + more) for part, more in _parts(named))


def _row(name: str, key: Schema, is_required: bool) -> str:
    is_empty = key.get("default") in (None, "", [], {}) or "$ref" in key
    default = "required" if is_required else "" if is_empty else f"`{_yaml(key['default'])}`"
    return f"| `{name}` | {_words(key)} | {default} | {_inline(key.get('description', ''))} |"


def _words(key: Schema) -> str:
    """What a key takes, as in "an integer ≥ 1"."""
    choices = [each for each in key.get("anyOf", ()) if each.get("type") != "null"]
    if choices:
        return " or ".join(dict.fromkeys(map(_words, choices)))
    if "$ref" in key:
        return "a mapping" if key["$ref"].rpartition("/")[2] in ELSEWHERE else "a section"
    if "enum" in key:
        return ", ".join(f"`{name}`" for name in key["enum"]) if len(key["enum"]) <= MOST_NAMES else "a name"
    if "prefixItems" in key:
        return "[min, max]"
    kind = key.get("type")
    if kind == "array":
        items = key.get("items", {})
        return "a list of sections" if "$ref" in items else f"a list of {_several(items)}"
    if kind == "integer" and key.get("minimum") == key.get("maximum", ""):
        return f"`{key['minimum']}`"
    if kind in ("integer", "number"):
        return " ".join([{"integer": "an integer", "number": "a number"}[kind], _bounds(key)]).strip()
    return {"string": "text", "boolean": "true or false", "object": "a mapping"}.get(str(kind), "any value")


def _several(items: Schema) -> str:
    if "enum" in items:
        return _words(items)
    several = {"string": "names", "integer": "integers", "number": "numbers"}.get(str(items.get("type")), "values")
    return " ".join([several, _bounds(items)]).strip()


def _bounds(key: Schema) -> str:
    known = [
        f"{sign} {key[bound]:g}" for bound, sign in BOUNDS.items() if abs(key.get(bound, SHOWN_BOUND)) < SHOWN_BOUND
    ]
    return " and ".join(known)


def _yaml(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _inline(text: str) -> str:
    """A description in a cell; what Python calls None is null in YAML, or nothing at all."""
    return text.replace("|", "\\|").replace("None:", "Left out:")
