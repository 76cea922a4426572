"""adm holds to the contract of workloads."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from safetensors.torch import load_file
from torch import equal

from adm.workload import workload
from assay.workload import Workload
from assay.workload.testing import WorkloadContract


@pytest.mark.slow
class TestAdm(WorkloadContract):
    workload: ClassVar[Workload] = workload
    tolerance = 1.0  # a grey level: other batches are rounded otherwise

    def assert_same_file(self, one: Path, other: Path) -> None:
        ours, theirs = load_file(one), load_file(other)  # the header's order is by chance
        assert ours.keys() == theirs.keys()
        assert all(equal(weight, theirs[name]) for name, weight in ours.items())
