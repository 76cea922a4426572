"""What accidents leave of a file or a folder of a store: a function a kind, of the path and of what to draw by."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.workload import canonical_json

Damage = Callable[[random.Random, Path], None]


def put(path: Path, data: bytes) -> None:
    """In its place, whatever is there; never into a file that a copy of the store shares."""
    remove(path)
    path.write_bytes(data)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def signed(content: Any) -> bytes:
    """As a record, with its checksum: a program wrote it so."""
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if key != "sha256"}
        content["sha256"] = hashlib.sha256(canonical_json(content).encode()).hexdigest()
    return json.dumps(content).encode()


def read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {"sha256": ""}


def of_another_shape(rng: random.Random, path: Path) -> None:
    content = read(path)
    if not isinstance(content, dict) or not content:
        content = {"x": 1}
    key = rng.choice(sorted(content))
    if rng.random() < 0.3:
        del content[key]
    else:
        content[key] = rng.choice([None, [], {}, "", -1, 10**400, 1e308, True, "\ud800", {"path": "../../x"}, [[]]])
    try:
        put(path, signed(content))
    except ValueError:  # half a character has no checksum
        put(path, json.dumps(content).encode())


def of_another_key(rng: random.Random, path: Path) -> None:
    """A record, or what else is called like it, of a neighbour."""
    others = sorted(other for other in path.parents[2].rglob(f"*{path.suffix}") if other.is_file() and other != path)
    data = rng.choice(others).read_bytes() if others else b"{}"
    put(path, data)


def flipped(rng: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes() if path.is_file() else b"0")
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    put(path, bytes(data))


def cut_off(rng: random.Random, path: Path) -> None:
    data = path.read_bytes() if path.is_file() else b""
    put(path, data[: rng.randrange(len(data) + 1)])


def a_folder(rng: random.Random, path: Path) -> None:
    remove(path)
    path.mkdir()
    if rng.random() < 0.5:
        (path / "inside").write_text("something")


def a_link(rng: random.Random, path: Path) -> None:
    """To itself, or to nothing."""
    remove(path)
    path.symlink_to(rng.choice([path.name, "nothing-here"]))


def a_pipe(rng: random.Random, path: Path) -> None:
    remove(path)
    os.mkfifo(path)


def moved(rng: random.Random, path: Path) -> None:
    path.rename(
        path.with_name(rng.choice([f"{path.name}.bak", f"{path.name}~", f"copy of {path.name}", f"0{path.name}"]))
    )


def a_stray(rng: random.Random, path: Path) -> None:
    """Beside it."""
    name = rng.choice([b"Thumbs.db", b".DS_Store", b"desktop.ini", b"._x", b"caf\xe9.json", b"#x#", b"9" * 200])
    put(Path(os.fsdecode(bytes(path.parent) + b"/" + name)), b"\0\1")


def unreadable(rng: random.Random, path: Path) -> None:
    """To all but root."""
    if path.is_file():
        put(path, path.read_bytes())
    path.chmod(0)


KINDS: dict[str, Damage] = {
    "empty": lambda rng, path: put(path, b""),
    "noise": lambda rng, path: put(path, rng.randbytes(rng.randrange(1, 200))),
    "null": lambda rng, path: put(path, b"null"),
    "a list": lambda rng, path: put(path, b"[1, 2]"),
    "a number": lambda rng, path: put(path, b"NaN" if rng.random() < 0.5 else b"1" * 5000),
    "nested too deeply": lambda rng, path: put(path, b"[" * 100_000),
    "nothing but a checksum": lambda rng, path: put(path, signed({})),
    "of another shape": of_another_shape,
    "of another key": of_another_key,
    "a flipped bit": flipped,
    "cut off": cut_off,
    "a folder": a_folder,
    "a link": a_link,
    "a pipe": a_pipe,
    "moved": moved,
    "gone": lambda rng, path: remove(path),
    "a stray file": a_stray,
    "unreadable": unreadable,
}
