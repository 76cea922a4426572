"""Standard streams that are closed, full, or read by nobody any more; and a debugger at a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from patience import LONGEST_S
from repository import FIXTURES

pytestmark = pytest.mark.slow

MAIN = "import sys; from assay.cli import main; sys.exit(main(sys.argv[1:]))"
RUN = ("run", "norms", "--executor", "inline", "--no-tracking", "--set", "train.iterations=5")


@pytest.fixture
def shell(project: Path, site: Path) -> object:
    """`assay ARGS… REDIRECTION` in bash: (exit code, stdout, stderr)."""

    def call(redirection: str, *args: str) -> tuple[int, str, str]:
        command = ["bash", "-c", f'set -o pipefail; "$0" "$@" {redirection}', sys.executable, "-c", MAIN, *args]
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LONGEST_S, check=False)
        return done.returncode, done.stdout, done.stderr

    return call


@pytest.mark.parametrize("args", [("plan", "norms"), ("plan", "norms", "--json"), ("--help",)])
def test_a_reader_who_has_enough_and_a_full_disk_have_codes_of_their_own(shell, args: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    assert shell("| true", *args) == (141, "", "")
    assert shell("> /dev/full", *args) == (3, "", "assay: cannot write to stdout: No space left on device\n")
    assert shell("> /dev/full 2> /dev/full", *args) == (3, "", "")
    assert shell(">&- 2>&- <&-", *args) == (0, "", "")


def test_a_run_that_nobody_reads_ends_and_one_whose_log_is_full_goes_on(shell, project: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, err = shell("| head -n 1", *RUN)
    assert (code, out.count("\n"), err) == (141, 1, "")
    code, out, err = shell("> /dev/full", *RUN)
    assert (code, out) == (3, "")
    assert err == (
        "assay: cannot write to stdout: No space left on device; the results are stored, and `assay compare` prints "
        "their table\n"
    )
    assert (project / ".assay/reports/norms/table.csv").read_text().count("distance") > 0
    code, out, _ = shell("2> /dev/full", *RUN, "--json")
    assert code == 0
    assert '"computed": 0' in out, "the run with the full log had computed everything"


def test_errors_that_cannot_be_told_have_their_codes(shell) -> None:  # type: ignore[no-untyped-def]
    for redirection in ("2> /dev/full", "2>&-", ">&- 2>&-"):
        assert shell(redirection, "validate", "nothing") == (2, "", "")


def test_a_breakpoint_of_a_body_has_the_terminal(project: Path, site: Path) -> None:
    (site / "toy_workload.py").unlink()
    source = FIXTURES / "toy_workload.py"
    at = "    BATCH_SEEN = BATCH\n    breakpoint()\n"
    line = "    if BATCH % ctx.world_size:\n"
    assert line in source.read_text()
    (site / "toy_workload.py").write_text(source.read_text().replace(line, at + line))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *RUN],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(site), "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    seen = _read_until(ours, b"(Pdb) ")
    os.write(ours, b"p 'seen', BATCH_SEEN * 11\n")
    seen += _read_until(ours, b"(Pdb) ")
    assert b"('seen', 44)" in seen
    os.write(ours, b"q\n")
    seen += _read_until(ours, None)
    assert process.wait(timeout=LONGEST_S) == 130
    assert b"Stopped. Finished stages" in seen
    assert b"\x1b[?25l" not in seen, "no live display hides the cursor or redraws the lines"
    os.close(ours)


def _read_until(descriptor: int, text: bytes | None) -> bytes:
    """What comes from a terminal up to a prompt; up to its end, without one."""
    seen = b""
    while text is None or text not in seen:
        try:
            part = os.read(descriptor, 4096)
        except OSError:  # Linux's way to say that nobody is at the other end
            part = b""
        if not part:
            assert text is None, seen
            return seen
        seen += part
    return seen
