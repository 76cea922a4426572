"""The runs of a sweep in MLflow: an experiment, its parent run, and a child run per trial.

Runs are found by their tags, so every command for the same sweep writes to the same runs, and logging something twice
changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.home import Home
from assay.planning import Plan, PlannedTrial, Rung
from assay.provenance import repositories
from assay.results import TrialOutcome
from assay.store import Store, StoredResult
from assay.sweep.config_text import as_yaml
from assay.text import one_line, shorten
from assay.tracking import arms_view, limits, view
from assay.tracking.arms_view import CURRENT, PARETO, STANDING, SUPERSEDED
from assay.tracking.client import Client, Status, now_ms
from assay.tracking.comparison import Comparison, Pareto
from assay.tracking.database import recorded_folder
from assay.tracking.logged import LOGGED, are_there
from assay.tracking.parent import find_parent, parent_tags
from assay.tracking.patience import Patience
from assay.tracking.registry import ALIAS, FILE, FOLDER, TrainedModel, registered_name
from assay.workload import canonical_json

BEST, OBJECTIVES = "assay.best", "assay.objectives"
"""Tags of the parent: the best arm; the objectives, if there are several."""
MOST_OF_A_CAUSE = 4000
"""Characters kept from the end of a traceback."""


class Runs:
    """The runs of one sweep. Every method may raise whatever MLflow raises."""

    def __init__(self, home: Home, plan: Plan, patience: Patience | None = None) -> None:
        self._plan, self._store_url = plan, home.store_url
        self._store = Store(home.store_url, heals=False)
        self.children: dict[int, Any] = {}
        """Trial index → its run."""
        self._reopened: set[str] = set()
        self._client = Client(home, patience or Patience())
        with self._client.alone():
            self.experiment_id = self._experiment(home)
            self.parent = self._find_or_create_parent()
            tags = arms_view.experiment_tags(plan, self.parent.info.run_id)
            self._client.set_experiment_tags(self.experiment_id, tags)
            self._attach_children()

    def refuse_unusable(self) -> None:
        self._client.refuse_unusable()

    def status(self, run: Any, status: Status) -> None:
        self._client.set_status(run, status)
        if status == "RUNNING":
            self._reopened.add(run.info.run_id)
        else:
            self._reopened.discard(run.info.run_id)

    def is_logged(self, trial: TrialOutcome, digest: str) -> bool:
        """Whether its run shows everything. Artifacts may have been deleted, which only a local database shows."""
        run, planned = self.children[trial.planned.trial.index], trial.planned
        is_closed = run.info.status == "FINISHED" and run.info.run_id not in self._reopened
        if not is_closed or run.data.tags.get(LOGGED) != digest:
            return False
        folder = recorded_folder(run.info.artifact_uri)
        return folder is None or are_there(folder, view.artifacts(planned, trial.results))

    def log_curve(self, run: Any, result: StoredResult) -> None:
        self._client.log_points(run, view.curve_points(result))

    def log_live(self, run: Any, points: Sequence[view.Point]) -> None:
        self._client.log_points(run, points)

    def log_metrics(self, run: Any, planned: PlannedTrial, results: Mapping[str, StoredResult]) -> None:
        self._client.log_points(run, view.final_points(planned, results))

    def log_trial(self, trial: TrialOutcome, digest: str) -> None:
        """Log everything of a finished trial. The digest goes last, so that an interrupted one is logged again."""
        planned = trial.planned
        run = self._without_higher_rungs(trial)
        for result in trial.results.values():
            self.log_curve(run, result)
        self.log_metrics(run, planned, trial.results)
        reached = planned.reached(trial.results)
        if reached is not None:
            self._log_sample_grid(run, planned, *reached)
        self._client.log_text(run, as_yaml(planned.trial.config), view.CONFIG)
        self._log_origins(run, trial.results)
        came_from = view.came_from(trial)
        if trial.computed or not came_from.keys() & run.data.tags.keys():  # a rebuilt view computes nothing
            self._client.set_tags(run, came_from)
        self._client.set_tags(run, {**view.tags(planned), **view.notes(trial.results)})
        self._client.drop_tags(run, ["assay.error", "mlflow.note.content"])
        self._client.set_tags(run, {LOGGED: digest})
        self.status(run, "FINISHED")

    def _log_origins(self, run: Any, results: Mapping[str, StoredResult]) -> None:
        """The code and the commands that its results came from: those of its last stage are the tags."""
        names = dict.fromkeys(name for result in results.values() for name in sorted(result.provenance.origins))
        origins = {name: origin for name in names if (origin := self._store.origin(name)) is not None}
        if names:
            made = {n: origin.model_dump(mode="json", exclude=view.DIFFS) for n, origin in origins.items()}
            self._client.log_json(run, made, view.PROVENANCE)
            self._client.set_tags(run, view.origin_tags([*origins.values()], results))

    def log_diffs(self, origins: Iterable[str]) -> None:
        """What differed from the commits that a sweep's results came from: once, on the parent run."""
        for name in origins:
            origin = self._store.origin(name)
            for repository in repositories(origin) if origin is not None else []:
                if repository.diff:
                    file = f"{view.CHANGES}/{repository.folder}-{name[:8]}.diff"
                    self._client.log_text(self.parent, repository.diff, file)

    def _without_higher_rungs(self, trial: TrialOutcome) -> Any:
        """Its run, or a new one if that climbed further than this study decided: MLflow cannot remove points."""
        planned = trial.planned
        run, reached = self.children[planned.trial.index], planned.reached(trial.results)
        if reached is None or reached[0] is planned.rungs[-1]:
            return run
        shown = self._client.steps(run, self._plan.sweep.objective.name)
        if all(step <= view.budget_step(reached[0]) for step in shown):
            return run
        self._client.delete_run(run)
        fresh = self._create_child(planned)
        self.children[planned.trial.index] = fresh
        self._rename(fresh, planned)
        return fresh

    def log_failure(self, run: Any, stage: str, cause: str) -> None:
        fence = "`" * (3 + max(map(len, re.findall("`+", cause)), default=0))  # longer than any in the text
        note = f"Stage `{stage}` failed:\n\n{fence}\n{cause[-MOST_OF_A_CAUSE:]}\n{fence}"
        self._client.set_tags(run, {"assay.error": f"{stage}: {one_line(cause)}", "mlflow.note.content": note})
        self.status(run, "FAILED")

    def log_sweep(self, table: Comparison, pictures: Sequence[Path], digest: str, status: Status) -> None:
        """Log the comparison, the best arm, the sweep file and the report's pictures on the parent, and register the
        best model. Raises NoRegistry if only that failed."""
        sweep, run = self._plan.sweep, self.parent
        self._client.log_json(run, table.split(), view.COMPARISON)
        for picture in pictures:
            if picture.is_file():  # another command may be rewriting the report
                self._client.log_file(run, picture, view.REPORT)
        if sweep.file and Path(sweep.file).is_file():
            self._client.log_file(run, Path(sweep.file), view.SWEEP)
        best = [view.Point(f"best/{n}", v, 0, now_ms()) for n, v in table.best_metrics.items()]
        self._client.log_points(run, best)
        note = _note(sweep.description, table.markdown())
        shown = canonical_json([{"path": view.COMPARISON, "type": "table"}])
        self._client.set_tags(self.parent, {"mlflow.note.content": note, "mlflow.loggedArtifacts": shown})
        if table.best is not None:
            self._client.set_tags(self.parent, {BEST: table.best})
        else:
            self._client.drop_tags(self.parent, [BEST])
        self._log_pareto(table.pareto)
        self._client.set_tags(self.parent, {LOGGED: digest})
        self.status(self.parent, status)
        if table.model is not None:
            self._register(table.model)

    def _register(self, model: TrainedModel) -> None:
        run, name = self.children[model.trial], registered_name(self._plan.sweep)
        self._client.log_json(run, model.as_json(self._store_url), FILE)
        self._client.register(name, run, FOLDER, model.tags, model.description(self._store_url), ALIAS)

    def _log_pareto(self, pareto: Pareto | None) -> None:
        """Log which runs are on the Pareto front of several objectives, and the costs among these."""
        if pareto is None:
            self._client.drop_tags(self.parent, [OBJECTIVES, PARETO])
        else:
            tags = {OBJECTIVES: ", ".join(pareto.objectives), PARETO: pareto.front_in_words}
            self._client.set_tags(self.parent, tags)
        for planned in self._plan.trials:
            run = self.children[planned.trial.index]
            if pareto is not None and planned.trial.index in pareto.trials:
                self._client.set_tags(run, {PARETO: "true"})
            else:
                self._client.drop_tags(run, [PARETO])
            costs = {} if pareto is None else pareto.costs.get(planned.trial.index, {})
            at, named = view.budget_step(planned.rungs[-1]), {f"{view.COST}/{name}": v for name, v in costs.items()}
            new = {name: v for name, v in named.items() if run.data.metrics.get(limits.key(name)) != v}
            self._client.log_points(run, [view.Point(name, v, at, now_ms()) for name, v in new.items()])

    # Finding and creating

    def _experiment(self, home: Home) -> str:
        name = self._plan.sweep.name
        experiment = self._client.experiment(name)
        if experiment is None:
            return self._client.create_experiment(name, home.artifacts / name)
        if experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)

    def _find_or_create_parent(self) -> Any:
        sweep = self._plan.sweep
        name = f"{sweep.name} ({sweep.profile})" if sweep.profile else sweep.name
        return find_parent(self._client, self.experiment_id, sweep) or self._create(name, parent_tags(sweep))

    def _attach_children(self) -> None:
        """Give every trial of the plan a run. Runs of earlier versions of the sweep, or with other --set, stay; a tag
        marks them, since names may repeat. None of them is RUNNING."""
        parent_id = self.parent.info.run_id
        others = dict(enumerate(self._client.search(self.experiment_id, f"tags.`mlflow.parentRunId` = '{parent_id}'")))
        with_leaf: dict[str | None, list[int]] = {}
        for number, run in others.items():
            with_leaf.setdefault(run.data.tags.get(view.LEAF), []).append(number)
        for planned in self._plan.trials:
            alike = sorted({number for rung in planned.rungs for number in with_leaf.get(rung.leaf.key, ())})
            own = next((n for n in alike if n in others and _has_params(others[n], planned)), None)
            run = None if own is None else others.pop(own)
            self.children[planned.trial.index] = run or self._create_child(planned)
            self._rename(self.children[planned.trial.index], planned)
            self._mark(self.children[planned.trial.index], CURRENT)
        for run in others.values():
            self._mark(run, SUPERSEDED)
            self._client.drop_tags(run, [PARETO])
            if run.info.status == "RUNNING":
                self.status(run, "KILLED")

    def _create_child(self, planned: PlannedTrial) -> Any:
        own = {"mlflow.parentRunId": self.parent.info.run_id, STANDING: CURRENT}
        return self._create(planned.name, {**own, **view.tags(planned)})

    def _mark(self, run: Any, standing: str) -> None:
        if run.data.tags.get(STANDING) != standing:
            self._client.set_tags(run, {STANDING: standing})

    def _rename(self, run: Any, planned: PlannedTrial) -> None:
        self._client.add_params(run, view.params(planned))
        self._client.rename(run, planned.name)

    def _create(self, name: str, tags: Mapping[str, str]) -> Any:
        file = self._plan.sweep.file
        source = {"mlflow.source.name": Path(file).name, "mlflow.source.type": "LOCAL"} if file else {}
        return self._client.create_run(self.experiment_id, name, {**source, **tags})

    def _log_sample_grid(self, run: Any, planned: PlannedTrial, rung: Rung, leaf: StoredResult) -> None:
        name = planned.workload.report.sample_grid
        if name is None or name not in leaf.file_bytes:
            return
        # MLflow gives every picture a new name, so logging it twice would show it twice.
        if not self._client.has_files(run, view.IMAGES):
            self._client.log_image(run, leaf.file(name), view.budget_step(rung))
        self._client.log_file(run, leaf.file(name))


def _has_params(run: Any, planned: PlannedTrial) -> bool:
    """Parameters are compared since MLflow cannot change them, and not every path is in a key."""
    return all(run.data.params.get(path, value) == value for path, value in view.params(planned).items())


def _note(description: str, table: str) -> str:
    """Both texts, shortening the description if they do not fit: the table gets at least half of the space."""
    room = max(limits.TAG - len(table) - 2, limits.TAG // 2)
    return f"{shorten(description, room, limits.CUT)}\n\n{table}".strip()
