"""What a run in this process tells a server on this machine, and where the webhook's URL is then: nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import assay
import toy_workload
from assay.alerts import delivery, notifier
from assay.errors import AssayError, SpecError
from assay.execution import Event, Outcome, Pause
from assay.home import Home
from assay.settings import receivers
from assay.sweep import Sweep, load_sweep
from webhook_server import SECRET, Service, service

pytestmark = pytest.mark.slow

NOTIFY = [{"webhook": {"env": "HOOK"}}]
SWEEP = {"version": 1, "name": "norms", "workload": "toy", "base": "tiny", "metric": "distance", "mode": "min"}
TWO = {"parameters": {"sample.scale": {"values": [0.0, 1.0]}}}
ARMS = {"arms": {"good": {}, "bad": {"sample.fail": True}}, "config": {"train.iterations": 1}}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with service() as told:
        monkeypatch.setenv("HOOK", told.url)
        monkeypatch.setattr(delivery, "PAUSES_S", (0.0, 0.0, None))
        yield told


class Witness:
    """A listener that remembers warnings, and may do something at an event."""

    def __init__(self, deed: Callable[[Event], None] = lambda event: None) -> None:
        self.warnings: list[str] = []
        self._deed = deed

    def begin(self, *_: object) -> None: ...

    def end(self, outcome: Outcome) -> None: ...

    def event(self, event: Event) -> None:
        if event.kind == "warning":
            self.warnings.append(event.message)
        self._deed(event)


def sweep(*parts: dict[str, Any], is_quick: bool = True, notify: Any = NOTIFY) -> Sweep:
    workload = toy_workload.Quick() if is_quick else toy_workload.Toy()
    data = {key: value for part in (SWEEP, *parts) for key, value in part.items()}
    return load_sweep({**data, "notify": notify}, find_workload=lambda name: workload)


def run(study: Sweep, home: Home, witness: Witness | None = None, pause: Pause | None = None) -> Outcome:
    listeners = [] if witness is None else [witness]
    return assay.run(study, home, executor="inline", listeners=listeners, pause=pause)


def test_a_finished_run_tells_once_and_the_url_is_nowhere(told: Service, tmp_path: Path) -> None:
    witness, home = Witness(), Home(tmp_path / "home")
    arms = {"arms": {"a": {}, "b": {"model.norm": "add"}}, "config": {"train.iterations": 1}}
    run(sweep(arms, is_quick=False), home, witness)
    (alert,) = told.bodies
    assert (alert["kind"], alert["title"]) == ("finished", "norms: finished")
    assert alert["text"].splitlines()[:2] == ["2 of 2 trials done", "best: a, distance 1"]
    facts = alert["facts"]
    assert (facts["best"], facts["value"], facts["arms"], facts["failed"]) == ("a", 1.0, ["a", "b"], [])
    assert facts["v100_days"] is None, "a CPU has none"
    assert "V100-days: unknown" in alert["text"]
    assert facts["seconds"] >= 0
    assert witness.warnings == []
    written = [path for path in home.root.rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


def test_notify_is_in_no_key(told: Service, tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert run(sweep(TWO, notify=[]), home).computed
    assert not run(sweep(TWO), home).computed
    assert told.kinds() == ["finished"]


def test_the_first_failure_is_told_at_once_and_all_at_the_end(told: Service, tmp_path: Path) -> None:
    outcome = run(sweep(TWO, ARMS, is_quick=False), Home(tmp_path))
    assert len(outcome.failed) == 2
    first, last = told.bodies
    assert (first["kind"], last["kind"]) == ("failed", "failed")
    assert first["title"] == "norms: 1 trial failed"
    assert first["facts"]["failed"] == ["bad, scale 0.0"]
    assert "stage sample failed: ValueError: cannot draw:" in first["text"]
    assert last["title"] == "norms: ended, 2 trials failed"
    assert last["text"].startswith("2 of 4 trials done, 2 failed\nstage sample failed: ")
    assert last["facts"]["failed"] == ["bad, scale 0.0", "bad, scale 1.0"]
    assert last["facts"]["first"] == "good, scale 0.0"


def test_a_pause_and_a_limit_are_told_apart(told: Service, tmp_path: Path) -> None:
    pause = Pause()
    run(sweep(TWO), Home(tmp_path / "a"), Witness(lambda _: pause.ask("stopped")), pause)
    limit = {"limits": {"v100_days": 1e-12}}
    run(sweep(limit, {"config": {"train.iterations": 1}}, is_quick=False), Home(tmp_path / "b"))
    run(sweep(TWO, {"limits": {"trials": 1}}), Home(tmp_path / "c"))
    assert told.kinds() == ["paused", "budget", "budget"]
    paused, days, trials = told.bodies
    assert paused["text"].startswith("stopped\n")
    assert "rerun the same command to resume" in paused["text"]
    assert days["text"].startswith("limits.v100_days is reached: ")
    assert trials["text"].startswith("limits.trials is 1: 1 more trials wait\n1 of 1 trial done")


def test_a_target_is_told_when_a_trial_first_reaches_it_and_not_again(told: Service, tmp_path: Path) -> None:
    target = {"scheduler": {"budget": "evaluate.num_samples", "rungs": [6, 12], "target": 2.0}}
    for _ in range(2):
        run(sweep(TWO, target), Home(tmp_path))
    assert told.kinds() == ["target_reached", "target_reached", "finished", "finished"]
    first, both, *_ = told.bodies
    assert first["text"] == "scale 0.0: distance 1 at evaluate.num_samples 6; the target is 2"
    assert both["title"] == "norms: 2 trials reached the target"


def test_a_run_that_breaks_off_is_told(told: Service, tmp_path: Path) -> None:
    def breaks(error: BaseException) -> Witness:
        def deed(event: Event) -> None:
            raise error

        return Witness(deed)

    for error in (AssayError("the store at s3://me:hunter2@host is gone"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            run(sweep(TWO), Home(tmp_path), breaks(error))
    failed, stopped = told.bodies
    assert failed["title"] == "norms: ended with an error"
    assert failed["facts"]["cause"] == "the store at s3://***@host is gone"
    assert (stopped["kind"], stopped["title"]) == ("paused", "norms: stopped at once")


def test_receivers_get_what_they_ask_for(told: Service, tmp_path: Path) -> None:
    command = ["sh", "-c", 'cat >> "$0"', str(tmp_path / "got")]
    both = [{"on": ["failed"], "webhook": {"env": "HOOK"}}, {"on": ["finished"], "command": command}]
    run(sweep(notify=both), Home(tmp_path / "home"))
    assert told.bodies == []
    assert json.loads((tmp_path / "got").read_text())["kind"] == "finished"


@pytest.mark.parametrize(
    ("statuses", "why"), [([404] * 9, "HTTP 404"), ([503] * 9, "HTTP 503"), (None, "no answer yet")]
)
def test_a_dead_webhook_costs_one_line_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statuses: list[int] | None, why: str
) -> None:
    monkeypatch.setattr(delivery, "PAUSES_S", (0.0, 0.0, None))
    monkeypatch.setattr(notifier, "END_S", 0.2 if statuses is None else 60.0)
    witness = Witness()
    with service(statuses or (), is_silent=statuses is None) as dead:
        monkeypatch.setenv("HOOK", dead.url)
        outcome = run(sweep(TWO), Home(tmp_path), witness)
    assert [trial.metrics["distance"] for trial in outcome.trials] == [1.0, 2.0]
    expected = f"alerts that could not be delivered: 1 of 1 to notify[0], the webhook in $HOOK: {why}"
    assert witness.warnings == [expected]


def test_what_cannot_be_delivered_is_said_when_the_run_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    begun: list[str] = []
    witness = Witness(lambda event: begun.append(event.kind))
    run(sweep(), Home(tmp_path), witness)
    why = "notify[0], the webhook in $HOOK: the variable is not set on this machine"
    assert witness.warnings[0] == f"{why}; it will get no alerts"
    assert begun[0] == "warning"
    assert witness.warnings[1:] == [f"alerts that could not be delivered: 1 of 1 to {why}"]


def test_the_homes_settings_say_whom_sweeps_without_a_section_tell(tmp_path: Path) -> None:
    home, study = Home(tmp_path), sweep(notify=None)
    assert receivers(study, home) == ()
    home.settings.write_text("notify: [{webhook: {env: HOME_HOOK}}]\n")
    assert [str(each) for each in receivers(study, home)] == ["the webhook in $HOME_HOOK"]
    assert [str(each) for each in receivers(sweep(), home)] == ["the webhook in $HOOK"]
    assert receivers(sweep(notify=[]), home) == ()
    home.settings.write_text("\nnotify: [{webhok: {env: HOME_HOOK}}]\n")
    with pytest.raises(SpecError, match=r"settings.yaml:2: notify\[0\].webhok: unknown key; did you mean 'webhook'\?"):
        receivers(study, home)
