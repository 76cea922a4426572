"""Tell people who do not watch a run how it goes: a webhook or a command of theirs gets a message."""

from assay.alerts.alert import Alert
from assay.alerts.notifier import Notifier

__all__ = ["Alert", "Notifier"]
