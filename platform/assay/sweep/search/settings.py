"""What a trial's config has at a path, before the workload has seen it: what conditional parameters look at."""

from __future__ import annotations

from collections.abc import Mapping

from assay.workload import JSON


class Settings:
    """A resolved base under layers of dotted overrides; later layers win."""

    def __init__(self, base: Mapping[str, JSON], *layers: Mapping[str, JSON]) -> None:
        self._base = base
        self._layers = layers

    def at(self, path: str, above: Mapping[str, JSON]) -> JSON:
        """The value with one more layer over it; None below a section that is null."""
        for layer in (above, *self._layers[::-1]):
            if path in layer:
                return layer[path]
            section = next((written for written in layer if path.startswith(f"{written}.")), None)
            if section is not None:
                return at_path(layer[section], path[len(section) + 1 :])
        return at_path(self._base, path)

    def match(self, wanted: Mapping[str, JSON], above: Mapping[str, JSON]) -> bool:
        return all(same(self.at(path, above), value) for path, value in wanted.items())


def at_path(config: JSON, path: str) -> JSON:
    """The value at a dotted path of a resolved config; None below a section that is null."""
    for part in path.split("."):
        if not isinstance(config, Mapping) or part not in config:
            return None
        config = config[part]
    return config


def same(one: JSON, other: JSON) -> bool:
    """1 is 1.0, but neither is true."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other
