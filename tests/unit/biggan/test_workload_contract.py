"""biggan holds to the contract of workloads."""

from __future__ import annotations

from typing import ClassVar

import pytest

from assay.workload import Workload
from assay.workload.testing import WorkloadContract
from biggan.workload import workload


@pytest.mark.slow
class TestBigGAN(WorkloadContract):
    workload: ClassVar[Workload] = workload
    tolerance = 1.0  # a grey level: other batches are rounded otherwise
