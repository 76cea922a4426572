"""A home in which MLflow's database is ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.home import Home
from tracking_database import with_database


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return with_database(Home(tmp_path / "home"))
