"""`assay` in random environments: variables, folders, streams and limits that a real machine may have.

    python odd_environments.py FOLDER ROUNDS SEED

Every round is a fork of one process that has imported everything, since a process of its own would take seconds. Prints
a line of JSON a round: what was odd, the exit code, and what was printed.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.cli import main

SWEEP = """\
version: 1
name: odd
workload: light
base: one
arms: {two: {count.to: 2}, "größer": {count.to: 30}}
metric: total
mode: max
"""
RUN = ["run", "SWEEP", "--executor", "inline", "--no-tracking", "--json"]
COMMANDS = [
    *[RUN] * 4,
    *(["run", "SWEEP", "--executor", "inline", "--no-tracking"], ["run", "nothing", "--json"]),
    *(["plan", "SWEEP"], ["plan", "SWEEP", "--json"], ["validate", "SWEEP"], ["compare", "SWEEP", "--csv"]),
    *(["report", "SWEEP"], ["ls"], ["ls", "--json"], ["show", "SWEEP"], ["show", "preset"], ["--help"]),
    ["validate", "SWEEP", "--set", "count.gates=~ #"],
]
Odd = tuple[str, Callable[[], object]]


def variables(home: Path, rng: random.Random) -> list[Odd]:
    values = {
        "HOME": [None, "", "/nonexistent", str(home / "file"), str(home / "closed"), "relative"],
        "ASSAY_HOME": [
            *(
                None,
                "",
                "relative/deep",
                "~/assay",
                "~nobody-at-all/x",
                ".",
                "..",
                "/dev/null",
                "/proc/nothing",
                "a\nb",
            ),
            *(str(home / name) for name in ("file", "closed", "closed/in", "read-only", "loop", "missing/a/b", "ü ☃")),
            *(f"/tmp/{'x' * 300}", os.fsdecode(os.fsencode(home) + b"/\xff"), str(home / "pipe"), "x" * 5000),
        ],
        "TMPDIR": [None, "/nonexistent", str(home / "closed"), str(home / "file")],
        "COLUMNS": ["", "0", "1", "-3", "abc", "100000000", "9" * 30, "40"],
        "TERM": [None, "dumb", "unknown"],
        "LC_ALL": ["C", "xx_YY.nothing", ""],
        "FORCE_COLOR": ["1"],
        "ASSAY_ADDRESS": [""],
    }
    chosen = rng.sample(sorted(values), rng.choice([0, 1, 1, 2, 3]))
    return [(f"{name}={value!r:.60}", _set(name, value)) for name in chosen for value in [rng.choice(values[name])]]


def _set(name: str, value: str | None) -> Callable[[], object]:
    return lambda: os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def limits(rng: random.Random) -> list[Odd]:
    choices: list[tuple[str, int, int]] = [
        *(("open files", resource.RLIMIT_NOFILE, count) for count in (6, 8, 12, 20, 64)),
        *(("bytes of a file", resource.RLIMIT_FSIZE, size) for size in (0, 10, 500, 2000, 20_000)),
        ("processes", resource.RLIMIT_NPROC, 0),
    ]
    name, number, limit = rng.choice(choices)
    return [(f"{name} ≤ {limit}", lambda: resource.setrlimit(number, (limit, limit)))]


def stand_in_nothing(home: Path) -> None:
    gone = home / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()


def streams(rng: random.Random) -> list[Odd]:
    return [
        rng.choice(
            [
                ("stdout full", lambda: _open(1, "/dev/full")),
                ("stdout closed", lambda: os.close(1)),
                ("stdout unread", _unread),
                ("stderr full", lambda: _open(2, "/dev/full")),
                ("stderr closed", lambda: os.close(2)),
                ("stdin closed", lambda: os.close(0)),
            ]
        )
    ]


def _open(number: int, path: str) -> None:
    opened = os.open(path, os.O_WRONLY)
    os.dup2(opened, number)
    os.close(opened)


def _unread() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)
    os.close(writing)


def sweeps(home: Path, rng: random.Random) -> str:
    good, odd = (
        str(home / "sweeps/odd.yaml"),
        ("missing.yaml", "closed/odd.yaml", "locked.yaml", "pipe", "loop", "file"),
    )
    return good if rng.random() < 0.8 else str(home / rng.choice(odd))


def make_home(home: Path) -> None:
    for name in ("sweeps", "closed", "read-only"):
        (home / name).mkdir(parents=True)
    for name in ("sweeps/odd.yaml", "locked.yaml", "closed/odd.yaml"):
        (home / name).write_text(SWEEP, encoding="utf-8")
    (home / "file").write_bytes(b"\xff\xfe no sweep")
    os.mkfifo(home / "pipe")
    (home / "loop").symlink_to("loop")
    for name, mode in (("closed", 0), ("read-only", 0o555), ("locked.yaml", 0)):
        (home / name).chmod(mode)


def play(folder: Path, rng: random.Random) -> dict[str, Any]:
    """One round: a project folder of its own, and a child in it that is odd in a few ways."""
    home = folder / "home"
    make_home(home)
    sweep = sweeps(home, rng)
    args = [sweep if word == "SWEEP" else word for word in rng.choice(COMMANDS)]
    odd = variables(home, rng)
    odd += [("no folder to stand in", lambda: stand_in_nothing(home))] if rng.random() < 0.08 else []
    odd += [("a folder that is read only", lambda: os.chdir(home / "read-only"))] if rng.random() < 0.08 else []
    odd += streams(rng) if rng.random() < 0.3 else []
    odd += limits(rng) if rng.random() < 0.35 else []
    out, err = folder / "out", folder / "err"
    child = os.fork()
    if child == 0:
        code = 99
        try:
            signal.alarm(60)
            os.chdir(home)
            for number, file in ((1, out), (2, err)):
                os.dup2(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600), number)
            os.environ["ASSAY_HOME"] = str(home / ".assay")
            tempfile.tempdir = None
            for _, do in odd:
                do()
            sys.stdin, sys.stdout, sys.stderr = map(_as_started, range(3), "rww")
            code = main(args)
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    printed = {name: file.read_bytes().decode("utf-8", "replace") for name, file in (("out", out), ("err", err))}
    (home / "closed").chmod(0o755)
    shutil.rmtree(folder)
    told = [f"sweep {Path(sweep).name}", *(name for name, _ in odd)]
    return {"args": args, "odd": told, "code": code, **printed}


def _as_started(number: int, mode: str) -> Any:
    """A standard stream as Python makes it: none where it is closed."""
    try:
        os.fstat(number)
    except OSError:
        return None
    return open(number, mode, buffering=1, encoding="utf-8", closefd=False)


if __name__ == "__main__":
    root, rounds, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    undisturbed = root / "undisturbed"
    make_home(undisturbed)
    os.environ["ASSAY_HOME"] = str(undisturbed / ".assay")
    results = sys.stdout
    for number, command in enumerate((RUN, *COMMANDS)):  # once, so that all is imported
        sys.stdout = (root / "output").open("w", encoding="utf-8")
        words = [str(undisturbed / "sweeps/odd.yaml") if word == "SWEEP" else word for word in command]
        code = main(words)
        sys.stdout.close()
        if number == 0:
            found = {"args": words, "odd": [], "code": code, "out": (root / "output").read_text("utf-8"), "err": ""}
            print(json.dumps(found), file=results, flush=True)
    for number in range(rounds):
        print(json.dumps(play(root / str(number), rng)), file=results, flush=True)
