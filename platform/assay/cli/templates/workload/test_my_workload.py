"""What every workload must satisfy: keys are stable, a resumed training equals a whole one, and rows do not depend on
batches. Add tests of your own below."""

from assay.workload.testing import WorkloadContract

import my_workload


class TestMyWorkload(WorkloadContract):
    workload = my_workload.workload
    tolerance = 1e-6  # of numbers in rows: a network rounds differently in other batch sizes
