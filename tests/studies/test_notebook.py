"""The shipped notebook, executed as Jupyter does: every cell has what it says, and the page can be read.

With shorter trainings and fewer samples, which change the numbers and nothing else.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor

from repository import ROOT

NOTEBOOK = ROOT / "sweeps" / "quickstart.ipynb"
SETS = 'sets=["base=tiny_digits"]'
SHORT = {
    "base": "tiny_digits",
    "train.iterations": "20",
    "classifier.train.iterations": "20",
    "sample.steps": "4",
    "evaluate.num_samples": "40",
    "evaluate.num_reference": "80",
}
WIDGET = "application/vnd.jupyter.widget-view+json"
pytestmark = [pytest.mark.studies, pytest.mark.slow]


def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (loading,) = [cell for cell in notebook.cells if SETS in cell.source]
    loading.source = loading.source.replace(SETS, f"sets={[f'{path}={value}' for path, value in SHORT.items()]}")
    ExecutePreprocessor(timeout=900).preprocess(notebook, {"metadata": {"path": str(NOTEBOOK.parent)}})
    page, _ = HTMLExporter().from_notebook_node(notebook)
    for expected in ("4 trials, 13 stages", "by fd_classifier, smaller is better", "best", "image/png", "report.html"):
        assert expected in page
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    bars = [str(output["data"]["text/plain"]) for output in outputs if WIDGET in output.get("data", {})]
    assert bars[0].startswith("quickstart:"), "a bar of the study, as a widget"
    assert any(bar.startswith("train (AdaGN):") for bar in bars)
