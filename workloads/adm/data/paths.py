"""Where data.path leads, or why it leads nowhere."""

from __future__ import annotations

from pathlib import Path

from adm.config import DataConfig
from assay.errors import UserError, did_you_mean


def located(data: DataConfig, takes: str, *, folder: bool, file: bool = False) -> Path:
    """data.path, where it is a folder or file as the source takes it; `takes` says what that is. Raises UserError."""
    if data.path is None:
        raise UserError(f"data.source {data.source} needs data.path: {takes}")
    path = Path(data.path).expanduser()
    if (folder and path.is_dir()) or (file and path.is_file()):
        return path
    kind = " or ".join([*(["folder"] if folder else []), *(["file"] if file else [])])
    if path.exists():
        raise UserError(f"data.path {data.path!r} is not a {kind}; data.source {data.source} takes {takes}")
    near = [neighbour.name for neighbour in path.parent.iterdir()] if path.parent.is_dir() else []
    raise UserError(
        f"data.path {data.path!r} is not a {kind}: there is nothing of that name{did_you_mean(path.name, near)}"
    )
