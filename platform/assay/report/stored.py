"""A study as the store has it, with the failures that its last report recorded: compared and reported without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from assay.costs.priced_metrics import PricedMetrics, priced
from assay.costs.savings import CostSheet, cost_sheet
from assay.home import Home
from assay.planning import Plan, computed_of
from assay.report.folder import PAGE, cannot_write, earlier_failures, earlier_logs, write_page
from assay.results import Table, TrialOutcome, from_store, table
from assay.store import Store, StoredResult


@dataclass(frozen=True)
class StoredStudy:
    """Computes nothing."""

    plan: Plan
    store: Store
    folder: Path
    """The folder of its report."""
    trials: tuple[TrialOutcome, ...]
    logs: Mapping[str, Path]
    """Key → the traceback of a stage that failed."""

    @classmethod
    def of(cls, plan: Plan, store: Store, home: Home) -> StoredStudy:
        folder = home.report(plan.sweep.name, plan.sweep.profile)
        failed = earlier_failures(folder)
        trials = from_store(plan, store, failed=failed)
        return cls(plan, store, folder, trials, earlier_logs(folder, failed.values()))

    @cached_property
    def table(self) -> Table:
        return table(self.plan, self.trials, self.logs, self._priced)

    @cached_property
    def cost(self) -> CostSheet:
        results: dict[str, StoredResult] = {}
        for trial in self.trials:
            results |= trial.results
        return cost_sheet(self.plan, results, computed_of(self.plan.sweep, self.store).all())

    def write_page(self, file: Path | None = None) -> tuple[Path, Table]:
        """The page, in the report's folder unless another file is named; with its table. Raises AssayError."""
        file = self.folder / PAGE if file is None else file
        try:
            computed = computed_of(self.plan.sweep, self.store).all()
            return file, write_page(self.plan, self.trials, file, computed, self.logs, self._priced)
        except OSError as error:
            raise cannot_write(file, error) from error

    @cached_property
    def _priced(self) -> PricedMetrics:
        return priced(self.plan, self.store)


def labelled(studies: Sequence[StoredStudy]) -> list[Table]:
    """Their tables, each under its label."""
    return [replace(study.table, sweep=label) for study, label in zip(studies, labels(studies), strict=True)]


def labels(studies: Sequence[StoredStudy]) -> list[str]:
    """Their names; where several have one, their files or numbers tell them apart: two studies' arms are not one."""
    sweeps = [study.plan.sweep for study in studies]
    names = [sweep.name for sweep in sweeps]
    return [
        sweep.name if names.count(sweep.name) == 1 else sweep.file or f"{sweep.name} ({number})"
        for number, sweep in enumerate(sweeps, 1)
    ]
