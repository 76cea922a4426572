"""A config as it ran: where it left something to be chosen ("auto"), what was chosen, and what was asked.

A note whose name is the dotted path of a value answers that value: note("train.precision", "bf16").
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from assay.workload import JSON, section_of


def as_run(config: Mapping[str, JSON], notes: Mapping[str, JSON]) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """The config with the notes' answers in it, and path → what was asked where the answer is another."""
    ran, asked = deepcopy(dict(config)), {}
    for path, chosen in notes.items():
        section = section_of(ran, path)
        name = path.rpartition(".")[2]
        if section is None or isinstance(section[name], dict | list) or section[name] == chosen:
            continue
        asked[path], section[name] = section[name], chosen
    return ran, asked
