"""A store without anything in it."""

from pathlib import Path

import pytest

from assay.store import Store


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A local folder, and a filesystem that has no atomic rename, as object stores have none."""
    reports: list[str] = []
    url = str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path}"
    made = Store(url, report=reports.append)
    made.reports = reports  # type: ignore[attr-defined]
    return made
