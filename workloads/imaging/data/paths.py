"""Resolves data.path, and lists the files below it that are data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from assay.errors import NotHere, UserError, did_you_mean
from assay.look import once_a_look
from imaging.config import DataConfig
from imaging.paths import is_there, unreadable, whole

NOT_DATA = frozenset(
    {
        *("__MACOSX", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information"),
        *("lost+found", "@eaDir", "#recycle", "__pycache__"),
    }
)
"""Names of what operating systems, archivers and programs add to folders: previews, trash, resource forks."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is not data: hidden (.DS_Store, ._1.png, .ipynb_checkpoints), or NOT_DATA.

    Everything in a hidden folder is hidden, too. Meant for names below data.path; data.path itself may be hidden.
    """
    return name.startswith(".") or name in NOT_DATA


def located(data: DataConfig, takes: str, *, folder: bool, file: bool = False) -> Path:
    """The folder or file at data.path; `takes` describes in messages what the source needs there.

    Raises UserError if it is of the other kind, NotHere if it does not exist."""
    if data.path is None:
        raise NotHere(f"data.source {data.source} needs data.path: {takes}")
    path = whole(data.path)
    kind = " or ".join([*(["folder"] if folder else []), *(["file"] if file else [])])
    if is_there(path):
        if (folder and path.is_dir()) or (file and path.is_file()):
            return path
        raise UserError(f"data.path {data.path!r} is not a {kind}; data.source {data.source} takes {takes}")
    if path.is_symlink():
        raise unreadable(path, FileNotFoundError())
    parent = f" in {path.parent}" if path.as_posix() != data.path else ""
    hint = did_you_mean(path.name, _names_beside(path)) or parent
    raise NotHere(f"data.path {data.path!r} is not a {kind}: it does not exist{hint}")


def _names_beside(path: Path) -> list[str]:
    try:
        return [neighbour.name for neighbour in path.parent.iterdir()]
    except OSError:  # the folder does not exist or cannot be listed: nothing to suggest
        return []


@once_a_look
def files_below(root: Path) -> Sequence[str]:
    """Paths, relative to `root`, of all files below it that are not hidden.

    Links to folders are followed, since class folders are often links; those that lead back to a folder above them are
    left out. Raises UserError for a folder that cannot be listed: without its files, this would be another data set.
    """

    def refuse(error: OSError) -> None:
        raise unreadable(error.filename, error)

    files: list[str] = []
    real_paths: dict[str, tuple[str, ...]] = {str(root): (os.path.realpath(root),)}  # of a folder and those above it
    for folder, inner, names in os.walk(root, onerror=refuse, followlinks=True):
        above = real_paths.pop(folder)
        inner[:] = [name for name in inner if not is_hidden(name)]
        for name in inner.copy():
            path = os.path.join(folder, name)  # noqa: PTH118  a million of them
            real = os.path.realpath(path) if os.path.islink(path) else os.path.join(above[-1], name)  # noqa: PTH114, PTH118
            if real in above:
                inner.remove(name)
            else:
                real_paths[path] = (*above, real)
        relative = os.path.relpath(folder, root)
        prefix = "" if relative == "." else relative + os.sep
        files += [prefix + name for name in names if not is_hidden(name)]
    return files


def files_in(folder: Path, suffix: str) -> list[str]:
    """Sorted names of a folder's files with a suffix that are not hidden. Raises UserError if it cannot be listed."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  only names are needed
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted(name for name in names if name.endswith(suffix) and not is_hidden(name))
