"""What a workload implements so that the platform can run it.

A workload turns a config into a small graph of *stages*. A stage is a pure function with an address: its key hashes
its name, its version, the slice of the config that it reads, its budget, and the keys of the stages that it reads. The
platform decides where and when a stage runs; the stage's body, named by an import path, does the work without Ray.

Three kinds of body:

    train    def body(ctx: TrainContext) -> Mapping[str, float]       called on every worker; rank 0's return counts
    map      class Body: __init__(ctx: StageContext); __call__(batch) called on batches of columns, several in a chain
    reduce   def body(ctx: StageContext) -> Mapping[str, float]       a plain function

A batch is a dict of column name → NumPy array with one row per id. The first class of a map stage receives only the
column "id" (int64, ascending), or also the columns of the map stage that is its `rows`; each class returns "id"
unchanged, and the columns that the next one reads or that are stored. Columns are arrays (N, …), never lists or
tensors, with the same type and shape for all ids. Row i depends on i, the config and the inputs, not on its batch. The
rows of a `streamed` stage are passed to the stages that read them within one process, and not stored.

`ReportHints` say what readers should make of these: which metrics come first, which one is the N that tables show,
which curves of a training reports draw (MLflow shows all), what items are, and in which device's days costs are given.

Authors start from `TypedWorkload` (presets, dotted paths and error messages from a pydantic config, with fields from
`assay.workload.fields`), save a training's state with `Checkpointed`, test with `assay.workload.testing`, and check
the whole with `assay check NAME`.
"""

from assay.costs.devices import DeviceDays
from assay.workload.checkpointed import Checkpointed, is_checkpoint_due
from assay.workload.contexts import JACKKNIFE, Result, StageContext, TrainContext, log_step
from assay.workload.dotted import at_path, section_of, with_value
from assay.workload.formats import ConvertsFiles, FileFormat
from assay.workload.hints import PrintedTable, ReportHints
from assay.workload.keys import KEY_LENGTH, canonical_json, digest
from assay.workload.protocol import (
    PrintsTables,
    Smoke,
    Starter,
    Workload,
    installed_presets,
    load_attribute,
    load_workload,
    package_of,
    workload_names,
)
from assay.workload.references import find_stage
from assay.workload.stage import (
    JSON,
    Batch,
    Budget,
    Checkpointing,
    Memory,
    Promise,
    Stage,
    StageKind,
    Work,
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
    "ConvertsFiles",
    "DeviceDays",
    "FileFormat",
    "Memory",
    "PrintedTable",
    "PrintsTables",
    "Promise",
    "ReportHints",
    "Result",
    "Smoke",
    "Stage",
    "StageContext",
    "StageKind",
    "Starter",
    "TrainContext",
    "TypedWorkload",
    "Work",
    "Workload",
    "at_path",
    "canonical_json",
    "digest",
    "find_stage",
    "installed_presets",
    "is_checkpoint_due",
    "load_attribute",
    "load_workload",
    "log_step",
    "package_of",
    "section_of",
    "topological",
    "with_value",
    "workload_names",
]
