"""A terminal and a shell that know ASCII alone, and names of arms that are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from patience import LONGEST_S

pytestmark = pytest.mark.slow

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
MAIN = "import sys; from assay.cli import main; sys.exit(main(sys.argv[1:]))"
ARM = "größer σ"


@pytest.fixture
def ascii_shell(project: Path, site: Path) -> Any:
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text("utf-8").replace("AdaGN:", f"{ARM}:"), encoding="utf-8")

    def call(*args: str) -> tuple[int, str, str]:
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, **ASCII, "PYTHONPATH": path}
        command = [sys.executable, "-c", MAIN, *args]
        done = subprocess.run(command, capture_output=True, env=environment, timeout=LONGEST_S, check=False)
        return done.returncode, done.stdout.decode("ascii"), done.stderr.decode("ascii")

    return call


def test_what_the_terminal_lacks_is_shown_as_a_question_mark(ascii_shell: Any) -> None:
    code, out, err = ascii_shell("plan", "norms")
    assert (code, err) == (0, "")
    assert "gr??er ?, scale 0.0" in out


def test_json_is_the_same_in_any_encoding(ascii_shell: Any) -> None:
    code, out, err = ascii_shell("plan", "norms", "--json")
    assert (code, err) == (0, "")
    assert f"{ARM}, scale 0.0" in {trial["trial"] for trial in json.loads(out)["trials"]}


def test_what_a_run_wrote_is_read_and_tracked(assay: Callable[..., Any], ascii_shell: Any, project: Path) -> None:
    assay("run", "norms")
    code, out, err = ascii_shell("ls", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["sweeps"][0]["best"] == f"{ARM}, scale 0.0"
    code, out, err = ascii_shell("sync")
    assert (code, out, err) == (0, "norms: 4 trials in MLflow\n", "")
    (table,) = (project / ".assay/mlflow-artifacts").rglob("comparison.json")
    assert json.loads(table.read_text("utf-8"))["data"][0][1] == f"{ARM}, scale 0.0"
