"""A store without anything in it, and a bucket for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.store import Store
from s3_server import s3_server


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A local folder, and a filesystem that has no atomic rename, as object stores have none."""
    reports: list[str] = []
    url = str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path}"
    made = Store(url, report=reports.append)
    made.reports = reports  # type: ignore[attr-defined]
    return made


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with s3_server() as found_by:
        yield found_by


@pytest.fixture
def bucket(server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a folder in a bucket."""
    import s3fs

    for name, value in server.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # one of another server's
    files = s3fs.S3FileSystem()
    if not files.exists("assay"):
        files.mkdir("assay")
    return "s3://assay/study"
