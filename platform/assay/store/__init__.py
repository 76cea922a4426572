"""Content-addressed results: what was computed, by key, with checksums. The store is the truth."""

from assay.store.records import FileRecord, Files, local_copy, sha256_of
from assay.store.store import Cost, Store, StoredResult

__all__ = ["Cost", "FileRecord", "Files", "Store", "StoredResult", "local_copy", "sha256_of"]
