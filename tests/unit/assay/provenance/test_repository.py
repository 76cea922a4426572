"""What is written down about the Git repositories that results come from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from assay.provenance.repository import repositories


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    (folder / "code").mkdir(parents=True)
    git(folder, "init")
    (folder / "code" / "loop.py").write_text("STEPS = 10\n")
    (folder / "token.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "begin")
    git(folder, "remote", "add", "origin", "https://ada:geheim@example.org/study.git")
    return folder


def test_a_clean_tree_has_a_commit_and_no_difference(repository: Path) -> None:
    (state,) = repositories([repository, repository / "code"])
    assert state["folder"] == "study"
    assert state["branch"] == "main"
    assert len(str(state["commit"])) == 40
    assert (state["is_dirty"], state["diff"], state["untracked"]) == (False, "", [])
    assert "geheim" not in str(state["remote"])


def test_changes_are_kept_but_not_those_of_files_that_hold_secrets(repository: Path) -> None:
    (repository / "code" / "loop.py").write_text("STEPS = 20\n")
    (repository / "token.txt").write_text("two\n")
    (repository / "code" / "new.py").write_text("")
    (repository / "code" / ".env").write_text("PASSWORD=two\n")
    (repository / "elsewhere.py").write_text("")
    (state,) = repositories([repository / "code"])
    assert state["is_dirty"]
    assert "+STEPS = 20" in state["diff"]
    assert "two" not in state["diff"]
    assert state["untracked"] == ["code/new.py"]


@pytest.mark.parametrize(
    "line",
    [
        'password = "hunter2hunter2"',
        "aws_secret_access_key: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
        '"api_key": "0123456789abcdef",',
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_a_change_that_seems_to_hold_a_secret_is_named_and_left_out(repository: Path, line: str) -> None:
    (repository / "code" / "loop.py").write_text(f"STEPS = 20\n{line}\n")
    (state,) = repositories([repository])
    assert state["diff"] == "code/loop.py: left out, since it seems to hold a secret\n"


def test_code_about_secrets_holds_none(repository: Path) -> None:
    code = "token = find_token(token)\nSECRET_NAMES = names\npassword: str | None = None\n"
    (repository / "code" / "loop.py").write_text(code)
    (state,) = repositories([repository])
    assert "+token = find_token(token)" in state["diff"]


def test_a_filter_that_decrypts_is_not_used(repository: Path) -> None:
    (repository / ".gitattributes").write_text("*.yaml diff=open\n")
    (repository / "code" / "vault.yaml").write_text("sealed\n")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "seal")
    git(repository, "config", "diff.open.textconv", "echo opened; true")
    (repository / "code" / "vault.yaml").write_text("sealed again\n")
    (state,) = repositories([repository])
    assert "+sealed again" in state["diff"]
    assert "opened" not in state["diff"]


def test_before_the_first_commit_and_outside_of_any(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init")
    (state,) = repositories([tmp_path / "none", tmp_path / "empty"])
    assert state["commit"] is None


def test_without_git_nothing_is_known(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert repositories([repository]) == []
