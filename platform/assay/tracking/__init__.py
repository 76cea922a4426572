"""MLflow as a view of the store: per sweep an experiment with a parent run, and a child run per trial.

The store is the truth: whatever is deleted from MLflow is rebuilt by the next command. MLflow is imported only when
there is something to log.
"""

from assay.tracking.garbage import Found, OldRun, OldVersion, StoredKeys, delete_old, find_old
from assay.tracking.parent import log_report
from assay.tracking.tracker import Tracker
from assay.tracking.ui import serve, ui_command

__all__ = [
    "Found",
    "OldRun",
    "OldVersion",
    "StoredKeys",
    "Tracker",
    "delete_old",
    "find_old",
    "log_report",
    "serve",
    "ui_command",
]
