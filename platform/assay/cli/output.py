"""Where a command's answer goes: stdout, as a table for people or as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from rich.console import Console

PIPED_WIDTH = 120


def console() -> Console:
    """Stdout. A pipe has no width of its own: tables get room enough not to fold their names."""
    is_sized = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if is_sized else PIPED_WIDTH)


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
    print()
