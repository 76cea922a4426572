"""What Tab completes, as bash asks: words in COMP_WORDS, answers on stdout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(assay: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Complete:
    """The completions of the last word."""

    def ask(*words: str) -> list[str]:
        monkeypatch.setenv("_ASSAY_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(["assay", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        result = assay()
        assert (result.code, result.err) == (0, "")
        return result.out.split()

    return ask


def test_sweeps_and_files_here(complete: Complete, project: Path) -> None:
    (project / "mine.yaml").write_text("")
    assert complete("run", "") == ["mine.yaml", "norms"]
    for command in ("validate", "plan", "submit", "compare", "report", "sync", "ui", "notify"):
        assert complete(command, "no") == ["norms"]


def test_profiles_of_the_sweep(complete: Complete) -> None:
    assert complete("run", "norms", "--profile", "") == ["smoke"]
    assert complete("run", "norms", "-s", "train.iterations=3", "-p", "s") == ["smoke"]
    assert complete("compare", "norms", "--profile", "") == ["smoke"]
    assert complete("run", "--profile", "") == []


def test_paths_that_may_be_set(complete: Complete) -> None:
    assert complete("run", "norms", "--set", "sample.") == ["sample.fail=", "sample.dies=", "sample.gates="]
    assert complete("run", "norms", "--set", "se") == ["seed=", "searcher=", "seeds="]


def test_a_path_that_is_complete_comes_with_its_values(complete: Complete) -> None:
    assert complete("run", "norms", "-s", "model.n") == ["model.norm=", "model.norm=adagn", "model.norm=add"]
    assert complete("run", "norms", "-s", "model.norm=ada") == ["model.norm=adagn"]
    assert complete("run", "norms", "-s", "sample.fail=") == ["sample.fail=false", "sample.fail=true"]
    assert complete("run", "norms", "-s", "train.iterations=") == ["train.iterations=20"]


def test_names_of_presets_workloads_and_executors(complete: Complete) -> None:
    assert complete("show", "pre") == ["preset"]
    assert complete("show", "preset", "ti") == ["tiny", "tiny_digits"]
    assert complete("show", "norms", "") == []
    assert complete("check", "to") == complete("schema", "to") == ["toy"]
    assert complete("run", "norms", "--executor", "") == ["ray", "inline"]


def test_keys_of_what_is_stored(complete: Complete, assay: Callable[..., Any], project: Path) -> None:
    assert complete("show", "a") == []
    (project / ".assay/store/results").mkdir(parents=True)
    for key in ("a" * 32, "b" * 32):
        (project / ".assay/store/results" / key).mkdir()
    assert complete("show", "a") == complete("why", "a") == ["a" * 32]
    assert complete("why", "") == ["norms"]
    assert "b" * 32 not in complete("show", "")


@pytest.mark.parametrize("text", ["", "- a", "base: tiny", "workload: none\nbase: tiny", "arms: {a: 3}", "a: [", "\t"])
def test_a_sweep_that_is_half_written_completes_nothing(complete: Complete, project: Path, text: str) -> None:
    (project / "sweeps/half.yaml").write_text(text)
    assert complete("run", "half", "--profile", "") == []
    assert complete("run", "half", "--set", "") == []
    assert complete("run", "none", "--set", "") == []


def test_nothing_is_written(complete: Complete, project: Path) -> None:
    complete("run", "norms", "--set", "")
    complete("show", "a")
    assert [file.name for file in project.iterdir()] == ["sweeps"]


@pytest.mark.slow
def test_tab_waits_for_no_heavy_library(project: Path, site: Path) -> None:
    code = (
        "import sys; from assay.cli import main; main()\n"
        "print({'torch', 'ray', 'mlflow', 'pandas', 'optuna', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    words = {"_ASSAY_COMPLETE": "complete_bash", "COMP_WORDS": "assay run norms --set model", "COMP_CWORD": "4"}
    environment = {**os.environ, **words, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split()[0] == "model.norm="
    assert done.stdout.endswith("set()\n")
