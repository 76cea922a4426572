"""A run that is watched from another process: found by its sweep, shown, left, found again, and seen to end."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assay.store import Store
from patience import LONGEST_S

pytestmark = pytest.mark.slow

Process = Callable[..., "subprocess.Popen[str]"]
MAIN = "import sys; from assay.cli import main; sys.exit(main(sys.argv[1:]))"


def said(process: Process, *args: str, code: int = 0) -> tuple[str, str]:
    started = process("-c", MAIN, *args)
    out, err = started.communicate(timeout=LONGEST_S)
    assert started.returncode == code, out + err
    return out, err


def told_when(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    assert any(text in line for line in process.stdout)


@pytest.fixture
def gate(project: Path) -> Path:
    """While it exists, a training waits at its seventh iteration."""
    sweep = project / "sweeps/norms.yaml"
    sweep.write_text(sweep.read_text().replace("  addition: {model.norm: add}\n", "").replace("[0.0, 1.0]", "[0.0]"))
    gate = project / "shut-7"
    gate.touch()
    return gate


def test_it_is_found_left_found_again_and_seen_to_end(process: Process, project: Path, gate: Path) -> None:
    line = ["-c", MAIN, "run", "norms", "--executor", "inline", "--no-tracking", "--set", f"train.gates={project}"]
    run = process(*line)
    told_when(run, "7 of 20 iterations")

    watcher = process("-c", MAIN, "watch", "norms")
    told_when(watcher, "norms  0 of 1 trial")
    watcher.send_signal(signal.SIGINT)
    _, err = watcher.communicate(timeout=LONGEST_S)
    assert watcher.returncode == 130
    assert "norms keeps running; to watch it again:" in err
    assert run.poll() is None

    out, _ = said(process, "ls")
    assert "1 run in progress" in out
    again = process("-c", MAIN, "watch")
    told_when(again, "norms  0 of 1 trial")
    gate.unlink()
    _, err = again.communicate(timeout=LONGEST_S)
    assert again.returncode == 0
    assert "norms has ended; see:" in err
    run.communicate(timeout=LONGEST_S)
    assert run.returncode == 0


def test_once_it_is_a_json_document_and_a_killed_run_is_told_of(process: Process, project: Path, gate: Path) -> None:
    line = ["-c", MAIN, "run", "norms", "--executor", "inline", "--no-tracking", "--set", f"train.gates={project}"]
    run = process(*line)
    told_when(run, "7 of 20 iterations")
    while True:  # until the note in the store has it
        (only,) = json.loads(said(process, "watch", "--once", "--json")[0])
        if only["board"]["running"] and only["board"]["running"][0]["done"] == 7:
            break
    assert (only["sweep"], only["board"]["trials"]) == ("norms", 1)
    (stage,) = only["board"]["running"]
    assert (stage["name"], stage["amount"], stage["unit"], stage["metric"]) == ("train", 20, "iterations", "loss")
    out, _ = said(process, "watch", "sweeps/norms.yaml", "--once")
    assert "7/20 iterations" in out
    run.kill()
    run.communicate()
    (record,) = (project / ".assay/store/running").glob("*.json")
    record.unlink()
    assert json.loads(said(process, "watch", "--once", "--json")[0]) == []
    _, err = said(process, "watch", "norms", code=2)
    assert "norms is not running in" in err
    assert "what runs there: nothing" in err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_run_that_is_killed_while_it_is_watched_has_not_ended(
    process: Process, project: Path, gate: Path, options: list[str]
) -> None:
    line = ["-c", MAIN, "run", "norms", "--executor", "inline", "--no-tracking", "--set", f"train.gates={project}"]
    run = process(*line)
    told_when(run, "7 of 20 iterations")
    watcher = process("-c", MAIN, "watch", "norms", *options)
    told_when(watcher, "norms")
    run.kill()
    run.communicate()
    store = Store(f"{project}/.assay/store")
    (note,) = store.running()
    two_minutes_ago = datetime.now(UTC) - timedelta(minutes=2)
    store.runs.write(note.model_copy(update={"renewed": two_minutes_ago.isoformat(timespec="seconds")}))
    _, err = watcher.communicate(timeout=LONGEST_S)
    assert watcher.returncode == 3
    assert "norms is no longer heard of: it was killed, or cannot reach" in err
    assert f"It was last heard of 2 min ago on {note.host}; rerun its command to resume: {note.command}." in err
    assert "has ended" not in err
