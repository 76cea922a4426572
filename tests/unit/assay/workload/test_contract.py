"""The contract of workloads, held by the toy; and broken in every way that it is there to see."""

from __future__ import annotations

from typing import ClassVar

import toy_workload
from assay.workload import Workload
from assay.workload.testing import WorkloadContract


class TestToy(WorkloadContract):
    workload: ClassVar[Workload] = toy_workload.workload
