"""Sweep files by their names."""

from __future__ import annotations

import os
from pathlib import Path

from assay.errors import UserError, did_you_mean

SWEEPS = Path("sweeps")
SUFFIXES = (".yaml", ".yml")


def find_sweep(name: str) -> Path:
    """The file of a sweep, given a path or a name in `sweeps/`. Raises UserError with the closest match."""
    path, files = Path(name), files_of(name)
    if files:
        return files[0]
    if _is_from_here(name) or _exists(path):
        return path  # reading it raises the error
    known = [file for suffix in SUFFIXES for file in SWEEPS.glob(f"*{suffix}")]
    spelled = {str(f) if path.parent == SWEEPS else f.name if path.suffix in SUFFIXES else f.stem for f in known}
    hint = did_you_mean(name, spelled) or (f"; {SWEEPS}/ has none" if not known else "")
    raise UserError(f"{name}: no such sweep file, here or in {SWEEPS}/{hint}")


def files_of(name: str) -> list[Path]:
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
