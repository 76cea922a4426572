"""An origin in a few lines."""

from __future__ import annotations

from collections.abc import Iterable

from assay.store.schema import OriginRecord, RepositoryEntry

COMMIT_SHOWN = 10


def origin_in_words(origin: OriginRecord) -> dict[str, str]:
    """What a user asks first: the command, the code, the machine, the versions."""
    command = origin.submitted or origin
    versions = ", ".join(f"{name} {version}" for name, version in {"Python": origin.python, **origin.versions}.items())
    words = {
        "command": command.command,
        "code": ", ".join(repository_in_words(each) for each in repositories(origin)) or "in no Git repository",
        "by": f"{command.user} on {command.host}" if command.user else command.host,
        "versions": versions,
        "platform": origin.platform,
    }
    return {name: text for name, text in words.items() if text}


def repositories(origin: OriginRecord) -> Iterable[RepositoryEntry]:
    """Those that the run found, or else those of the machine that its job was submitted from."""
    return origin.repositories or (origin.submitted.repositories if origin.submitted else [])


def repository_in_words(repository: RepositoryEntry) -> str:
    """ "assay at 9378f5b6e2 (main), with changes" """
    commit = repository.commit[:COMMIT_SHOWN] if repository.commit else "no commit"
    branch = f" ({repository.branch})" if repository.branch else ""
    return f"{repository.folder} at {commit}{branch}{', with changes' if repository.is_dirty else ''}"
