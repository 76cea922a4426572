"""What Ray says in the driver is in a file, and what assay and its user say is on the screen."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from assay.errors import AssayError
from assay.execution.ray.log import words_in

TURNED_AWAY = """
import os, sys
from assay.cli.output import stderr_apart
from assay.cli.streams import standard_streams
with standard_streams(), stderr_apart():
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.write(2, b"C++'s")
    print("assay's", file=sys.stderr)
print("and afterwards", file=sys.stderr)
"""


def test_loggers_prints_and_native_lines_of_ray_are_in_the_log_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "reports" / "study" / "ray.log"
    with words_in(log):
        logging.getLogger("ray.tune.tune_controller").error("Trial task failed")
        ray._private.worker.print_to_stdstream(
            {"pid": "raylet", "lines": ["Raylet is terminated."], "is_err": False}, ignore_prefix=False
        )
        os.write(2, b"[E 10524] core_worker.cc:609: Attempting to recover\n")
        print("the user's own", file=sys.stderr)
    said = capfd.readouterr()
    assert said.err == "the user's own\n"
    assert said.out == ""
    kept = log.read_text()
    assert "Trial task failed" in kept
    assert "(raylet) Raylet is terminated." in kept
    assert "core_worker.cc:609" in kept


def test_a_run_in_which_ray_was_quiet_leaves_no_log(tmp_path: Path) -> None:
    (log := tmp_path / "ray.log").write_text("of an earlier run")
    with words_in(log):
        pass
    assert not log.exists()


def test_a_log_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with (
        pytest.raises(AssayError, match=r"cannot write Ray's log to .*Nothing was started"),
        words_in(tmp_path / "reports" / "ray.log"),
    ):
        pass


@pytest.mark.slow
def test_stderr_of_the_command_line_can_be_told_from_that_of_libraries() -> None:
    ended = subprocess.run([sys.executable, "-c", TURNED_AWAY], capture_output=True, text=True, check=True)
    assert ended.stderr == "assay's\n", "file descriptor 2 itself stays turned away, as this program left it"
