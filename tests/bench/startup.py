"""CPU seconds that commands take before and after the work itself: starting up, and showing what is stored.

    python tests/bench/startup.py [--trials 1000] [--home FOLDER] [--quickstart]

A study of one-stage trials is computed in one process, once; with `--home` it is kept there, and found by another call.
Then each command is timed in a process of its own: `--help`, `validate` and `plan` of the quickstart, and for the
finished study a run again, the comparison, its page and its plan. `--quickstart` runs the quickstart alone, on Ray, in
an empty home and again. Figures are the least of `--repeats`; CPU time is that of a command and of all that it started.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
ENTRY_POINT = "[assay.workloads]\nquick = toy_workload:quick\n"
QUICKSTART = str(ROOT / "sweeps" / "quickstart.yaml")
ASSAY = "from assay.cli import main; raise SystemExit(main())"
STUDY = """\
version: 1
name: many
workload: quick
base: tiny
parameters:
  sample.scale: {{values: {values}}}
metric: distance
mode: min
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--home", type=Path, help="where the study is kept, or found")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--quickstart", action="store_true")
    options = parser.parse_args()
    adopt_orphans()
    print(f"{'seconds':<64}{'CPU':>8}{'clock':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        if options.quickstart:
            timed(Path(scratch), ["run", QUICKSTART], 1, "assay run quickstart, in an empty home")
            timed(Path(scratch), ["run", QUICKSTART], options.repeats, "the same again")
            return
        folder = options.home or Path(scratch)
        install(folder)
        sweep = folder / "many.yaml"
        sweep.write_text(STUDY.format(values=[number / 1000 for number in range(options.trials)]))
        inline = ["run", str(sweep), "--executor", "inline", "--no-tracking"]
        timed(folder, inline, 1, f"{options.trials:,} trials of one stage, inline, in this home for the first time")
        for words, arguments in {
            "assay --help": ["--help"],
            "assay validate quickstart": ["validate", QUICKSTART],
            "assay plan quickstart": ["plan", QUICKSTART],
            "the finished study: assay run": inline,
            "the finished study: assay compare": ["compare", str(sweep)],
            "the finished study: assay compare --cost": ["compare", str(sweep), "--cost"],
            "the finished study: assay report": ["report", str(sweep), "--output", str(folder / "page.html")],
            "the finished study: assay plan": ["plan", str(sweep)],
        }.items():
            timed(folder, arguments, options.repeats, words)


def install(folder: Path) -> None:
    """The toy as an installed workload of whoever has the folder on the path."""
    info = folder / "quick-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quick\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINT)


def timed(folder: Path, arguments: Sequence[str], repeats: int, words: str) -> None:
    """Run `assay` with these arguments, and print the least CPU and clock seconds of so many processes."""
    environment = os.environ | {
        "ASSAY_HOME": str(folder / ".assay"),
        "PYTHONPATH": os.pathsep.join([str(folder), str(FIXTURES)]),
    }
    figures = []
    for _ in range(repeats):
        before, start = cpu_seconds(), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", ASSAY, *arguments], env=environment, capture_output=True, text=True
        )
        clock = time.perf_counter() - start
        if done.returncode != 0:
            sys.exit(f"assay {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        wait_for_orphans()
        figures.append((cpu_seconds() - before, clock))
    cpu, clock = min(figures)
    print(f"{words:<64}{cpu:>8.1f}{clock:>8.1f}", flush=True)


def adopt_orphans() -> None:
    """Become the parent of what outlives its own, as Ray's daemons outlive the command: so it is counted, too."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_orphans() -> None:
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def cpu_seconds() -> float:
    """CPU seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
