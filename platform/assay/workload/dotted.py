"""Values of a config by their dotted paths, such as "train.learning_rate"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def section_of(config: Any, path: str) -> Any | None:
    """The innermost section with the value at a path; None if the config has no such value."""
    *sections, name = path.split(".")
    for part in sections:
        config = config.get(part) if isinstance(config, Mapping) else None
    return config if isinstance(config, Mapping) and name in config else None


def at_path(config: Any, path: str) -> Any:
    """The value at a path; None if the config has no such value, as below a section that is null."""
    section = section_of(config, path)
    return None if section is None else section[path.rpartition(".")[2]]


def with_value(config: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The config with another value at a path."""
    name, _, rest = path.partition(".")
    inner = config.get(name)
    return {**config, name: with_value(inner if isinstance(inner, Mapping) else {}, rest, value) if rest else value}
