"""infra/compose: what Compose makes of it with the passwords that secrets.sh makes, and who can reach it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from repository import ROOT

FOLDER = ROOT / "infra" / "compose"
COMPOSE = shutil.which("docker-compose")
needs_compose = pytest.mark.skipif(COMPOSE is None, reason="needs docker-compose (apt-get install docker-compose)")


def secrets(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([FOLDER / "secrets.sh", file], capture_output=True, text=True)


def config(*options: str | Path) -> subprocess.CompletedProcess[str]:
    """`docker-compose config` with nothing set that the file asks for. Needs no Docker engine."""
    assert COMPOSE is not None
    command = [COMPOSE, *options, "-f", FOLDER / "compose.yaml", "config"]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})


@pytest.fixture
def resolved(tmp_path: Path) -> dict[str, Any]:
    assert secrets(tmp_path / ".env").returncode == 0
    read = config("--env-file", tmp_path / ".env")
    assert read.returncode == 0, read.stderr
    return yaml.safe_load(read.stdout)


def test_the_passwords_are_the_user_s_alone_and_are_never_made_anew_over_others(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert secrets(file).returncode == 0
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = secrets(file)
    assert (again.returncode, file.read_text()) == (1, text)
    assert "already exists" in again.stderr
    values = dict(line.split("=", 1) for line in text.splitlines())
    passwords = [value for name, value in values.items() if name.endswith(("PASSWORD", "KEY", "TOKEN"))]
    assert len(passwords) == len(set(passwords)) == 5
    assert all(len(password) == 64 for password in passwords)


@needs_compose
def test_without_passwords_compose_says_how_to_make_them() -> None:
    refused = config()
    assert refused.returncode != 0
    assert "secrets.sh" in refused.stderr


@pytest.mark.slow
@needs_compose
def test_every_port_is_open_to_this_machine_alone(resolved: dict[str, Any]) -> None:
    ports = [port for service in resolved["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(str(port).startswith("127.0.0.1:") for port in ports)


@pytest.mark.slow
@needs_compose
def test_every_service_has_a_health_check_that_those_after_it_wait_for(resolved: dict[str, Any]) -> None:
    services = resolved["services"]
    assert set(services) == {"head", "worker", "mlflow", "postgres", "s3"}
    for service in services.values():
        assert service["healthcheck"]["test"]
        for name, waited in service.get("depends_on", {}).items():
            assert name in services
            assert waited == {"condition": "service_healthy"}


@pytest.mark.slow
@needs_compose
def test_what_one_service_calls_another_serves(resolved: dict[str, Any]) -> None:
    services = resolved["services"]
    for service in services.values():
        environment = service["environment"]
        assert environment.get("PGHOST", "postgres") in services
        for name in ("AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI"):
            if name in environment:
                host, _, port = environment[name].removeprefix("http://").partition(":")
                assert f"127.0.0.1:{port}:{port}/tcp" in services[host]["ports"]
    buckets = services["s3"]["environment"]["S3_BUCKET"].split(",")
    assert services["head"]["environment"]["ASSAY_STORE"].split("/")[2] in buckets
    assert services["mlflow"]["environment"]["MLFLOW_ARTIFACTS_DESTINATION"].split("/")[2] in buckets
    assert services["mlflow"]["environment"]["PGPASSWORD"] == services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    tokens = {services[name]["environment"]["RAY_AUTH_TOKEN"] for name in ("head", "worker")}
    assert len(tokens) == 1
    assert {services[name]["environment"]["RAY_AUTH_MODE"] for name in ("head", "worker")} == {"token"}
