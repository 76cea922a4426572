"""The guides' examples that need a Ray: as they are written, with sweeps of seconds in the place of the paper's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from assay.jobs.local import LocalCluster
from assay.workload import load_workload
from repository import ROOT

pytestmark = pytest.mark.cluster


def example(guide: str, having: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / guide).read_text(), re.DOTALL)
    (only,) = [text for text in blocks if having in text]
    return only


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader stands: sweeps of the names that the examples use."""
    smoke = load_workload("biggan").smoke  # type: ignore[attr-defined]
    sweep = {"version": 1, "workload": "biggan", "base": smoke.base, "config": dict(smoke.config)}
    sweep |= {"metric": "fd_pixels", "mode": "min", "profiles": {"smoke": {}}}
    (tmp_path / "sweeps").mkdir()
    for name in ("quickstart", "table8_early_stopping"):
        (tmp_path / "sweeps" / f"{name}.yaml").write_text(json.dumps({**sweep, "name": name}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_sweep_from_python(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(example("sweeps/README.md", "assay.run("), names)
    assert names["outcome"].to_pandas()["fd_pixels"].notna().all()
    assert "digits_gan" in capsys.readouterr().out
    assert "fd_pixels" in (project / "page.html").read_text()


def test_a_job_from_python(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, names = example("infra/README.md", "assay.Client("), dict[str, Any]()
    with LocalCluster() as cluster:
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(cluster.token_path))
        exec(code.replace("http://head:8265", cluster.address), names)
        assert names["job"].results()["fd_pixels"].notna().all()
        assert set(names["job"].ledger()["stage"]) > {"train", "features", "evaluate"}
    assert "digits_gan" in capsys.readouterr().out
