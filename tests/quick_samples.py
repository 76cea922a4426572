"""A graph of adm that is computed in a second or two: a small model of the digits, trained for a moment, and DDIM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from adm.workload import workload
from assay.execution import inline
from assay.execution.events import Event
from assay.store import Store, StoredResult
from assay.workload import Stage, topological

QUICK = {
    "model.channel_mult": [1],
    "model.attention_resolutions": [],
    "classifier": None,
    "train.iterations": 2,
    "train.batch_size": 4,
    "train.precision": "fp32",
    "sample.sampler": "ddim",
    "sample.steps": 2,
    "sample.precision": "fp32",
    "sample.batch_size": 10,
    "evaluate.extractor": "pixels",
    "evaluate.num_samples": 130,
    "evaluate.num_reference": 100,
}


def graph(**overrides: Any) -> dict[str, Stage]:
    """Name → stage; `sample__steps=3` sets sample.steps."""
    config = workload.resolve("digits", {**QUICK, **{k.replace("__", "."): v for k, v in overrides.items()}})
    return {stage.name: stage for stage in topological(workload.stages(config))}


def compute(stages: Mapping[str, Stage], store: Store, until: str | None = None) -> dict[str, list[Event]]:
    """Compute what is missing (for one stage), in order: the events of each stage that was."""
    told: dict[str, list[Event]] = {}
    wanted = stages.values() if until is None else topological([stages[until]])
    for stage in wanted:
        if store.sound(stage.key) is None:
            inline.execute(stage, store, 1, told.setdefault(stage.name, []).append)
    return told


def result(stages: Mapping[str, Stage], store: Store, name: str) -> StoredResult:
    found = store.get(stages[name].key)
    assert found is not None
    return found


def tensors(found: StoredResult, column: str) -> np.ndarray[Any, Any]:
    tables = found.batches([column])
    return np.concatenate([table.column(column).combine_chunks().to_numpy_ndarray() for table in tables])
