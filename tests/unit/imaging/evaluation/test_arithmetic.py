"""Precision and recall of a trial in the arithmetic that its config asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adm.workload import workload
from assay.execution import inline
from assay.store import Store, StoredResult
from assay.workload import Stage, topological
from imaging import precision_recall

NUM = 80


@pytest.fixture
def given(tmp_path: Path) -> dict[str, object]:
    """Images that are almost white, and samples a bit darker: near 64, the squared norm of both, float16 has steps
    larger than their squared distances."""
    rng = np.random.default_rng(0)
    for name, least in (("data", 250), ("samples", 247)):
        np.savez(tmp_path / f"{name}.npz", rng.integers(least, least + 6, (NUM, 8, 8, 1), dtype=np.uint8))
    return {
        "data.source": "npz",
        "data.path": str(tmp_path / "data.npz"),
        "samples": str(tmp_path / "samples.npz"),
        "model.num_classes": None,
        "classifier": None,
        "evaluate.extractor": "pixels",
        "evaluate.num_samples": NUM,
        "evaluate.num_reference": None,
    }


def stages(config: dict[str, object]) -> dict[str, Stage]:
    graph = topological(workload.stages(workload.resolve("tiny_digits", config)))
    return {stage.name: stage for stage in graph}


def result(store: Store, graph: dict[str, Stage], name: str) -> StoredResult:
    for stage in graph.values():
        if store.get(stage.key) is None:
            inline.execute(stage, store, 1, lambda event: None)
    found = store.get(graph[name].key)
    assert found is not None
    return found


def test_it_is_what_the_function_gives_in_that_arithmetic(given: dict[str, object], tmp_path: Path) -> None:
    store, exact = Store(tmp_path / "store"), stages(given)
    rounded = stages({**given, "evaluate.precision_recall_arithmetic": "float16"})
    sides = [result(store, exact, name).read(["features"]).column("features") for name in ("reference", "features")]
    reference, samples = (side.combine_chunks().to_numpy_ndarray() for side in sides)
    figures = []
    for graph, arithmetic in ((exact, "float32"), (rounded, "float16")):
        metrics = result(store, graph, "evaluate").metrics
        figures.append((metrics["precision"], metrics["recall"]))
        assert figures[-1] == pytest.approx(precision_recall(reference, samples, arithmetic=arithmetic))
    assert figures[0] != figures[1]


def test_unless_it_is_set_the_evaluation_is_the_same_one_as_ever(given: dict[str, object]) -> None:
    evaluate = stages(given)["evaluate"]
    assert "precision_recall_arithmetic" not in evaluate.config
    assert evaluate.key == stages({**given, "evaluate.precision_recall_arithmetic": "float32"})["evaluate"].key
