"""The state of Git repositories: commit, branch, and what differs from the commit."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from assay.redaction import hide_secrets, is_secret_name
from assay.workload import JSON

KEPT_CHANGES = {
    ".py",
    ".pyi",
    ".yaml",
    ".yml",
    ".toml",
    ".cfg",
    ".ini",
    ".c",
    ".cc",
    ".cpp",
    ".cu",
    ".cuh",
    ".h",
    ".sh",
}
"""Suffixes of the files whose changes are kept."""
SECRET = re.compile(
    r"""PRIVATE\ KEY-----
    | (?:passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|credential)\w*["']?\s*[:=]\s*
      (?:["'][^"'\s]{6,}["'] | [A-Za-z0-9+/_\-]{16,}\s*$)""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
"""A key, or a literal that is given a telling name."""
MOST_CHARACTERS = 1_000_000
"""Longer differences are cut."""
MOST_UNTRACKED = 100
TIMEOUT_S = 20.0


def repositories(folders: Iterable[Path]) -> list[dict[str, JSON]]:
    """The state of each repository that holds one of these folders, once; none without Git."""
    within: dict[str, list[Path]] = {}
    for folder in folders:
        if root := (_git(folder, "rev-parse", "--show-toplevel") or "").strip():
            within.setdefault(root, []).append(folder)
    return [_state(Path(root), inside) for root, inside in within.items()]


def _state(root: Path, folders: Sequence[Path]) -> dict[str, JSON]:
    """`commit` is None before the first one. Of changes, only those of code and settings below the folders are kept,
    without files that seem to hold secrets."""
    commit = _line(root, "rev-parse", "--verify", "--quiet", "HEAD")
    below = ["--", *map(str, folders)]
    changed = _names(root, "diff", "--name-only", "-z", commit, *below) if commit else []
    diffs = [_diff(root, commit, name) for name in changed if Path(name).suffix in KEPT_CHANGES] if commit else []
    return {
        "folder": root.name,
        "commit": commit,
        "branch": _line(root, "symbolic-ref", "--short", "--quiet", "HEAD"),
        "remote": hide_secrets(_line(root, "config", "--get", "remote.origin.url") or "") or None,
        "is_dirty": bool(_git(root, "status", "--porcelain")),
        "untracked": _names(root, "ls-files", "--others", "--exclude-standard", "-z", *below)[:MOST_UNTRACKED],
        "diff": "".join(diffs)[:MOST_CHARACTERS],
    }


def _diff(root: Path, commit: str, name: str) -> str:
    """How a file differs, as it is stored: not as a filter shows it, which might decrypt it."""
    options = ("--no-color", "--no-ext-diff", "--no-textconv")
    diff = hide_secrets(_git(root, "diff", *options, commit, "--", name) or "")
    return f"{name}: left out, since it seems to hold a secret\n" if SECRET.search(diff) else diff


def _names(root: Path, *arguments: str) -> list[str]:
    names = (_git(root, *arguments) or "").split("\0")
    return [name for name in names if name and not is_secret_name(Path(name))]


def _line(root: Path, *arguments: str) -> str | None:
    return (_git(root, *arguments) or "").strip() or None


def _git(folder: Path, *arguments: str) -> str | None:
    """What Git prints; None if it fails, as outside a repository, or is not installed."""
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", "-C", str(folder), "-c", "core.quotepath=false", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
