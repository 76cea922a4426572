"""The inline executor: every kind of stage in this process, without Ray. For tests and a first breakpoint."""

from __future__ import annotations

import time

from assay.runner.events import Emit
from assay.runner.work import MapStep, commit_map, here, ids_of, pending, reduce, train_worker
from assay.store import Store
from assay.workload import Stage


def execute(stage: Stage, store: Store, threads: int, emit: Emit) -> None:
    """Compute a stage whose inputs are stored, and commit it."""
    place = here(threads)
    if stage.kind == "train":
        while train_worker(stage, store, place, emit) is not None:
            pass  # it left, and is started again
    elif stage.kind == "reduce":
        reduce(stage, store, place, emit)
    else:
        started = time.monotonic()
        chain = [MapStep(stage, index, store, place, emit) for index in range(len(stage.body))]
        spans = pending(stage, store)
        for span in spans:
            block = ids_of(span)
            for step in chain:
                block = step(block)
        notes = {name: value for step in chain for name, value in step.notes.items()}
        commit_map(stage, store, place, 1, time.monotonic() - started, spans, notes)
