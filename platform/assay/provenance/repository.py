"""The state of Git repositories: commit, branch, and what differs from the commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from assay.redaction import hide_secrets, is_secret_name
from assay.workload import JSON

MOST_CHARACTERS = 1_000_000
"""Longer differences are cut."""
MOST_UNTRACKED = 100
TIMEOUT_S = 20.0


def repositories(folders: Iterable[Path]) -> list[dict[str, JSON]]:
    """The state of each repository that holds one of these folders, once; none without Git."""
    roots = dict.fromkeys(root for folder in folders if (root := _git(folder, "rev-parse", "--show-toplevel")))
    return [_state(Path(root.strip())) for root in roots]


def _state(root: Path) -> dict[str, JSON]:
    """`commit` is None before the first one. Files whose names look like secrets are left out."""
    commit = _line(root, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = _names(root, "diff", "--name-only", "-z", commit) if commit else []
    untracked = _names(root, "ls-files", "--others", "--exclude-standard", "-z")
    diff = _git(root, "diff", "--no-color", "--no-ext-diff", commit, "--", *changed) if commit and changed else ""
    return {
        "folder": root.name,
        "commit": commit,
        "branch": _line(root, "symbolic-ref", "--short", "--quiet", "HEAD"),
        "remote": hide_secrets(_line(root, "config", "--get", "remote.origin.url") or "") or None,
        "is_dirty": bool(_git(root, "status", "--porcelain")),
        "untracked": untracked[:MOST_UNTRACKED],
        "diff": hide_secrets(diff or "")[:MOST_CHARACTERS],
    }


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
