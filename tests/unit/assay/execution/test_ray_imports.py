"""What the processes of a cluster import to take their work: each import delays the start of all of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

OF_WORKERS = ("trial", "job", "task", "train", "fan_out", "broker_actor")
NOT_NEEDED = {
    *("assay.sweep", "assay.planning.plan", "assay.results", "assay.report", "assay.alerts", "assay.tracking"),
    *("torch", "mlflow", "optuna", "ruamel.yaml"),
}


def test_workers_import_neither_sweeps_nor_reports_nor_torch() -> None:
    modules = ", ".join(f"assay.execution.ray.{name}" for name in OF_WORKERS)
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not NOT_NEEDED & set(done.stdout.split())
