"""How users refer to things: sweeps by file or name, and this program as it was called."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.home import Home
from assay.redaction import hide_secrets
from assay.sweep_files import files_of, find_sweep
from assay.text import relative

if TYPE_CHECKING:
    from assay.sweep import Sweep


def open_sweep(name: str, profile: str | None, sets: Sequence[str]) -> Sweep:
    from assay.sweep import load_sweep  # here: the shell's completion needs the names alone, at once

    files = files_of(name)
    if len(files) > 1 and not files[0].samefile(files[1]):
        chosen, other = (f".{os.sep}{file}" if str(file) == name else str(file) for file in files)
        print(f"{name}: reading {chosen}; to read {other}, give that path", file=sys.stderr)
    return load_sweep(find_sweep(name), profile=profile, sets=sets)


def report_folder(home: Home, sweep: Sweep) -> Path:
    return home.report(sweep.name, sweep.profile)


def program() -> str:
    """This program as the user called it: `assay`, `.venv/bin/assay`."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m assay"
    on_path = shutil.which(called.name)
    if on_path is not None and Path(on_path).absolute() == called.absolute():
        return called.name
    return shlex.quote(relative(called))


def command_line() -> str:
    """The current command, without secrets, to be pasted and run again."""
    return " ".join([program(), shlex.join(hide_secrets(word) for word in sys.argv[1:])])
