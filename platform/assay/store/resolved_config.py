"""A config as it ran: values left open ("auto") are replaced by those that were chosen, and kept as `asked`.

A note named by a value's dotted path says what was chosen: note("train.precision", "bf16").
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from assay.workload import JSON, section_of


def as_run(config: Mapping[str, JSON], notes: Mapping[str, JSON]) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """The config with the chosen values, and path → the value asked for, where the chosen one differs."""
    ran, asked = deepcopy(dict(config)), {}
    for path, chosen in notes.items():
        section = section_of(ran, path)
        name = path.rpartition(".")[2]
        if section is None or isinstance(section[name], dict | list) or section[name] == chosen:
            continue
        asked[path], section[name] = section[name], chosen
    return ran, asked
