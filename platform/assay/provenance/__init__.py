"""Where a result comes from: the code, the machine and the command that made it.

The driver of a run writes one *origin* to the store: the repositories with their changes, a hash of each module of the
workloads, versions, the command. Results, checkpoints and shards name it.
"""

from assay.provenance.in_words import origin_in_words, repositories
from assay.provenance.origin import SUBMITTED, origin, submission
from assay.provenance.stale import Stale, stale_stages

__all__ = ["SUBMITTED", "Stale", "origin", "origin_in_words", "repositories", "stale_stages", "submission"]
