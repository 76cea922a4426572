"""A run's progress as bars: tqdm's, which a notebook draws as widgets and a terminal as text."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from assay.costs.availability import StageStatus
from assay.execution import Event, Outcome
from assay.planning import Plan
from assay.planning.labels import serves
from assay.shown import is_notebook
from assay.text import one_line
from assay.workload import Stage

if TYPE_CHECKING:
    from assay.store import StoredResult


class ProgressBars:
    """A listener of a run: one bar for the study's stages, and one per stage with a budget while it runs."""

    def __init__(self, make: Any = None) -> None:
        """`make`: a class like tqdm. By default tqdm's own for where this runs."""
        self._make = make if make is not None else _bar_class()
        self._plan: Plan | None = None
        self._before: Mapping[str, StageStatus] = {}
        self._all: Any = None
        self._of: dict[str, Any] = {}
        """Stage key → its bar."""

    def begin(self, plan: Plan, before: Mapping[str, StageStatus], stored: Mapping[str, StoredResult]) -> None:
        self._close()  # a plan that grew starts again
        self._plan, self._before = plan, before
        stages = plan.needed.keys() | stored.keys()
        self._all = self._make(total=len(stages), initial=len(stored), desc=plan.sweep.name, unit="stage")

    def event(self, event: Event) -> None:
        if event.kind == "warning":
            self._make.write(f"warning: {event.message}")
        elif event.kind == "waiting":
            self._make.write(event.message)
        stage = None if self._plan is None else self._plan.stages.get(event.key)
        if stage is None:
            return
        if event.kind in ("started", "progress") and stage.budget is not None:
            self._advance(stage, event)
        elif event.kind in ("committed", "failed"):
            if (bar := self._of.pop(stage.key, None)) is not None:
                bar.close()
            if event.kind == "committed":
                self._all.update(1)
            else:
                self._make.write(f"{self._title(stage)} failed: {one_line(event.message)}")

    def end(self, outcome: Outcome) -> None:
        self._close()

    def _advance(self, stage: Stage, event: Event) -> None:
        if stage.key not in self._of:
            begun_at = self._before[stage.key].done if stage.key in self._before else 0
            total, unit = stage.amount, f" {stage.unit}"
            self._of[stage.key] = self._make(
                total=total, initial=begun_at, desc=self._title(stage), unit=unit, leave=False
            )
        bar = self._of[stage.key]
        assert self._plan is not None
        curves = self._plan.hints_of(stage.key).curves
        shown = {name: f"{value:.4g}" for name, value in event.metrics.items() if any(c in name for c in curves)}
        if shown:
            bar.set_postfix(shown, refresh=False)
        if event.kind == "progress":
            bar.update(event.done if event.advance else event.done - bar.n)

    def _title(self, stage: Stage) -> str:
        assert self._plan is not None
        return f"{stage.name} ({serves(self._plan, stage.key)})"

    def _close(self) -> None:
        for bar in (*self._of.values(), *([] if self._all is None else [self._all])):
            bar.close()
        self._of, self._all = {}, None


def _bar_class() -> Any:
    """Widgets where a notebook can draw them."""
    if is_notebook() and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm
    else:
        from tqdm import tqdm
    return tqdm
