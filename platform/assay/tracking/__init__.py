"""MLflow as a view of the store: an experiment a sweep, a parent run a sweep, a child run a trial.

The store is the truth. What MLflow shows can be wiped and is built again by the next command. MLflow itself is imported
when there is something to show, not before.
"""

from assay.tracking.parent import log_report
from assay.tracking.tracker import Tracker
from assay.tracking.ui import serve, ui_command

__all__ = ["Tracker", "log_report", "serve", "ui_command"]
