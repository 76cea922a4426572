"""What a user calls things: sweeps by file or by name, this program as it was called."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from assay.errors import UserError, did_you_mean
from assay.home import Home
from assay.report.words import relative
from assay.spec import Sweep, load_sweep
from assay.text import hide_secrets

SWEEPS = Path("sweeps")
SUFFIXES = (".yaml", ".yml")


def find_sweep(name: str) -> Path:
    """The file of a sweep: as given, or `sweeps/<name>.yaml`. Raises UserError with the nearest there is."""
    given = Path(name)
    if given.exists():
        return given
    for suffix in ("", *SUFFIXES):
        file = SWEEPS / f"{name}{suffix}"
        if file.is_file():
            return file
    known = [file for suffix in SUFFIXES for file in SWEEPS.glob(f"*{suffix}")]
    spelled = {str(f) if given.parent == SWEEPS else f.name if given.suffix in SUFFIXES else f.stem for f in known}
    hint = did_you_mean(name, spelled) or (f"; {SWEEPS}/ has none" if not known else "")
    raise UserError(f"{name}: no such sweep file, nor one of that name in {SWEEPS}/{hint}")


def open_sweep(name: str, profile: str | None, sets: Sequence[str]) -> Sweep:
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
    """The command that is running, to be pasted and run again; without secrets."""
    return " ".join([program(), shlex.join(hide_secrets(word) for word in sys.argv[1:])])
