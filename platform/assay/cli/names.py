"""What a user calls things: sweeps by file or by name, this program as it was called."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from assay.errors import UserError, did_you_mean
from assay.home import Home
from assay.sweep import Sweep, load_sweep
from assay.text import hide_secrets, relative

SWEEPS = Path("sweeps")
SUFFIXES = (".yaml", ".yml")


def find_sweep(name: str) -> Path:
    """The file of a sweep: a path, or the name of one in `sweeps/`. Raises UserError with the nearest there is."""
    given, there = Path(name), _files_of(name)
    if there:
        return there[0]
    if _is_from_here(name) or _is_something(given):
        return given  # why it cannot be read is told by whoever tries
    known = [file for suffix in SUFFIXES for file in SWEEPS.glob(f"*{suffix}")]
    spelled = {str(f) if given.parent == SWEEPS else f.name if given.suffix in SUFFIXES else f.stem for f in known}
    hint = did_you_mean(name, spelled) or (f"; {SWEEPS}/ has none" if not known else "")
    raise UserError(f"{name}: no such sweep file, nor one of that name in {SWEEPS}/{hint}")


def open_sweep(name: str, profile: str | None, sets: Sequence[str]) -> Sweep:
    there = _files_of(name)
    if len(there) > 1 and not there[0].samefile(there[1]):
        chosen, other = (f".{os.sep}{file}" if str(file) == name else str(file) for file in there)
        print(f"{name}: read from {chosen}; there is {other}, too, which goes by that path", file=sys.stderr)
    return load_sweep(find_sweep(name), profile=profile, sets=sets)


def _files_of(name: str) -> list[Path]:
    """What a name may mean, the likelier first. A word without a YAML suffix is one of a sweep in `sweeps/`, whatever
    else is called so where the user stands; and a folder is no sweep."""
    given = Path(name)
    named = [] if _is_from_here(name) else [SWEEPS / f"{name}{suffix}" for suffix in ("", *SUFFIXES)]
    inside = next((file for file in named if _may_be_read(file)), None)
    there = [file for file in (given if _may_be_read(given) else None, inside) if file is not None]
    return there if given.suffix in SUFFIXES else there[::-1]


def _is_from_here(name: str) -> bool:
    return name.startswith((os.sep, f".{os.sep}", f"..{os.sep}"))


def _is_something(file: Path) -> bool:
    """Also where one may not look."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _may_be_read(file: Path) -> bool:
    try:
        return file.exists() and not file.is_dir()
    except OSError:  # a folder above it is closed, or the name is too long for one
        return False


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
