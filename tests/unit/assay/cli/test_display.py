"""What a user sees of a run, from made-up events and a made-up clock."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from assay.cli.display import LiveDisplay, PlainDisplay
from assay.cli.display.live import _Rows
from assay.costs.availability import StageStatus
from assay.costs.cost_estimate import CostEstimate
from assay.execution import Event
from assay.execution.board import LEAST_SHARE, Board
from assay.execution.pace import Pace
from assay.planning import Plan, PlannedTrial, Rung
from assay.sweep import Sweep, Trial
from assay.sweep.arms import Base
from assay.text import age, clock, days, one_line, rate, size, took
from assay.workload import Budget, ReportHints, Stage


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def stage(name: str, arm: str = "", amount: int | None = 600, unit: str = "iterations", **inputs: Stage) -> Stage:
    budget = None if amount is None else Budget("amount", amount, unit)
    return Stage(name, 1, "train", ("m:f",), {"arm": arm}, inputs, budget)


@dataclass
class Study:
    """Arms of two trials: a training an arm, samples a trial, one reference for all."""

    arms: Sequence[str] = ("AdaGN", "addition + GroupNorm")
    plan: Plan = field(init=False)
    trains: dict[str, Stage] = field(default_factory=dict)
    samples: list[Stage] = field(default_factory=list)

    def __post_init__(self) -> None:
        reference = stage("reference", amount=None)
        workload: Any = SimpleNamespace(report=ReportHints(metrics=("fid",)))
        trials = []
        for arm in self.arms:
            self.trains[arm] = stage("train", arm)
            for scale in (0.0, 1.0):
                name = f"{arm}, scale {scale}"
                sample = stage("sample", name, 1000, "images", model=self.trains[arm], reference=reference)
                self.samples.append(sample)
                trial = Trial(len(trials), name, arm, {}, {}, 0, {}, Base(workload, "b"))
                trials.append(PlannedTrial(trial, (Rung(None, (self.trains[arm], reference, sample)),)))
        sweep = Sweep(version=1, name="norms", workload="w", base="b", metric="fid", mode="min")
        self.plan = Plan(sweep, tuple(trials))
        self.reference = reference

    def before(self, **done: int) -> dict[str, StageStatus]:
        return {
            key: StageStatus(s, "partial" if done.get(s.name) else "missing", done.get(s.name, 0), CostEstimate())
            for key, s in self.plan.stages.items()
        }


@pytest.fixture
def study() -> Study:
    return Study()


def board_of(study: Study, tick: Clock, **done: int) -> Board:
    return Board(study.plan, study.before(**done), {}, tick)


def test_a_resume_at_half_is_no_burst() -> None:
    pace = Pace(600, 300)
    pace.reach(301, now=10.0)
    assert pace.rate(10.0) is None
    pace.reach(311, now=11.0)
    assert pace.rate(11.0) == pytest.approx(10.0)
    assert pace.left_s(11.0) == pytest.approx(28.9)


def test_work_that_was_lost_does_not_count_backwards() -> None:
    pace = Pace(600)
    for second in range(10):
        pace.reach(10 * second, now=float(second))
    pace.reach(50, now=20.0)  # the worker died and starts over from a checkpoint
    assert pace.rate(20.0) is None
    pace.reach(60, now=21.0)
    assert pace.rate(21.0) == pytest.approx(10.0)


def test_the_rate_is_of_the_last_half_minute_and_falls_in_silence() -> None:
    pace = Pace(10_000)
    for second in range(100):
        pace.reach(second if second < 50 else 50 + 20 * (second - 50), now=float(second))
    assert pace.rate(99.0) == pytest.approx(20.0, rel=0.05)
    stalled = pace.rate(160.0)
    assert stalled is not None
    assert stalled < 10


def test_a_slow_stage_has_a_rate_as_well() -> None:
    pace = Pace(10)
    pace.reach(1, now=100.0)
    pace.reach(2, now=300.0)
    assert pace.rate(300.0) == pytest.approx(1 / 200)


def test_map_progress_adds_to_the_shards_that_were_there(study: Study) -> None:
    board = board_of(study, Clock(), sample=250)
    key = study.samples[0].key
    note = board.event(Event("started", key))
    assert note is not None
    assert note.detail == "resumes at 250 of 1,000 images"
    for _ in range(3):
        board.event(Event("progress", key, done=100, advance=True))
    assert board.running[key].pace.done == 550


def test_a_stage_names_the_arms_it_serves(study: Study) -> None:
    board = board_of(study, Clock())
    assert board.title(study.trains["AdaGN"]) == "train (AdaGN)"
    assert board.title(study.reference) == "reference (all 4 trials)"
    assert board.title(study.samples[1]) == "sample (AdaGN, scale 1.0)"


def test_trials_are_done_with_their_last_stage_and_lost_with_any(study: Study) -> None:
    board = board_of(study, Clock())
    for done in (study.reference, study.trains["AdaGN"], study.samples[0]):
        board.event(Event("committed", done.key))
    assert board.trials() == (1, 0, 4)
    note = board.event(Event("failed", study.trains["addition + GroupNorm"].key, message="Trace\nRuntimeError: boom"))
    assert note is not None
    assert note.detail == "RuntimeError: boom"
    assert board.trials() == (1, 2, 4)


def test_time_left_is_told_once_all_of_the_work_is_known(study: Study) -> None:
    tick = Clock()
    board = board_of(study, tick)
    board.event(Event("started", study.reference.key))
    tick.now = 10.0
    board.event(Event("committed", study.reference.key))
    assert board.left_s() is None, "nobody knows yet how long a training takes"
    for train in study.trains.values():
        board.event(Event("started", train.key))
        tick.now += 40.0
        board.event(Event("committed", train.key))
    for sample in study.samples[:2]:
        board.event(Event("started", sample.key))
        tick.now += 30.0
        board.event(Event("committed", sample.key))
    assert board.left_s() == pytest.approx(60.0)
    board.event(Event("failed", study.samples[2].key, message="E"))
    assert board.left_s() == pytest.approx(30.0), "what failed is not waited for"


def test_time_left_is_as_counted_stage_by_stage_whatever_happens() -> None:
    dice = Random(3)
    tick, study = Clock(), Study(arms=[f"arm {number}" for number in range(12)])
    board = board_of(study, tick)
    took: dict[str, float] = {}
    failed: set[str] = set()
    told: list[float | None] = []
    for key, each in study.plan.stages.items():
        board.event(Event("started", key))
        since = tick.now
        for done in range(50, 50 * dice.randrange(2, 12), 50):
            tick.now += dice.uniform(1, 9)
            board.event(Event("progress", key, done=done))
            told.append(board.left_s())
            assert told[-1] == pytest.approx(left_s_by_stage(study, board, took, failed, since, tick.now))
        if each is study.reference or dice.random() < 0.7:
            board.event(Event("committed", key))
            took[key] = tick.now - since
        else:
            board.event(Event("failed", key, message="E"))
            failed.add(key)
        lost = [trial for trial in study.plan.trials if any(stage.key in failed for stage in trial.stages)]
        assert board.left_s() == pytest.approx(left_s_by_stage(study, board, took, failed, since, tick.now))
        assert board.entry().trials_failed == len(lost)
        assert board.entry().stages_done == len(took)
    assert len({value for value in told if value is not None}) > 100
    assert failed


def test_a_trial_that_a_scheduler_stops_is_done_and_what_it_needed_is_not_waited_for(study: Study) -> None:
    tick = Clock()
    plan = study.plan
    more = [stage("sample", trial.name, 2000, "images", model=trial.stages[0]) for trial in plan.trials]
    climbers = [
        replace(trial, rungs=(Rung(1000, trial.stages), Rung(2000, (trial.stages[0], higher))))
        for trial, higher in zip(plan.trials, more, strict=True)
    ]
    study.plan = replace(plan, trials=tuple(climbers))
    board = board_of(study, tick)
    for each in plan.stages.values():
        board.event(Event("started", each.key))
        tick.now += 10.0
        board.event(Event("committed", each.key))
    before = board.left_s()
    assert before == pytest.approx(4 * 20.0)
    assert board.trials() == (0, 0, 4)
    stopped = study.samples[1].key
    board.event(Event("rung", stopped, done=1000, message="stop", metrics={"fid": 9.0}, trial=1))
    assert board.left_s() == pytest.approx(3 * 20.0)
    assert board.trials() == (1, 0, 4)


def left_s_by_stage(
    study: Study, board: Board, took: dict[str, float], failed: set[str], since: float, now: float
) -> float | None:
    """The remaining time by its definition. `since`: when the running stage started."""

    def is_lost(each: Stage) -> bool:
        return each.key in failed or any(is_lost(source) for source in each.sources)

    stages = study.plan.stages.values()
    total = finished = 0.0
    for each in stages:
        alike = [took[other.key] / other.amount for other in stages if other.name == each.name and other.key in took]
        share = 0.0
        if is_lost(each):
            continue
        running = board.running.get(each.key)
        remaining = running.pace.left_s(now) if running else None
        if running and each.budget:
            share = running.pace.done / each.amount
        if each.key in took:
            expected, share = took[each.key], 1.0
        elif remaining is not None:
            expected = now - since + remaining
        elif alike:
            expected = sum(alike) / len(alike) * each.amount
        else:
            return None
        total += expected
        finished += share * expected
    return now * (total - finished) / finished if finished / total >= LEAST_SHARE else None


@pytest.mark.parametrize("width", [80, 120, 40])
def test_a_running_stage_is_one_line_at_any_width(study: Study, width: int) -> None:
    tick = Clock()
    board = board_of(study, tick)
    for train in study.trains.values():
        board.event(Event("started", train.key))
        for step in range(300):
            tick.now += 0.1
            board.event(Event("progress", train.key, done=step + 1, metrics={"loss": 0.123456, "grad_norm": 2.0}))
    board.event(Event("started", study.reference.key))
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(_Rows(board.entry()))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert all(len(line.rstrip()) <= width for line in lines)
    if width >= 80:
        assert "300/600" in lines[1]
        assert "10.0 it/s" in lines[1]
        assert "0:30" in lines[1]
        assert "0.123" in lines[1]
        assert "addition" in lines[1]


def plain(study: Study, tick: Clock) -> tuple[PlainDisplay, io.StringIO]:
    out = io.StringIO()
    display = PlainDisplay(out, tick)
    display.begin(study.plan, study.before(), {})
    return display, out


def lines_of(out: io.StringIO) -> list[str]:
    return [line.split(" ", 2)[2] for line in out.getvalue().splitlines()]


def test_plain_lines_come_at_quarters_and_every_ten_seconds(study: Study) -> None:
    tick = Clock()
    display, out = plain(study, tick)
    key = study.trains["AdaGN"].key
    display.event(Event("started", key))
    for step in range(1, 601):
        tick.now += 0.05  # 30 s in all
        display.event(Event("progress", key, done=step, metrics={"loss": 1 / step}))
    display.event(Event("committed", key))
    progress = [line for line in lines_of(out) if " of 600 iterations" in line]
    assert [line.split(": ")[1].split(" of")[0] for line in progress] == ["150", "300", "450"]
    assert "20.0 it/s, 0:15 left, loss 0.003333" in progress[1]
    assert lines_of(out)[-1] == "train (AdaGN) done: 600 iterations in 30 s"


def test_plain_lines_of_a_slow_stage_come_every_ten_seconds(study: Study) -> None:
    tick = Clock()
    display, out = plain(study, tick)
    key = study.trains["AdaGN"].key
    display.event(Event("started", key))
    for step in range(1, 100):
        tick.now += 1.0
        display.event(Event("progress", key, done=step))
    assert sum(" of 600 iterations" in line for line in lines_of(out)) == 9


def test_plain_lines_of_a_moment_say_only_that_it_came_and_went(study: Study) -> None:
    tick = Clock()
    display, out = plain(study, tick)
    key = study.samples[0].key
    display.event(Event("started", key))
    for _ in range(4):
        tick.now += 0.01
        display.event(Event("progress", key, done=250, advance=True))
    display.event(Event("committed", key))
    assert len(lines_of(out)) == 3


def test_the_live_board_leaves_what_happened_and_nothing_else(study: Study) -> None:
    out = io.StringIO()
    display = LiveDisplay(Console(file=out, width=80, force_terminal=True, color_system=None))
    train, reference = study.trains["AdaGN"], study.reference
    display.begin(study.plan, study.before(), {reference.key: SimpleNamespace()})  # type: ignore[dict-item]
    display.event(Event("started", train.key))
    display.event(Event("progress", train.key, done=300, metrics={"loss": 0.5}))
    display.event(Event("note", train.key, note=("precision", "bf16")))
    display.event(Event("warning", message="stored result abc is damaged"))
    display.event(Event("committed", train.key))
    display.event(Event("failed", study.trains["addition + GroupNorm"].key, message="ValueError: boom"))
    display.close()
    display.close()
    display.event(Event("warning", message="MLflow is slow"))  # after the board is gone
    shown = out.getvalue()
    for text in (
        "✓ 1 of 7 stages are stored already  reference",
        "· train (AdaGN)  precision bf16",
        "! stored result abc is damaged",
        "✓ train (AdaGN)  600 iterations in",
        "✗ train (addition + GroupNorm)  ValueError: boom",
        "! MLflow is slow",
    ):
        assert text in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "the cursor is back"


def test_words() -> None:
    assert [clock(s) for s in (5, 65, 3723, 200_000)] == ["0:05", "1:05", "1:02:03", "2d 7h"]
    assert [took(s) for s in (0.04, 34.2, 125)] == ["0.0 s", "34 s", "2:05"]
    assert rate(12.34, "iterations") == "12.3 it/s"
    assert rate(1400, "images", {"images": "img"}) == "1,400 img/s"
    assert rate(0.25, "iterations") == "4.00 s/it"
    assert rate(3, "steps") == "3.00 steps/s"
    assert [size(n) for n in (12, 1300, 25_300_000_000)] == ["12 B", "1.3 kB", "25.3 GB"]
    assert [age(s) for s in (3, 300, 10_000, 400_000)] == ["3 s ago", "5 min ago", "2 h ago", "4 days ago"]
    assert [days(d) for d in (0.0, 3.14e-5, 5.31, 1914)] == ["0", "3.1e-05", "5.3", "1,914"]


@pytest.mark.parametrize(
    ("trace", "line"),
    [
        ("Traceback…\n  File\nValueError: bad", "ValueError: bad"),
        ("ray.exceptions.RayTaskError(KeyError): ray::f\n  File x\nKeyError: 'a'", "KeyError: 'a'"),
        (
            "torch.OutOfMemoryError: CUDA out of memory.\nTried to allocate 2 GB",
            "torch.OutOfMemoryError: CUDA out of memory.",
        ),
        ("an input failed", "an input failed"),
        ("", "unknown cause"),
    ],
)
def test_a_cause_is_one_line(trace: str, line: str) -> None:
    assert one_line(trace) == line
