"""`assay check`: check a workload, for its author, before a sweep uses it."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field

from assay.cli.commands.finding import Finding, print_findings
from assay.cli.commands.init import as_sweep
from assay.errors import AssayError, ConfigError, StageError, UserError, passing_warnings
from assay.planning.checks import checks_of
from assay.planning.checks import findings as findings_of_checks
from assay.planning.import_paths import import_paths
from assay.planning.passes import passes, with_streamed
from assay.sweep import load_sweep
from assay.text import first_line, plural, took
from assay.workload import Stage, Workload, load_attribute, load_workload
from assay.workload.contract import stage_graph
from assay.workload.smoke import HEAVY, omissions, smoke_config


def check_workload(name: str, is_json: bool) -> int:
    """Print every finding as it is made; returns 1 if one is a failure. Raises UserError for an unknown workload."""
    before = set(sys.modules)
    workload = load_workload(name)
    with passing_warnings(None):  # its warnings are about sweeps, and there is none here
        return print_findings(_Checks(workload, before).findings(), is_json)


@dataclass
class _Checks:
    workload: Workload
    modules_before: set[str]
    """Modules that were imported before the workload."""
    stages: dict[str, Stage] = field(default_factory=dict)
    """Every stage of every preset, by key."""

    def findings(self) -> Iterator[Finding]:
        yield from self._presets()
        yield from self._plan_imports()
        if self.stages:
            yield from self._bodies()
            yield from self._smoke()
            yield from self._starter()

    def _presets(self) -> Iterator[Finding]:
        presets, good = list(self.workload.presets()), []
        for base in presets:
            try:
                config = self.workload.resolve(base, {})
                stages = stage_graph(self.workload, config)
                self.workload.metrics(config)
            except ConfigError as error:
                yield Finding("fail", f"preset {base}", "; ".join(f"{p.path}: {p.message}" for p in error.problems))
            except StageError as error:
                yield Finding("fail", f"preset {base}", str(error))
            except UserError as error:
                yield Finding("warn", f"preset {base}", first_line(error), "a file that it names may be missing here")
            except Exception as error:  # a workload may raise anything
                yield Finding("fail", f"preset {base}", _located(error))
            else:
                good.append(base)
                self.stages |= {stage.key: stage for stage in stages}
                if self.workload.seed_path not in self.workload.paths(base):
                    yield Finding("fail", f"preset {base}", f"its config lacks seed_path {self.workload.seed_path}")
        yield Finding("ok" if good else "fail", "presets", f"{len(good)} of {len(presets)} have stages")

    def _plan_imports(self) -> Iterator[Finding]:
        heavy = [name for name in HEAVY if name in sys.modules and name not in self.modules_before]
        if heavy:
            advice = "import it only in the modules of bodies, and refer to bodies by import path"
            yield Finding("warn", "planning", f"imports {', '.join(heavy)}, which takes seconds", advice)

    def _bodies(self) -> Iterator[Finding]:
        parts = (part for _, part in with_streamed(self.stages.values()))
        paths = dict.fromkeys(path for part in parts for _, path in import_paths(part))
        wrong = 0
        for path in paths:
            try:
                if not callable(load_attribute(path)):
                    raise UserError(f"{path!r} is not callable")
            except (Exception, SystemExit) as error:  # importing a module may raise anything
                wrong += 1
                message = str(error) if isinstance(error, UserError) else f"{path}: {_located(error)}"
                yield Finding("fail", "body", message)
        if not wrong:
            yield Finding("ok", "bodies", f"{plural(len(paths), 'import path')} resolve")

    def _smoke(self) -> Iterator[Finding]:
        try:
            config = smoke_config(self.workload)
            stages = stage_graph(self.workload, config)
            declared = self.workload.metrics(config)
        except Exception as error:  # a workload may raise anything
            yield Finding("fail", "smoke", _located(error))
            return
        refused = [f for f in findings_of_checks(checks_of(stages)) if f.kind in ("refusal", "absence")]
        yield from (Finding("fail", f"smoke, check of {f.stage}", f.message) for f in refused)
        if not refused:
            yield from self._run(declared, stages)

    def _run(self, declared: Sequence[str], stages: Sequence[Stage]) -> list[Finding]:
        from assay.execution.inline import execute
        from assay.store import Store

        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
            store = Store(folder)
            for stage, *beside in passes(stages):
                try:
                    execute(stage, store, 1, lambda event: None, beside=beside)
                except (Exception, SystemExit) as error:  # a body may raise anything
                    return [Finding("fail", f"smoke, stage {stage.name}", _located(error))]
            result = store.get(stages[-1].key)
            assert result is not None
            problems = list(omissions(self.workload, declared, result.metrics, result.notes, result.files))
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())
        summary = f"{plural(len(stages), 'stage')} in {took(time.monotonic() - started)}: {metrics}"
        return [*(Finding("fail", "smoke", problem) for problem in problems), Finding("ok", "smoke", summary)]

    def _starter(self) -> Iterator[Finding]:
        """The study that `assay init` writes, if the workload has one of its own."""
        starter = getattr(self.workload, "starter", None)
        if starter is None:
            return
        try:
            sweep = load_sweep(as_sweep(self.workload, starter, "starter"), find_workload=lambda name: self.workload)
        except AssayError as error:
            yield Finding("fail", "starter", first_line(error))
        else:
            yield Finding("ok", "starter", f"{plural(sweep.num_trials(), 'trial')} of {starter.base}")


def _located(error: BaseException) -> str:
    """An error in one line, with the file and line that raised it."""
    if isinstance(error, AssayError):
        return first_line(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{first_line(error, with_type=True)}{where}"
