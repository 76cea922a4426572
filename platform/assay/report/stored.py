"""A study as read from the store, with the failures of its last report: to compare and report without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from assay.costs.priced_metrics import PricedMetrics, priced
from assay.costs.rates import Rates
from assay.costs.savings import CostSheet
from assay.home import Home
from assay.planning import Plan, computed_of
from assay.report.folder import PAGE, cannot_write, costs_of_trials, earlier_failures, earlier_logs, write_page
from assay.results import Table, TrialOutcome, from_store, table
from assay.settings import rates_of
from assay.store import Store


@dataclass(frozen=True)
class StoredStudy:
    plan: Plan
    store: Store
    folder: Path
    """The folder of its report."""
    trials: tuple[TrialOutcome, ...]
    logs: Mapping[str, Path]
    """Key of a failed stage → the file of its traceback."""
    rates: Rates

    @classmethod
    def of(cls, plan: Plan, store: Store, home: Home) -> StoredStudy:
        folder = home.report(plan.sweep.name, plan.sweep.profile)
        failed = earlier_failures(folder)
        trials = from_store(plan, store, failed=failed)
        return cls(plan, store, folder, trials, earlier_logs(folder, failed.values()), rates_of(home))

    @cached_property
    def table(self) -> Table:
        return table(self.plan, self.trials, self.logs, self._priced)

    @cached_property
    def cost(self) -> CostSheet:
        computed = computed_of(self.plan.sweep, self.store).all()
        return costs_of_trials(self.plan, self.trials, computed, self.rates)

    def write_page(self, file: Path | None = None) -> tuple[Path, Table]:
        """Write the page to a file, or by default into the report's folder, with the interactive one. Returns its path
        and table. Raises AssayError."""
        is_alone = file is not None
        file = self.folder / PAGE if file is None else file
        try:
            computed = computed_of(self.plan.sweep, self.store).all()
            about = (self.plan, self.trials, file, computed, self.logs, self._priced, self.rates)
            return file, write_page(*about, is_alone=is_alone)
        except OSError as error:
            raise cannot_write(file, error) from error

    @cached_property
    def _priced(self) -> PricedMetrics:
        return priced(self.plan, self.store)


def labelled(studies: Sequence[StoredStudy]) -> list[Table]:
    """The studies' tables, named by `labels`."""
    return [replace(study.table, sweep=label) for study, label in zip(studies, labels(studies), strict=True)]


def labels(studies: Sequence[StoredStudy]) -> list[str]:
    """The studies' names; studies of the same name are distinguished by their files, or else by numbers."""
    sweeps = [study.plan.sweep for study in studies]
    names = [sweep.name for sweep in sweeps]
    return [
        sweep.name if names.count(sweep.name) == 1 else sweep.file or f"{sweep.name} ({number})"
        for number, sweep in enumerate(sweeps, 1)
    ]
