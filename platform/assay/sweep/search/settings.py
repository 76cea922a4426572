"""What a trial's config has at a path, before the workload has seen it: what conditional parameters look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from assay.workload import JSON

ARM = "arm"
"""Takes the place of a config path in a condition: the trial's arm, or any member of a combination."""


class Settings:
    """A resolved base under layers of dotted overrides; later layers win. `arms`: the members of their arm."""

    def __init__(self, base: Mapping[str, JSON], *layers: Mapping[str, JSON], arms: Collection[str] = ()) -> None:
        self._base = base
        self._layers = layers
        self._arms = arms

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
        return is_for_arms(wanted, self._arms) and all(
            same(self.at(path, above), value) for path, value in wanted.items() if path != ARM
        )


def is_for_arms(wanted: Mapping[str, JSON], arms: Collection[str]) -> bool:
    """Whether a condition allows these arms: it names one of them, or has one in its list, or says nothing of arms."""
    names = wanted.get(ARM)
    return ARM not in wanted or any(name in arms for name in (names if isinstance(names, list) else [names]))


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
