"""Where data.path leads, or why it leads nowhere; and which of the files below it are read."""

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
"""Names that systems, archivers and programs leave in folders of data: previews, waste, forks of files."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no data: hidden (.DS_Store, ._1.png, .ipynb_checkpoints), or NOT_DATA.

    What is below a hidden folder is hidden with it. Only names below data.path count, and not its own.
    """
    return name.startswith(".") or name in NOT_DATA


def located(data: DataConfig, takes: str, *, folder: bool, file: bool = False) -> Path:
    """data.path, where it is a folder or file as the source takes it; `takes` says what that is.

    Raises UserError for something else that is there, NotHere where nothing is."""
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
    near = _names_beside(path)
    hint = did_you_mean(path.name, near) or (f" in {path.parent}" if path.as_posix() != data.path else "")
    raise NotHere(f"data.path {data.path!r} is not a {kind}: there is nothing of that name{hint}")


def _names_beside(path: Path) -> list[str]:
    try:
        return [neighbour.name for neighbour in path.parent.iterdir()]
    except OSError:  # neither is the folder there, or it cannot be listed: nothing to suggest
        return []


@once_a_look
def files_below(root: Path) -> Sequence[str]:
    """Paths below `root` of all that is no folder and not hidden, through links to folders as well: class folders are
    often links.

    A link to a folder that it is in leads round in a circle, and is left out. Raises UserError for a folder that cannot
    be listed: without what is in it the data would be other data.
    """

    def refuse(error: OSError) -> None:
        raise unreadable(error.filename, error)

    below: list[str] = []
    came_through: dict[str, tuple[str, ...]] = {str(root): (os.path.realpath(root),)}
    for folder, inner, names in os.walk(root, onerror=refuse, followlinks=True):
        above = came_through.pop(folder)
        inner[:] = [name for name in inner if not is_hidden(name)]
        for name in inner.copy():
            path = os.path.join(folder, name)  # noqa: PTH118  a million of them
            real = os.path.realpath(path) if os.path.islink(path) else os.path.join(above[-1], name)  # noqa: PTH114, PTH118
            if real in above:
                inner.remove(name)
            else:
                came_through[path] = (*above, real)
        way = os.path.relpath(folder, root)
        prefix = "" if way == "." else way + os.sep
        below += [prefix + name for name in names if not is_hidden(name)]
    return below


def files_in(folder: Path, suffix: str) -> list[str]:
    """Names of the files in a folder with a suffix that are not hidden, sorted. Raises UserError as `files_below`."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  names are what is wanted
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted(name for name in names if name.endswith(suffix) and not is_hidden(name))
