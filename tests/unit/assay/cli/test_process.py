"""Signals; and what only a process of its own can show: Ctrl-C to its end, a closed pipe, and what is imported."""

from __future__ import annotations

import io
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.cli.commands.run import _interrupts_handled
from assay.cli.display import PlainDisplay
from assay.execution import Pause
from patience import LONGEST_S

pytestmark = pytest.mark.slow

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

Process = Callable[..., "subprocess.Popen[str]"]
MAIN = "import sys; from assay.cli import main; sys.exit(main(sys.argv[1:]))"
HEAVY = {"ray", "torch", "mlflow", "pandas", "matplotlib", "sklearn", "scipy", "deepspeed", "optuna"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_says_how_to_go_on_and_the_same_command_goes_on(process: Process, project: Path, how: int) -> None:
    sweep = project / "sweeps/norms.yaml"
    sweep.write_text(sweep.read_text().replace("  addition: {model.norm: add}\n", "").replace("[0.0, 1.0]", "[0.0]"))
    gate = project / "shut-7"
    gate.touch()
    line = ["-c", MAIN, "run", "norms", "--executor", "inline", "--no-tracking", "--set", f"train.gates={project}"]
    first = process(*line)
    assert first.stdout is not None
    for text in first.stdout:
        if "7 of 20 iterations" in text:
            break
    first.send_signal(how)
    out, err = first.communicate(timeout=LONGEST_S)
    assert first.returncode == 130
    assert "stored and safe" in err
    assert "To resume: " in err
    assert f"--set train.gates={project}" in err
    assert "Traceback" not in err + out
    gate.unlink()
    second = process(*line)
    out, err = second.communicate(timeout=LONGEST_S)
    assert second.returncode == 0, err
    assert "train (AdaGN, scale 0.0) started: resumes at 7 of 20 iterations" in out, "it saved where it was"


def test_a_training_that_never_looks_leaves_where_it_saves_next(process: Process, project: Path) -> None:
    (project / "shut-7").touch()
    line = ["-c", MAIN, "run", "norms", "--executor", "inline", "--no-tracking", "--plain"]
    line += ["--set", f"train.gates={project}", "--set", "train.deaf=true"]
    first = process(*line)
    assert first.stdout is not None
    told_when(first, "7 of 20 iterations")
    first.send_signal(signal.SIGINT)
    told_when(first, "press Ctrl-C again to stop immediately")
    (project / "shut-7").unlink()
    _, err = first.communicate(timeout=LONGEST_S)
    assert first.returncode == 130, err
    out, _ = process(*line).communicate(timeout=LONGEST_S)
    assert "train (AdaGN) started: resumes at 10 of 20 iterations" in out


@pytest.mark.parametrize(("gate", "path"), [("shut-7", "train.gates"), ("shut", "sample.gates")])
def test_the_second_ctrl_c_ends_a_body_that_does_not_return(
    process: Process, project: Path, gate: str, path: str
) -> None:
    (project / gate).touch()
    line = ["-c", MAIN, "run", "norms", "--executor", "inline", "--no-tracking", "--plain"]
    run = process(*line, "--set", f"{path}={project}", "--set", "train.deaf=true")
    told_when(run, "7 of 20 iterations" if path == "train.gates" else "sample (AdaGN, scale 0.0) started")
    run.send_signal(signal.SIGINT)
    told_when(run, "press Ctrl-C again to stop immediately")
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=LONGEST_S)
    assert run.returncode == 130
    assert "stored and safe" in err
    assert "Traceback" not in out + err
    assert (project / gate).exists(), "the body had no reason to end"


def told_when(run: subprocess.Popen[str], text: str) -> None:
    """Read what a run prints up to a line with this text."""
    assert run.stdout is not None
    for line in run.stdout:
        if text in line:
            return
    raise AssertionError(f"the run ended without a word of {text!r}")


class Words(PlainDisplay):
    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.said: list[str] = []

    def say(self, activity: str) -> None:
        self.said.append(activity)


def test_the_first_ctrl_c_while_a_limit_pauses_the_run_does_not_stop_it_at_once() -> None:
    display, pause = Words(), Pause()
    pause.is_heard = True
    pause.ask("limits.hours is reached")
    with _interrupts_handled(display, pause):
        signal.raise_signal(signal.SIGINT)
        assert display.said == ["stopping already: saving checkpoints; press Ctrl-C again to stop immediately"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert pause.reason == "limits.hours is reached"


def test_ctrl_c_asks_the_run_to_pause_and_stops_it_at_once_the_second_time_or_when_nobody_hears() -> None:
    display, pause = Words(), Pause()
    pause.is_heard = True
    with _interrupts_handled(display, pause):
        signal.raise_signal(signal.SIGINT)
        assert pause.reason == "stopped"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with _interrupts_handled(display, Pause()), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_closed_pipe_is_quiet(process: Process) -> None:
    command = process("-c", MAIN, "plan", "norms")
    assert command.stdout is not None
    command.stdout.close()
    assert command.stderr is not None
    assert command.stderr.read() == ""
    command.wait(timeout=LONGEST_S)
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
    _, err = command.communicate(timeout=LONGEST_S)
    assert command.returncode == 0, err
