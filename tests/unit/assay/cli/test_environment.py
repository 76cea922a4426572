"""Random environments: whatever a machine is like, a command ends with the right numbers or says in a line why not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from patience import LONGEST_S
from repository import FIXTURES

ROUNDS, SEED = 300, 4
CODES = {0, 2, 3, 141}
"""Done; a mistake; could not; nobody reads. No trial fails here, none is limited, and nobody presses Ctrl-C."""
AS_A_USER = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""Without root's right to read and write everything."""


@pytest.mark.slow
def test_a_command_ends_readably_in_any_environment(tmp_path: Path) -> None:
    info = tmp_path / "site" / "light-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: light\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[assay.workloads]\nlight = light_workload:workload\n")
    path = os.pathsep.join([str(info.parent), str(FIXTURES)])
    is_root = os.geteuid() == 0 and shutil.which(AS_A_USER[0]) is not None
    command = [sys.executable, str(FIXTURES / "odd_environments.py"), str(tmp_path), str(ROUNDS), str(SEED)]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [*(AS_A_USER if is_root else ()), *command],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=LONGEST_S,
    )
    assert done.returncode == 0, done.stderr
    undisturbed, *rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == ROUNDS
    wrong = [f"{one['odd']} {one['args']}: {why}\n{one['err']}" for one in rounds if (why := _wrong(one, undisturbed))]
    assert not wrong, "\n".join(wrong)
    assert {one["code"] for one in rounds} == CODES, "every way to end was met"


def _wrong(one: dict[str, Any], undisturbed: dict[str, Any]) -> str | None:
    """What is not as it should be of a round."""
    told, odd = one["out"] + one["err"], " ".join(one["odd"])
    if one["code"] not in CODES:
        return f"exit code {one['code']}"
    if "Traceback" in told or "bug in assay" in told:
        return "a traceback"
    if one["code"] in (2, 3) and not one["err"].strip() and "stderr" not in odd and "bytes of a file" not in odd:
        return "silent"
    is_run = one["args"][0] == "run" and one["args"][-1] == "--json" and "stdout" not in odd
    if one["code"] == 0 and is_run and _numbers(one["out"]) != _numbers(undisturbed["out"]):
        return f"other numbers: {one['out']}"
    return None


def _numbers(out: str) -> dict[str, Any]:
    return {trial["trial"]: trial["metrics"] for trial in json.loads(out)["trials"]}
