"""The state of a run as shown to its user. Pure: events and a clock in, an entry and notes out. Every display uses it,
and the note in the store that the run is in progress."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal, cast

from assay.costs.availability import StageStatus
from assay.events import Event
from assay.execution.pace import Pace
from assay.planning import Plan
from assay.planning.labels import serves
from assay.store import Decision
from assay.store.schema import BoardEntry, NoteEntry, RunningStageEntry
from assay.sweep.expansion import in_words
from assay.text import counted, json_number, one_line, rate, took
from assay.workload import ReportHints, Stage

DECISIONS: dict[Decision, str] = {
    "go on": "continues",
    "stop": "stopped",
    "reached": "reached the target",
    "won": "won the race",
    "tied": "tied",
}
NoteKind = Literal["started", "noted", "finished", "failed", "warning", "cached"]
MOST_NOTES = 12
"""The latest notes that an entry holds."""
LEAST_SHARE = 0.02
"""Share of the work that must be done before the remaining time is shown: earlier it would be a guess."""


@dataclass(frozen=True)
class Note:
    """Something that happened, shown once."""

    kind: NoteKind
    text: str
    detail: str = ""


@dataclass
class Running:
    """A stage that is being computed."""

    stage: Stage
    arms: str
    since: float
    pace: Pace
    begun_at: int
    """How much was done when it started."""
    hints: ReportHints
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def leading(self) -> tuple[str, float] | None:
        """The newest value of a curve that reports draw, or else the first metric that it reported."""
        named = (item for item in self.metrics.items() if any(curve in item[0] for curve in self.hints.curves))
        return next(named, None) or next(iter(self.metrics.items()), None)

    def rate(self, per_second: float) -> str:
        return rate(per_second, self.stage.unit, self.hints.short_units)

    def entry(self, now: float) -> RunningStageEntry:
        per_second = self.pace.rate(now)
        metric, value = self.leading or (None, None)
        return RunningStageEntry(
            name=self.stage.name,
            trials=self.arms,
            done=self.pace.done,
            amount=self.stage.amount,
            unit=self.stage.unit,
            has_budget=self.stage.budget is not None,
            seconds=now - self.since,
            begun_at=self.begun_at,
            rate=None if per_second is None else self.rate(per_second),
            left_s=self.pace.left_s(now),
            metric=metric,
            value=None if value is None else json_number(float(value)),
        )


@dataclass(frozen=True)
class Standing:
    """What stays the same while the running stages only advance. Counted once, since a study has thousands of stages
    and is shown several times a second."""

    trials: tuple[int, int, int]
    """Numbers: done, lost, and all."""
    per_unit_s: Mapping[str, float]
    """Name of a stage → mean seconds per unit of those that are finished."""
    finished_s: float
    waiting_s: float | None
    """Expected of all stages that have not started; None if some is unknown."""
    running: Sequence[Running]
    """Those that somebody still waits for."""


class Board:
    def __init__(
        self,
        plan: Plan,
        before: Mapping[str, StageStatus],
        stored: Mapping[str, object],
        clock: Callable[[], float],
        earlier: Board | None = None,
    ) -> None:
        """`earlier`: the board of the same run before its plan grew, whose notes stay."""
        self.plan = plan
        self.clock = clock
        self.started = clock()
        self.running: dict[str, Running] = {}
        self.done: set[str] = set(stored)
        self.failed: dict[str, str] = {}
        self._before = before
        self._took: dict[str, float] = {}
        self._standing: Standing | None = None
        self._arms = {key: serves(plan, key) for key in plan.stages}
        self._notes = deque([] if earlier is None else earlier.entry().notes, maxlen=MOST_NOTES)

    # What the user is shown

    def cached(self) -> Note | None:
        """What was stored before the run, in one line."""
        if not self.done:
            return None
        names = [stage.name for key, stage in self.plan.stages.items() if key in self.done]
        return Note("cached", f"{len(names)} of {len(self.plan.stages)} stages are stored already", counted(names))

    def entry(self) -> BoardEntry:
        """Everything that a display shows."""
        done, failed, trials = self.trials()
        now, left = self.clock(), self.left_s()
        return BoardEntry(
            sweep=self.plan.sweep.name,
            trials_done=done,
            trials_failed=failed,
            trials=trials,
            stages_done=len(self.done),
            stages=len(self.plan.stages),
            seconds=self.elapsed_s(),
            left_s=left,
            running=[running.entry(now) for running in self.running.values()],
            notes=[*self._notes],
        )

    def event(self, event: Event) -> Note | None:
        if event.kind != "progress" or event.key not in self.running:
            self._standing = None
        note = self._note(event)
        if note is not None:
            number = self._notes[-1].number + 1 if self._notes else 0
            self._notes.append(NoteEntry(number=number, kind=note.kind, text=note.text, detail=note.detail))
        return note

    def _note(self, event: Event) -> Note | None:
        if event.kind == "warning":
            return Note("warning", event.message)
        stage = self.plan.stages.get(event.key)
        if stage is None:
            return None
        if event.kind == "started":
            return self._start(stage)
        if event.kind == "progress":
            self._advance(stage, event)
        elif event.kind == "committed":
            return self._stored(stage) if event.by_another else self._finish(stage)
        elif event.kind == "waiting":
            return Note("noted", self.title(stage), event.message)
        elif event.kind == "failed":
            return self._fail(stage, event.message)
        elif event.kind == "rung" and event.trial is not None:
            return self._judged(event, event.trial)
        elif event.kind == "note" and event.note is not None:
            name, value = event.note
            return Note("noted", self.title(stage), f"{name.replace('_', ' ')} {in_words(value)}")
        return None

    def title(self, stage: Stage) -> str:
        return f"{stage.name} ({self._arms[stage.key]})"

    def trials(self) -> tuple[int, int, int]:
        """Numbers of trials: done, lost, and all."""
        return self._stands().trials

    def elapsed_s(self) -> float:
        return self.clock() - self.started

    def left_s(self) -> float | None:
        """Remaining seconds of the whole run, from the share of expected work that is done; None if some is unknown."""
        standing = self._stands()
        if standing.waiting_s is None:
            return None
        done, total = standing.finished_s, standing.finished_s + standing.waiting_s
        for running in standing.running:
            expected = self._expected_s(running.stage, standing.per_unit_s)
            if expected is None:
                return None
            total += expected
            done += self._share(running) * expected
        if total == 0 or done / total < LEAST_SHARE:
            return None
        return self.elapsed_s() * (total - done) / done

    # What happens

    def _start(self, stage: Stage) -> Note:
        begun_at = self._before[stage.key].done if stage.key in self._before else 0
        pace = Pace(stage.amount, begun_at)
        hints = self.plan.hints_of(stage.key)
        self.running[stage.key] = Running(stage, self._arms[stage.key], self.clock(), pace, begun_at, hints)
        self.failed.pop(stage.key, None)
        resumed = f"resumes at {begun_at:,} of {stage.amount:,} {stage.unit}" if begun_at else ""
        return Note("started", self.title(stage), resumed)

    def _advance(self, stage: Stage, event: Event) -> None:
        if stage.key not in self.running:
            if stage.key in self.done:
                return  # a late event
            self._start(stage)
        running = self.running[stage.key]
        running.pace.reach(running.pace.done + event.done if event.advance else event.done, self.clock())
        running.metrics.update(event.metrics)

    def _finish(self, stage: Stage) -> Note:
        running = self.running.pop(stage.key, None)
        self.done.add(stage.key)
        self._took[stage.key] = self.clock() - running.since if running else 0.0
        budget = f"{stage.amount:,} {stage.unit} in " if stage.budget else ""
        return Note("finished", self.title(stage), f"{budget}{took(self._took[stage.key])}")

    def _stored(self, stage: Stage) -> Note:
        self.running.pop(stage.key, None)
        self.done.add(stage.key)
        return Note("finished", self.title(stage), "computed by another run")

    def _fail(self, stage: Stage, message: str) -> Note:
        self.running.pop(stage.key, None)
        self.failed[stage.key] = message
        return Note("failed", self.title(stage), one_line(message))

    def _judged(self, event: Event, trial: int) -> Note:
        decision = cast(Decision, event.message)
        self.plan = replace(self.plan, decided={**self.plan.decided, event.key: decision})
        planned = self.plan.trials[trial]
        is_last = event.key == planned.leaf.key
        ((name, value),) = event.metrics.items()
        what = "done" if is_last and decision == "go on" else DECISIONS[decision]
        unit = (self.plan.sweep.scheduler.budget or "").rpartition(".")[2]
        return Note("noted", planned.name, f"{name} {value:.4g} at {unit} {event.done:,}: {what}")

    # What remains

    def _stands(self) -> Standing:
        if self._standing is None:
            lost, per_unit_s = self._lost(), self._per_unit_s()
            rest = [stage for key, stage in self.plan.stages.items() if key not in lost and key not in self.done]
            waiting = [self._expected_s(stage, per_unit_s) for stage in rest if stage.key not in self.running]
            known = [seconds for seconds in waiting if seconds is not None]
            self._standing = Standing(
                trials=self._count_trials(),
                per_unit_s=per_unit_s,
                finished_s=sum(seconds for key, seconds in self._took.items() if key not in lost),
                waiting_s=sum(known) if len(known) == len(waiting) else None,
                running=[self.running[stage.key] for stage in rest if stage.key in self.running],
            )
        return self._standing

    def _lost(self) -> set[str]:
        """The stages that failed, or need one that failed or only trials that the scheduler ended."""
        lost: set[str] = set()
        for key, stage in self.plan.stages.items():  # inputs first
            is_lost = key in self.failed or key not in self.plan.needed
            if is_lost or any(source.key in lost for source in stage.sources):
                lost.add(key)
        return lost

    def _count_trials(self) -> tuple[int, int, int]:
        climbs = [trial.climbs(self.plan.decided) for trial in self.plan.trials]
        keys = [{stage.key for rung in climbed for stage in rung.stages} for climbed in climbs]
        done = sum(trial <= self.done for trial in keys)
        return done, sum(not trial.isdisjoint(self.failed) for trial in keys), len(keys)

    def _per_unit_s(self) -> dict[str, float]:
        rates: dict[str, list[float]] = {}
        for key, seconds in self._took.items():
            stage = self.plan.stages[key]
            rates.setdefault(stage.name, []).append(seconds / stage.amount)
        return {name: fmean(each) for name, each in rates.items()}

    def _share(self, running: Running) -> float:
        to_do = running.stage.amount - running.begun_at
        return (running.pace.done - running.begun_at) / to_do if to_do > 0 and running.stage.budget else 0.0

    def _expected_s(self, stage: Stage, per_unit_s: Mapping[str, float]) -> float | None:
        """Expected seconds of an unfinished stage in this run: by its pace, as similar stages took, or as predicted."""
        running = self.running.get(stage.key)
        if running is not None:
            remaining = running.pace.left_s(self.clock())
            if remaining is not None:
                return self.clock() - running.since + remaining
        if stage.name in per_unit_s:
            return per_unit_s[stage.name] * stage.amount
        status = self._before.get(stage.key)
        return status.left.seconds if status is not None else None
