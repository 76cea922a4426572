"""What every executor calls: the work of a stage in its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from repository import FIXTURES

SCRIPT = """
import sys
from pathlib import Path

import toy_workload
from assay.execution.work import Place, reduce
from assay.store import Store
from assay.workload import topological

everything = topological(toy_workload.workload.stages(toy_workload.workload.resolve("tiny", {})))
stages = {stage.name: stage for stage in everything}
store = Store(sys.argv[1])
reduce(stages["reference"], store, Place("cpu", 1), print)
assert store.get(stages["reference"].key).metrics == {"mean": 0.0}
print("torch" in sys.modules)
import torch
print(torch.get_num_threads())
"""


@pytest.mark.slow
def test_torch_is_imported_by_bodies_alone_and_has_the_threads_of_the_place(tmp_path: Path) -> None:
    """To import it takes each worker seconds."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "store")]
    done = subprocess.run(command, env={"PYTHONPATH": str(FIXTURES)}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "1"]
