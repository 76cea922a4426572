"""Where things are kept, whatever the shell says and however a folder or a profile is called."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from assay.home import Home
from assay.tracking.client import mlflow_client
from assay.tracking.database import sqlite_file

VARIABLES = ("ASSAY_HOME", "ASSAY_STORE", "MLFLOW_TRACKING_URI")


def test_a_variable_set_to_nothing_is_as_one_that_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    places = []
    for is_set in (False, True):
        for name in VARIABLES:
            if is_set:
                monkeypatch.setenv(name, "")
            else:
                monkeypatch.delenv(name, raising=False)
        home = Home.default()
        places.append((home.root, home.store_url, home.scratch_url, home.tracking_uri))
    assert places[0] == places[1]
    assert places[0][:3] == (tmp_path / ".assay", f"{tmp_path}/.assay/store", f"{tmp_path}/.assay/ray")
    assert places[0][3] == f"sqlite:///{tmp_path}/.assay/mlflow.db"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a%20b", "what?", "no#1", "50% of ä b", "plain"])
def test_the_database_is_in_the_home_however_that_is_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    home = Home(tmp_path / name)
    home.root.mkdir()
    client = mlflow_client(home.tracking_uri)
    number = client.create_experiment("study", artifact_location=(home.artifacts / "study").as_uri())
    run = client.create_run(number)
    client.log_text(run.info.run_id, "here", "note.txt")
    file = home.root / "mlflow.db"
    assert sqlite_file(home.tracking_uri) == file
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("select name from experiments where name = 'study'").fetchall() == [("study",)]
    assert list(home.artifacts.rglob("note.txt"))
    assert [path.name for path in tmp_path.iterdir()] == [name], "and nothing is anywhere else"


def test_the_file_of_a_uri_with_options() -> None:
    assert sqlite_file("sqlite:////there/mlflow.db?timeout=5") == Path("/there/mlflow.db")
    assert sqlite_file("http://there:5000") is None


def test_every_sweep_and_profile_has_a_report_folder_of_its_own(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.report("target") == tmp_path / "reports/target"
    assert home.report("target", "smoke") == tmp_path / "reports/target@smoke"
    asked = [("target-smoke", None), ("target", "smoke"), ("target", "a/b"), ("target", "a%2Fb"), ("target", None)]
    assert len({home.report(*names) for names in asked}) == len(asked)
    for profile in ("../../evil", "/evil", "..", ".", "a/../../../b", "\0"):
        folder = home.report("target", profile)
        assert folder.resolve().parent == home.root / "reports"
        assert folder.name.startswith("target@")


def test_a_user_without_a_home_gets_assays_own(tmp_path: Path) -> None:
    """As in a container that runs under a number: MLflow and Ray could not even be imported."""
    code = "from assay.home import ensure_user_home; ensure_user_home(); import os; print(os.environ['HOME'])"
    command = ["unshare", "--user", "--map-user=12345", "--map-group=12345", "env"]
    command += ["-u", "HOME", "-u", "ASSAY_HOME", sys.executable]
    if subprocess.run([*command[:4], "true"], capture_output=True).returncode != 0:
        pytest.skip("no user namespaces here")
    told = subprocess.run([*command, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    assert told == f"{tmp_path / '.assay'}\n"
