"""Where data.path leads, or why it leads nowhere; and what is below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from adm.config import DataConfig
from assay.errors import NotHere, UserError, did_you_mean


def located(data: DataConfig, takes: str, *, folder: bool, file: bool = False) -> Path:
    """data.path, where it is a folder or file as the source takes it; `takes` says what that is.

    Raises UserError for something else that is there, NotHere where nothing is."""
    if data.path is None:
        raise NotHere(f"data.source {data.source} needs data.path: {takes}")
    path = Path(data.path).expanduser()
    if (folder and path.is_dir()) or (file and path.is_file()):
        return path
    kind = " or ".join([*(["folder"] if folder else []), *(["file"] if file else [])])
    if path.exists():
        raise UserError(f"data.path {data.path!r} is not a {kind}; data.source {data.source} takes {takes}")
    near = [neighbour.name for neighbour in path.parent.iterdir()] if path.parent.is_dir() else []
    raise NotHere(
        f"data.path {data.path!r} is not a {kind}: there is nothing of that name{did_you_mean(path.name, near)}"
    )


def files_below(root: Path) -> Iterator[str]:
    """Paths below `root` of all that is no folder, through links to folders as well: class folders are often links.

    A link to a folder that it is in leads round in a circle, and is left out.
    """
    came_through: dict[str, tuple[str, ...]] = {str(root): (os.path.realpath(root),)}
    for folder, inner, names in os.walk(root, followlinks=True):
        above = came_through.pop(folder)
        for name in inner.copy():
            path = os.path.join(folder, name)  # noqa: PTH118  a million of them
            real = os.path.realpath(path) if os.path.islink(path) else os.path.join(above[-1], name)  # noqa: PTH114, PTH118
            if real in above:
                inner.remove(name)
            else:
                came_through[path] = (*above, real)
        below = os.path.relpath(folder, root)
        prefix = "" if below == "." else below + os.sep
        yield from (prefix + name for name in names)
