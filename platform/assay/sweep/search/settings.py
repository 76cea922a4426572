"""The settings that conditions of parameters are evaluated on, before a config is resolved."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from assay.workload import JSON, at_path

ARM = "arm"
"""Stands in a condition for the trial's arm, or any member of a combination."""


class Settings:
    """A resolved base under layers of dotted overrides; later layers win. `arms`: the members of their arm."""

    def __init__(self, base: Mapping[str, JSON], *layers: Mapping[str, JSON], arms: Collection[str] = ()) -> None:
        self._base = base
        self._layers = layers
        self._arms = arms

    def at(self, path: str, above: Mapping[str, JSON]) -> JSON:
        """The value at a path, with one more layer on top; None below a section that is null."""
        for layer in (above, *self._layers[::-1]):
            if path in layer:
                return layer[path]
            section = next((written for written in layer if path.startswith(f"{written}.")), None)
            if section is not None:
                return at_path(layer[section], path[len(section) + 1 :])
        return at_path(self._base, path)

    def match(self, wanted: Mapping[str, JSON], above: Mapping[str, JSON]) -> bool:
        return is_for_arms(wanted, self._arms) and all(
            same(self.at(path, above), value) for path, value in wanted.items() if path != ARM
        )


def is_for_arms(wanted: Mapping[str, JSON], arms: Collection[str]) -> bool:
    """Whether a condition allows one of these arms: it names it, lists it, or does not mention arms."""
    names = wanted.get(ARM)
    return ARM not in wanted or any(name in arms for name in (names if isinstance(names, list) else [names]))


def same(first: JSON, second: JSON) -> bool:
    """Equal, where 1 equals 1.0, but neither equals true."""
    return isinstance(first, bool) == isinstance(second, bool) and first == second
