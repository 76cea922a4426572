"""What only a process of its own can show: Ctrl-C, a closed pipe, and what is imported."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

Process = Callable[..., "subprocess.Popen[str]"]
MAIN = "import sys; from assay.cli import main; sys.exit(main(sys.argv[1:]))"
HEAVY = {"ray", "torch", "mlflow", "pandas", "matplotlib", "sklearn", "scipy", "deepspeed", "optuna"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_says_how_to_go_on_and_the_same_command_goes_on(process: Process, project: Path, how: int) -> None:
    sweep = project / "sweeps/norms.yaml"
    sweep.write_text(sweep.read_text().replace("  addition: {model.norm: add}\n", "").replace("[0.0, 1.0]", "[0.0]"))
    line = ["-c", MAIN, "run", "norms", "--executor", "inline", "--no-tracking"]
    line += ["--set", "train.pause_s=0.1", "--set", "train.iterations=30"]
    first = process(*line)
    assert first.stdout is not None
    for text in first.stdout:
        if "of 30 iterations" in text:
            break
    first.send_signal(how)
    out, err = first.communicate(timeout=30)
    assert first.returncode == 130
    assert "stored and safe" in err
    assert "To go on from there: " in err
    assert "--set train.pause_s=0.1" in err
    assert "Traceback" not in err + out
    second = process(*line)
    out, err = second.communicate(timeout=30)
    assert second.returncode == 0, err
    assert "train (AdaGN, scale 0.0) started: goes on from " in out


def test_a_closed_pipe_is_quiet(process: Process) -> None:
    command = process("-c", MAIN, "plan", "norms")
    assert command.stdout is not None
    command.stdout.close()
    assert command.stderr is not None
    assert command.stderr.read() == ""
    command.wait(timeout=30)
    command.stderr.close()


def test_light_commands_import_nothing_heavy(process: Process) -> None:
    code = f"""
import sys
import assay
from assay.cli import main
assert "rich" not in sys.modules and "pydantic" not in sys.modules, "importing assay is light"
for command in (["validate", "norms"], ["plan", "norms"], ["compare", "norms"], ["ls"], ["show", "norms:0"]):
    assert main(command) == 0
    heavy = {HEAVY!r} & set(sys.modules)
    assert not heavy, (command, heavy)
"""
    command = process("-c", code)
    _, err = command.communicate(timeout=60)
    assert command.returncode == 0, err
