"""What `assay init` writes runs as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from assay.workload import workload_names

Assay = Callable[..., Any]
ASSAY = "import sys; from assay.cli import main; sys.exit(main())"


def test_a_study_is_written_among_the_others_and_runs(assay: Assay, project: Path) -> None:
    result = assay("init", "first", "--workload", "toy")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("wrote sweeps/first.yaml: ")
    assert "run first " in result.out
    assert assay("validate", "first").out == "sweeps/first.yaml: OK: first, 2 trials of toy tiny\n"
    assert assay("run", "first").code == 0
    assert assay("run", "first", "--profile", "smoke").code == 0


def test_without_a_name_or_a_folder_of_sweeps(assay: Assay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert assay("init").code == 0
    assert assay("validate", "my-study.yaml").out.startswith("my-study.yaml: OK: my-study, ")
    assert assay("init", "sub/other.yaml").err == "sub/other.yaml: there is no folder sub; make it first\n"


def test_an_editor_finds_the_schema_beside_it(assay: Assay, project: Path) -> None:
    assay("init", "first", "-w", "toy")
    text = (project / "sweeps/first.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=sweep.schema.json\n")
    schema = json.loads((project / "sweeps/sweep.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(YAML(typ="safe").load(text))


def test_comments_are_in_one_column(assay: Assay, project: Path) -> None:
    assay("init", "first", "-w", "toy")
    lines = (project / "sweeps/first.yaml").read_text().splitlines()
    assert len({line.index(" # ") for line in lines if " # " in line and not line.startswith("#")}) == 1
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("args", [("norms",), ("sweeps/norms.yaml",), ("mine", "--package")])
def test_nothing_is_overwritten(assay: Assay, project: Path, args: tuple[str, ...]) -> None:
    (project / "mine").mkdir()
    before = {file: file.read_bytes() for file in project.rglob("*") if file.is_file()}
    result = assay("init", *args)
    assert result.code == 2
    assert "there is one already, and nothing is overwritten; choose another name" in result.err
    assert {file: file.read_bytes() for file in project.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("a b",), "got 'a b', allowed: a name of letters"),
        (("first", "-w", "tyo"), "unknown workload 'tyo'; did you mean 'toy'?"),
        (("class", "--package"), "got 'class', allowed: a name that Python can import"),
        (("json", "--package"), "there is a module or a workload 'json' already"),
        (("toy", "--package"), "there is a module or a workload 'toy' already"),
        (("mine", "--package", "-w", "toy"), "leave one of them out"),
    ],
)
def test_names_that_are_refused(assay: Assay, project: Path, args: tuple[str, ...], said: str) -> None:
    result = assay("init", *args)
    assert result.code == 2
    assert said in result.err
    assert [file.name for file in project.iterdir()] == ["sweeps"]


@pytest.mark.slow
@pytest.mark.parametrize("workload", [name for name in workload_names() if name != "toy"])
def test_the_starter_of_every_workload_runs(assay: Assay, workload: str) -> None:
    assert assay("init", "first", "-w", workload).code == 0
    assert assay("validate", "first").err == ""
    assert assay("run", "first", "--profile", "smoke").code == 0


@pytest.mark.slow
def test_a_package_satisfies_its_contract_and_runs(assay: Assay, project: Path) -> None:
    result = assay("init", "my-dit", "--package")
    assert (result.code, result.err) == (0, "")
    folder = project / "my-dit"
    assert sorted(file.name for file in folder.iterdir()) == ["my_dit.py", "pyproject.toml", "test_my_dit.py"]
    assert "class MyDit(" in (folder / "my_dit.py").read_text()
    _install(folder)
    environment = {**os.environ, "PYTHONPATH": str(folder), "ASSAY_HOME": str(project / "home")}

    def python(*args: str) -> str:
        done = subprocess.run([sys.executable, *args], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "7 passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder))
    assert "starter: 4 trials of small" in python("-c", ASSAY, "check", "my_dit")
    python("-c", ASSAY, "init", "study", "-w", "my_dit")
    assert "best   tanh" in python("-c", ASSAY, "run", "study", "--executor", "inline", "--no-tracking")


def _install(folder: Path) -> None:
    """The entry point of its pyproject.toml, as pip would install it."""
    import tomllib

    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name']}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n")
    entries = (f"{name} = {value}\n" for name, value in project["entry-points"]["assay.workloads"].items())
    (info / "entry_points.txt").write_text("[assay.workloads]\n" + "".join(entries))
