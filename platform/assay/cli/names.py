"""How users refer to things: sweeps by file or name, and this program as it was called."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.errors import UserError, did_you_mean
from assay.home import Home
from assay.redaction import hide_secrets
from assay.text import relative

if TYPE_CHECKING:
    from assay.sweep import Sweep

SWEEPS = Path("sweeps")
SUFFIXES = (".yaml", ".yml")


def find_sweep(name: str) -> Path:
    """The file of a sweep, given a path or a name in `sweeps/`. Raises UserError with the closest match."""
    path, files = Path(name), _files_of(name)
    if files:
        return files[0]
    if _is_from_here(name) or _exists(path):
        return path  # reading it raises the error
    known = [file for suffix in SUFFIXES for file in SWEEPS.glob(f"*{suffix}")]
    spelled = {str(f) if path.parent == SWEEPS else f.name if path.suffix in SUFFIXES else f.stem for f in known}
    hint = did_you_mean(name, spelled) or (f"; {SWEEPS}/ has none" if not known else "")
    raise UserError(f"{name}: no such sweep file, here or in {SWEEPS}/{hint}")


def open_sweep(name: str, profile: str | None, sets: Sequence[str]) -> Sweep:
    from assay.sweep import load_sweep  # here: the shell's completion needs the names alone, at once

    files = _files_of(name)
    if len(files) > 1 and not files[0].samefile(files[1]):
        chosen, other = (f".{os.sep}{file}" if str(file) == name else str(file) for file in files)
        print(f"{name}: reading {chosen}; to read {other}, give that path", file=sys.stderr)
    return load_sweep(find_sweep(name), profile=profile, sets=sets)


def _files_of(name: str) -> list[Path]:
    """The files that a name may mean, the preferred one first. A word without a YAML suffix means a sweep in `sweeps/`,
    whatever else has that name here; folders do not count."""
    path = Path(name)
    named = [] if _is_from_here(name) else [SWEEPS / f"{name}{suffix}" for suffix in ("", *SUFFIXES)]
    inside = next((file for file in named if _may_be_read(file)), None)
    files = [file for file in (path if _may_be_read(path) else None, inside) if file is not None]
    return files if path.suffix in SUFFIXES else files[::-1]


def _is_from_here(name: str) -> bool:
    return name.startswith((os.sep, f".{os.sep}", f"..{os.sep}"))


def _exists(file: Path) -> bool:
    """Whether there is something, readable or not."""
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
    except OSError:  # a parent folder is not accessible, or the name is too long
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
    """The current command, without secrets, to be pasted and run again."""
    return " ".join([program(), shlex.join(hide_secrets(word) for word in sys.argv[1:])])
