"""Modules that somebody else in this process may have imported."""

from __future__ import annotations

import sys
from types import ModuleType


def imported(name: str) -> ModuleType | None:
    """The module, if this process has imported it; None while a thread is still at it, when it may lack anything."""
    module = sys.modules.get(name)
    at_it = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return None if at_it else module
