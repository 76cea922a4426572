"""Content-addressed results: what was computed, by key, with checksums. The store is the truth.

`Stage.key` in `workload/stage.py` computes the key.
"""

from assay.store.downloads import local_copy
from assay.store.journal import Computed, Decisions, Suggestions
from assay.store.records import FileRecord, Files, sha256_of
from assay.store.schema import Decision, RunningRecord
from assay.store.store import HISTORY, Cost, Notes, Provenance, Store, StoredResult

__all__ = [
    "HISTORY",
    "Computed",
    "Cost",
    "Decision",
    "Decisions",
    "FileRecord",
    "Files",
    "Notes",
    "Provenance",
    "RunningRecord",
    "Store",
    "StoredResult",
    "Suggestions",
    "local_copy",
    "sha256_of",
]
