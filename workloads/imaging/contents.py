"""Digests of the contents of files, which are in the keys of stages that read them.

Every file is read whole, once. Its hash is kept in ~/.cache/adm/contents with the file's size and times, so the next
plan only compares those. Users cannot change a file without changing its size, modification time or status-change time;
for disks that do not keep such times, `--verify-data` reads everything again.

A stage verifies that its files are still those that it was planned with: by their sizes and times if these are the same
on its machine, else by reading the files.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay.errors import UserError
from assay.look import current_look, once_a_look
from assay.workload import KEY_LENGTH
from imaging.paths import shown, status_of, unreadable, written_whole

Statuses = npt.NDArray[np.int64]
"""(N, 3): size, time of change, time of status change; both in ns."""
Hashes = npt.NDArray[np.uint8]
"""(N, 32): sha256."""

CACHE = "~/.cache/adm/contents"
MOST_UNCACHED_FILES, MOST_UNCACHED_BYTES = 1000, 64 << 20
"""Below these, reading again is so fast that hashes are not cached."""
TICK_NS = 2 * 10**9
"""A file that changed more recently may change again unnoticed: some disks keep times in steps of 2 s."""
THREADS = 8
FILES_AT_ONCE, LOOKS_AT_ONCE, BLOCK_BYTES = 64, 2000, 1 << 20
TELL_AFTER_S, TELL_EVERY_S = 2.0, 10.0


@dataclass(frozen=True, eq=False)
class Files:
    """Files that are read together, in this order."""

    root: str
    """The absolute path of the folder that they are in."""
    names: Sequence[str]
    """Paths relative to `root`."""
    are_named: bool = False
    """Whether the digest depends on their names, and not only on their order."""

    def path(self, index: int) -> str:
        return os.path.join(self.root, self.names[index])  # noqa: PTH118  a million of them


@dataclass(frozen=True)
class Contents:
    """Digests of files."""

    digest: str
    """The same wherever the files are."""
    times: str | None
    """A digest of the files' sizes and times, to compare without reading them; None if one changed so recently that
    another change might not be visible."""


def contents_of(files: Files) -> Contents:
    """Hash files that are not in the cache. Raises UserError naming a file that cannot be read."""
    before_ns = time.time_ns()
    statuses = statuses_of(files)
    hashes = _hashes(files, statuses, before_ns)
    parts = [hashes.tobytes()] if not files.are_named else [_joined(files), hashes.tobytes()]
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:KEY_LENGTH]
    is_settled = bool((statuses[:, 2] < before_ns - TICK_NS).all())
    return Contents(digest, _times(files, statuses) if is_settled else None)


@once_a_look
def file_sha256(path: Path) -> str:
    """`sha256_of`, once in a plan."""
    return sha256_of(path)


def sha256_of(path: Path) -> str:
    """The sha256 of one file, in hex. Raises UserError if it cannot be read."""
    files = Files(str(path.absolute().parent), [path.name])
    return _hashes(files, statuses_of(files), time.time_ns()).tobytes().hex()


def refuse_changed(path: Path, sha256: str) -> None:
    """Raise UserError if a file is not the one that a sweep was planned with."""
    if sha256_of(path) != sha256:
        raise UserError(f"{path} changed since the sweep was planned; run the sweep again")


class Unchanged:
    """Verifies that files are those that a stage was planned with; raises UserError as soon as one is not.

    Thread-safe.
    """

    def __init__(self, files: Files, contents: str, times: str | None) -> None:
        self._files, self._contents = files, contents
        self._lock = threading.Lock()
        self._statuses = statuses_of(files)
        if times is None or times != _times(files, self._statuses):
            self._read_again(
                "changed since this was planned: run the same command again, which plans with what is there"
            )

    def check(self, index: int) -> None:
        """Check one file. Called before and after it is read, so that what was read is what was planned."""
        if _row(self._files.path(index)) != tuple(self._statuses[index]):
            with self._lock:
                if _row(self._files.path(index)) == tuple(self._statuses[index]):
                    return  # another thread has checked it meanwhile
                self._read_again(
                    "changed while it was read, and what comes of both is not stored: let what changes it finish, then "
                    "run the same command again"
                )

    def _read_again(self, what_is_wrong: str) -> None:
        statuses = statuses_of(self._files)
        if contents_of(self._files).digest != self._contents:
            raise UserError(f"{self._which(statuses)} {what_is_wrong}")
        self._statuses = statuses

    def _which(self, statuses: Statuses) -> str:
        """The first file whose size or times changed since it was last verified, or all of them, for a message."""
        changed = np.flatnonzero((statuses != self._statuses).any(axis=1))
        if len(changed) or len(self._files.names) == 1:
            return shown(self._files.path(int(changed[0]) if len(changed) else 0))
        return f"the data in {shown(self._files.root)}"


@once_a_look
def statuses_of(files: Files) -> Statuses:
    """Sizes and times of files. Raises UserError for the first path that is not a file, or cannot be read."""
    statuses = np.empty((len(files.names), 3), dtype=np.int64)

    def look(part: range) -> None:
        for index in part:
            statuses[index] = _row(files.path(index))

    parts = [
        range(start, min(start + LOOKS_AT_ONCE, len(statuses))) for start in range(0, len(statuses), LOOKS_AT_ONCE)
    ]
    if len(parts) <= 1:
        look(range(len(statuses)))
    else:  # over a network each look is a wait
        with ThreadPoolExecutor(THREADS, thread_name_prefix="look") as pool:
            for _ in pool.map(look, parts):
                pass
    return statuses


def _row(path: str) -> tuple[int, int, int]:
    status = status_of(path)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _times(files: Files, statuses: Statuses) -> str:
    return hashlib.sha256(_joined(files) + b"\0\0" + statuses.astype("<i8").tobytes()).hexdigest()[:KEY_LENGTH]


def _joined(files: Files) -> bytes:
    return os.fsencode("\0".join(files.names))


def _hashes(files: Files, statuses: Statuses, before_ns: int) -> Hashes:
    """Hashes from the cache if size and times are the same, else of the files, which are read in threads."""
    look, cache = current_look(), _Cache(files)
    known, is_known = cache.read(statuses)
    verifies = look is not None and look.verifies
    hashes, is_hashed = known.copy(), is_known & (not verifies)
    wanted = np.flatnonzero(~is_hashed)
    is_worth_it = len(wanted) >= MOST_UNCACHED_FILES or int(statuses[wanted, 0].sum()) >= MOST_UNCACHED_BYTES
    try:
        with _Progress(files, len(wanted), int(statuses[wanted, 0].sum())) as progress:
            for index, found in _read(files, statuses, wanted, progress):
                hashes[index], is_hashed[index] = np.frombuffer(found, dtype=np.uint8), True
    finally:  # also keep what was read before Ctrl-C
        if is_worth_it:
            cache.write(statuses, hashes, is_hashed & (statuses[:, 2] < before_ns - TICK_NS))
    if look is not None and verifies:
        others = np.flatnonzero(is_known & (hashes != known).any(axis=1))
        look.remarks.append(_verified(files, others))
    return hashes


def _verified(files: Files, others: npt.NDArray[np.intp]) -> str:
    what = shown(files.path(0)) if len(files.names) == 1 else f"{len(files.names):,} files in {shown(files.root)}"
    if not len(others):
        return f"verified: {what} read whole"
    few = ", ".join(shown(files.names[index]) for index in others[:3])
    return (
        f"{len(others):,} of {what} hold something else than when they were last read, though size and times are the "
        f"same: {few}{', …' if len(others) > 3 else ''}. Results that were stored since they changed may be of other "
        "data than their keys say"
    )


def _read(
    files: Files, statuses: Statuses, wanted: npt.NDArray[np.intp], progress: _Progress
) -> Iterator[tuple[int, bytes]]:
    """(index, sha256) of files, as they are read."""

    def read(part: list[int]) -> list[tuple[int, bytes]]:
        return [(index, _sha256(files.path(index), tuple(statuses[index]), progress)) for index in part]

    if not len(wanted):
        return
    parts = [part.tolist() for part in np.array_split(wanted, -(-len(wanted) // FILES_AT_ONCE))]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="hash") as pool:
        try:
            for done in pool.map(read, parts):
                yield from done
        finally:
            progress.stopped.set()
            pool.shutdown(cancel_futures=True)


def _sha256(path: str, status: tuple[int, ...], progress: _Progress) -> bytes:
    """The hash of one file. Raises UserError if it cannot be read, or changes meanwhile."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  a million of them
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                progress.add(len(block))
            found = os.fstat(file.fileno())
    except OSError as error:
        raise unreadable(path, error) from error
    if (found.st_size, found.st_mtime_ns, found.st_ctime_ns) != status:
        raise UserError(f"{shown(path)} changes while it is read: wait until it is written, and run again")
    return digest.digest()


class _Progress:
    """Shows progress on stderr if reading takes more than TELL_AFTER_S seconds."""

    def __init__(self, files: Files, num_files: int, num_bytes: int) -> None:
        self.stopped = threading.Event()
        self._root, self._num_files, self._num_bytes = files.root, num_files, num_bytes
        self._done_bytes = 0
        self._lock = threading.Lock()
        self._next = time.monotonic() + TELL_AFTER_S
        self._is_line_open = False

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.stopped.set()
        if self._is_line_open:
            print(file=sys.stderr, flush=True)

    def add(self, num_bytes: int) -> None:
        if self.stopped.is_set():
            raise InterruptedError("nobody waits for it any more")
        with self._lock:
            self._done_bytes += num_bytes
            if time.monotonic() < self._next:
                return
            is_terminal = sys.stderr.isatty()
            self._next = time.monotonic() + (0.5 if is_terminal else TELL_EVERY_S)
            done, whole = (f"{count / 1e9:.2f}" for count in (self._done_bytes, self._num_bytes))
            line = f"reading {self._num_files:,} files of {shown(self._root)} for their keys: {done} of {whole} GB"
            print(f"\r{line}" if is_terminal else line, end="" if is_terminal else "\n", file=sys.stderr, flush=True)
            self._is_line_open = is_terminal


class _Cache:
    """Cached hashes of the files in a folder, or of one file. A cache that is damaged or cannot be written is ignored:
    files are then read again."""

    def __init__(self, files: Files) -> None:
        self._files = files
        of = os.path.realpath(files.path(0) if len(files.names) == 1 else files.root)
        name = hashlib.sha256(os.fsencode(of)).hexdigest()[:KEY_LENGTH]
        self._path = Path(os.path.expanduser(CACHE)) / f"{name}.npz"  # noqa: PTH111  stays as it is without a home

    def read(self, statuses: Statuses) -> tuple[Hashes, npt.NDArray[np.bool_]]:
        """(hashes, is known): a hash is known if the file's size and times are those in the cache."""
        nothing = np.zeros((len(statuses), 32), dtype=np.uint8), np.zeros(len(statuses), dtype=bool)
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                names, seen, hashes = stored["names"].tobytes(), stored["statuses"], stored["hashes"]
        except Exception:  # absent, or damaged in any way
            return nothing
        rows = np.arange(len(seen))
        if names != _joined(self._files):
            row_of = {name: row for row, name in enumerate(names.split(b"\0"))}
            rows = np.array([row_of.get(os.fsencode(name), -1) for name in self._files.names])
        if seen.shape != (len(hashes), 3) or hashes.shape[1:] != (32,) or len(rows) != len(statuses):
            return nothing
        is_known = (rows >= 0) & (rows < len(seen))
        is_known[is_known] = (seen[rows[is_known]] == statuses[is_known]).all(axis=1)
        found, _ = nothing
        found[is_known] = hashes[rows[is_known]]
        return found, is_known

    def write(self, statuses: Statuses, hashes: Hashes, which: npt.NDArray[np.bool_]) -> None:
        if not self._path.is_absolute():
            return
        kept = np.flatnonzero(which)
        names = os.fsencode("\0".join(self._files.names[index] for index in kept.tolist()))
        # A full disk, a home that cannot be written: all is read again next time.
        with contextlib.suppress(OSError), written_whole(self._path) as partial, partial.open("wb") as file:
            np.savez(file, names=np.frombuffer(names, dtype=np.uint8), statuses=statuses[kept], hashes=hashes[kept])
