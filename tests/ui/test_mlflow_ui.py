"""`assay ui` in a real browser: a tracked sweep's arms are on the page whose address is said."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from PIL import Image

from assay.errors import UserError
from assay.home import Home
from assay.planning import Plan, PlannedTrial, Rung
from assay.results.outcome import Outcome, trial_outcomes
from assay.store import Cost, Store
from assay.sweep import Sweep
from assay.tracking import Tracker, serve
from assay.tracking.client import mlflow_client
from assay.workload import JSON, Budget, ReportHints, Stage
from browser import browse, needs_chromium
from patience import LONGEST_S

ARMS = [f"{arm}, scale {scale}" for arm in ("AdaGN", "addition") for scale in (0.0, 0.25, 0.5, 1.0)]
TRIES = 3
SERVE = """
import signal, sys
from pathlib import Path
from assay.home import Home
from assay.tracking import serve
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
serve(Home(Path(sys.argv[1])), int(sys.argv[2]), say=lambda line: print(line, flush=True))
"""


class Toy:
    """One stage a trial."""

    name = "toy"
    seed_path = "seed"
    report = ReportHints(metrics=("error",), sample_grid="samples.png")

    def presets(self) -> Sequence[str]:
        return ["small"]

    def resolve(self, base: str, overrides: Mapping[str, JSON]) -> Mapping[str, JSON]:
        return {"seed": 0, "norm": "adagn", "scale": 0.0, "worse": 0.0, **overrides}

    def paths(self, base: str) -> Sequence[str]:
        return ["seed", "norm", "scale", "worse"]

    def metrics(self, config: Mapping[str, JSON]) -> Sequence[str]:
        return ["error"]

    def stages(self, config: Mapping[str, JSON]) -> Sequence[Stage]:
        budget = Budget("train.iterations", 100, "iterations")
        return [Stage(name="train", version=1, kind="train", body=("toy:train",), config=config, budget=budget)]


def track_a_sweep(home: Home, **config: float) -> None:
    toy = Toy()
    arms = {"AdaGN": {"norm": "adagn"}, "addition": {"norm": "add"}}
    scales = {"scale": {"values": [0.0, 0.25, 0.5, 1.0]}}
    written = {"version": 1, "name": "toy-study", "description": "Is AdaGN better?", "arms": arms, "parameters": scales}
    sweep = Sweep.model_validate(
        {**written, "config": config, "workload": "toy", "base": "small", "metric": "error", "mode": "min"}
    )
    sweep._workload = toy
    plan = Plan(sweep, tuple(PlannedTrial(t, (Rung(None, tuple(toy.stages(t.config))),)) for t in sweep.trials()))
    store, results = Store(home.store_url), {}
    for planned in plan.trials:
        asked = planned.trial.config
        error = {"adagn": 2.25, "add": 3.5}[asked["norm"]] + asked["scale"] / 2 + asked["worse"]
        with store.staging() as output:
            Image.new("RGB", (64, 64), (int(error * 50), 90, 90)).save(output / "samples.png")
            history = [{"step": float(step), "loss": error / (step + 1)} for step in range(100)]
            stage = planned.leaf
            results[stage.key] = store.commit(stage, output, {"error": error}, Cost("cpu (toy)", 1, 2.0), history)
    tracker = Tracker(home, pytest.fail)
    tracker.begin(plan, {}, {})
    tracker.end(Outcome(plan, trial_outcomes(plan, results, results.keys(), {})))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Served:
    process: subprocess.Popen[str]
    port: int
    address: str


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("ui") / "home, 50%20 #1?")
    track_a_sweep(home, worse=0.1)
    track_a_sweep(home)
    return home


@pytest.fixture(scope="module")
def served(tracked: Home) -> Iterator[Served]:
    """`serve` in a process of its own, as `assay ui` runs it."""
    port = free_port()
    command = [sys.executable, "-c", SERVE, str(tracked.root), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            assert line.startswith("toy-study: http"), line + process.stdout.read()
            yield Served(process, port, line.split(": ", 1)[1].strip())
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def browse_until(shown: str, address: str, folder: Path, *what: str) -> str:
    """`browse`, again while the page was left before this part of it was drawn: on a busy machine some draw late."""
    page = ""
    for _ in range(TRIES):
        if shown in (page := browse(address, folder, *what).printed):
            break
    return page


@needs_chromium
def test_the_arms_are_on_the_page_whose_address_is_said(served: Served, tmp_path: Path) -> None:
    page = browse(served.address, tmp_path, "--dump-dom").printed
    assert "Is AdaGN better?" in page
    for shown in (*ARMS, "2.25", "3.5", "adagn", "cost/seconds"):
        assert f">{shown}<" in page, shown
    assert page.index(">2.25<") < page.index(">3.5<")  # ranked
    assert ">2.35<" not in page, "the arms of another config, with the same names and parameters"


@needs_chromium
def test_the_charts_show_the_runs_by_arm(served: Served, tmp_path: Path) -> None:
    """Bars, and a line an arm across what varies to the metric."""
    tall = "--window-size=1600,1900"  # a chart is drawn when it comes into view
    address = f"{served.address}&compareRunsMode=CHART"
    page = browse_until("Parallel Coordinates", address, tmp_path, "--dump-dom", tall)
    assert "Parallel Coordinates" in page
    assert "Showing all runs" in page
    for axis in ("norm", "scale", "error"):
        assert f">{axis}</text>" in page, axis
    assert [arm for arm in ARMS if page.count(f">{arm}<") < 2] == [], "in the list, and at a bar"
    assert ">samples<" in page


@needs_chromium
def test_runs_that_are_picked_are_compared(served: Served, tracked: Home, tmp_path: Path) -> None:
    client = mlflow_client(tracked.tracking_uri)
    number = client.get_experiment_by_name("toy-study").experiment_id
    runs = [run.info.run_id for run in client.search_runs([number], "tags.`assay.standing` = 'current'")]
    asked = urlencode({"runs": json.dumps(runs), "experiments": json.dumps([number])})
    page = browse(f"http://127.0.0.1:{served.port}/#/compare-runs?{asked}", tmp_path, "--dump-dom").printed
    assert "Comparing 8 Runs" in page
    assert "Parallel Coordinates Plot" in page
    assert [arm for arm in ARMS if arm not in page] == []


@needs_chromium
def test_the_page_can_be_pictured(served: Served, tmp_path: Path) -> None:
    picture = tmp_path / "runs.png"
    browse(served.address, tmp_path, f"--screenshot={picture}")
    with Image.open(picture) as image:
        assert len(set(image.convert("L").resize((160, 100)).tobytes())) > 20  # not one blank colour


def test_a_password_in_the_tracking_uri_is_used_and_shown_nowhere(
    served: Served,
    tracked: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Behind a proxy that does not let this machine be asked, too: it is asked directly."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:s3cr3t@127.0.0.1:{served.port}/")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://me:s3cr3t@127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "example.org")
    home, said = Home(tmp_path / "home"), list[str]()
    track_a_sweep(home, worse=0.2)
    serve(home, say=said.append)
    assert said == [f"toy-study: {served.address}"]
    assert "s3cr3t" not in "".join(capfd.readouterr())
    files = [path for root in (tracked.root, tmp_path) for path in root.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if b"s3cr3t" in path.read_bytes()] == []


def test_a_port_that_is_taken_is_said_with_what_to_do(served: Served, tracked: Home) -> None:
    with pytest.raises(UserError, match=rf"port {served.port} .*choose another port"):
        serve(tracked, served.port)


def test_a_home_without_sweeps_says_to_run_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run a sweep first"):
        serve(Home(tmp_path / "home"), free_port())


def test_ctrl_c_stops_the_server_and_its_workers(tracked: Home) -> None:
    port = free_port()
    command = [sys.executable, "-c", SERVE, str(tracked.root), str(port)]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": os.environ}
    with subprocess.Popen(command, **options) as process:
        assert process.stdout is not None
        while "Ctrl-C" not in (line := process.stdout.readline()):
            assert line, f"ended with {process.wait()}"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=LONGEST_S)
    assert (process.returncode, rest) == (0, "Stopped.\n")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
