"""What of a document is well-formed enough to be checked further, so that one mistake does not hide the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.workload import JSON


@dataclass
class Draft:
    """The sections that make trials; whatever in them has the wrong shape is left out."""

    config: dict[str, JSON]
    arms: dict[str, dict[str, JSON]]
    grid: dict[str, list[JSON]]
    seeds: list[int]

    @classmethod
    def of(cls, data: Mapping[str, JSON]) -> Draft:
        spaces = mapping_at(data, "parameters")
        values = {path: space.get("values") for path, space in spaces.items() if isinstance(space, dict)}
        seeds = data.get("seeds", [0])
        good = [seed for seed in seeds if type(seed) is int and seed >= 0] if isinstance(seeds, list) else []
        return cls(
            config=mapping_at(data, "config"),
            arms={name: delta for name, delta in mapping_at(data, "arms").items() if isinstance(delta, dict)},
            grid={path: found for path, found in values.items() if isinstance(found, list) and found},
            seeds=list(dict.fromkeys(good)) or [0],
        )


def mapping_at(data: Mapping[str, JSON], key: str) -> dict[str, JSON]:
    value = data.get(key)
    return dict(value) if isinstance(value, dict) else {}
