"""Restrict a cluster that is started for one run to its user: with its own folder, its own token, on loopback only.

By default Ray uses one token for all clusters in ~/.ray, creates folders that everybody may write to, and listens on
all network addresses.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from assay.errors import UserError
from assay.store.scratch import in_use, remove_leftovers

NAMED_BY = ("RAY_TMPDIR", "TMPDIR")
ELSE = ("/tmp", "/var/tmp")
"""Candidates for the folder of Ray's session: the first suitable one is used."""
PREFIX = "assay-ray-"
TOKEN = "token"
LEAST_FREE_BYTES = 50e6
LONGEST_SOCKET = 107
"""Bytes in the path of a Unix socket, on Linux."""
BELOW_FOLDER = "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""The longest path of a socket that Ray creates there."""
LOOPBACK_ALONE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Set to 0: where Ray does not support multi-node clusters, it listens on loopback only."""


@contextmanager
def secluded() -> Iterator[Path]:
    """The folder for Ray's session; while open, this process and its children have the run's token.

    The token is removed on closing. The rest, which holds the logs, is removed by the first run after a day, also for
    killed runs.
    """
    from assay.execution.ray import private  # imports Ray

    folder = fresh_folder()
    remove_leftovers(folder.parent, PREFIX)
    with in_use(folder):
        token = folder / TOKEN
        write_token(token, secrets.token_hex(32))
        settings = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": None,  # would take precedence over the file
            "RAY_AUTH_TOKEN_PATH": str(token),
            LOOPBACK_ALONE: "0",
            "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME") or _loopback_interface(),
        }
        try:
            with private.on_the_loopback_alone(), environment(settings):
                private.read_environment_again()
                yield folder / "ray"
        finally:
            private.read_environment_again()
            token.unlink(missing_ok=True)


def write_token(file: Path, token: str) -> None:
    """Write it to a file that is never readable by others."""
    file.touch(0o600)
    file.write_text(token, encoding="utf-8")


def fresh_folder() -> Path:
    """A new private folder in the first suitable place. Raises UserError if there is none."""
    named = [os.environ[name] for name in NAMED_BY if os.environ.get(name)]
    refused = []
    for place in dict.fromkeys([*named, *ELSE]):
        try:
            return _folder_in(Path(place).absolute())
        except (OSError, ValueError) as error:
            refused.append(f"{place}: {getattr(error, 'strerror', None) or error}")
    raise UserError(
        f"Ray has no folder for its sockets and logs ({'; '.join(refused)}). Allowed: one that is writable, has "
        f"{LEAST_FREE_BYTES / 1e6:.0f} MB free and a short path; set TMPDIR to it, or run without Ray: --executor "
        "inline"
    )


def _folder_in(place: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))  # with the mode 0700
    try:
        if len(os.fsencode(f"{folder}{BELOW_FOLDER}")) > LONGEST_SOCKET:
            raise ValueError(f"its path has {len(str(place))} characters, too many for a Unix socket in it")
        if (free := shutil.disk_usage(folder).free) < LEAST_FREE_BYTES:
            raise ValueError(f"{free / 1e6:.0f} MB are free")
    except (OSError, ValueError):
        folder.rmdir()
        raise
    return folder


def _loopback_interface() -> str:
    """The interface by which the workers of a training reach each other: "lo" on Linux."""
    return next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")


@contextmanager
def environment(settings: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables of this process (None: unset), and restore them afterwards."""
    before = {name: os.environ.get(name) for name in settings}
    try:
        _set(settings)
        yield
    finally:
        _set(before)


def _set(settings: Mapping[str, str | None]) -> None:
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
