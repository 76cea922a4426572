"""What a workload implements to be run by the platform.

A workload turns a config into a small graph of *stages*. A stage is a pure function with an address: its key hashes
its name, its version, the slice of the config it reads, its budget, and the keys of the stages it reads from. The
platform decides where and when a stage runs; the stage's body, named by an import path, does the work and imports
nothing of Ray.

Three kinds of body:

    train    def body(ctx: TrainContext) -> Mapping[str, float]       called on every worker; rank 0's return counts
    map      class Body: __init__(ctx: StageContext); __call__(batch) called on batches of columns, several in a chain
    reduce   def body(ctx: StageContext) -> Mapping[str, float]       a plain function
"""

from assay.workload.checkpointed import Checkpointed
from assay.workload.contexts import JACKKNIFE, Result, StageContext, TrainContext
from assay.workload.hints import PrintedTable, ReportHints
from assay.workload.protocol import (
    PrintsTables,
    Smoke,
    Workload,
    load_attribute,
    load_workload,
    package_of,
    workload_names,
)
from assay.workload.stage import (
    JSON,
    KEY_LENGTH,
    Batch,
    Budget,
    Checkpointing,
    Promise,
    Stage,
    StageKind,
    Work,
    canonical_json,
    digest,
    section_of,
    topological,
)
from assay.workload.typed_workload import TypedWorkload

__all__ = [
    "JACKKNIFE",
    "JSON",
    "KEY_LENGTH",
    "Batch",
    "Budget",
    "Checkpointed",
    "Checkpointing",
    "PrintedTable",
    "PrintsTables",
    "Promise",
    "ReportHints",
    "Result",
    "Smoke",
    "Stage",
    "StageContext",
    "StageKind",
    "TrainContext",
    "TypedWorkload",
    "Work",
    "Workload",
    "canonical_json",
    "digest",
    "load_attribute",
    "load_workload",
    "package_of",
    "section_of",
    "topological",
    "workload_names",
]
