"""The one place that talks to MLflow: an experiment, its parent run, a child run a trial.

Runs are found again by their tags, so every command for the same sweep writes to the same runs, and what is logged
twice is one thing.
"""

from __future__ import annotations

import getpass
import io
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML

from assay.home import Home
from assay.planning import Plan, PlannedTrial, Rung
from assay.store import StoredResult
from assay.text import printable
from assay.tracking import arms_view, view
from assay.tracking.arms_view import CURRENT, STANDING, SUPERSEDED
from assay.tracking.comparison import Comparison
from assay.tracking.logged import LOGGED, one_at_a_time, quiet_environment, sqlite_file
from assay.tracking.parent import REPORT, find_parent, parent_tags
from assay.workload import JSON, canonical_json

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
BEST = "assay.best"
BATCH = 1000
"""What one request of MLflow's API takes, in metrics."""


class Runs:
    """The runs of one sweep. Everything here may raise whatever MLflow raises."""

    def __init__(self, home: Home, plan: Plan) -> None:
        quiet_environment()
        from mlflow.tracking import MlflowClient

        self._plan = plan
        self.children: dict[int, Any] = {}
        """Trial index → its run, as found or created."""
        self._reopened: set[str] = set()
        with one_at_a_time(sqlite_file(home.tracking_uri)):
            self._client: Any = MlflowClient(tracking_uri=home.tracking_uri)
            self.experiment_id = self._experiment(home)
            self.parent = self._find_or_create_parent()
            for name, value in arms_view.experiment_tags(plan, self.parent.info.run_id).items():
                self._client.set_experiment_tag(self.experiment_id, name, printable(value))
            self._attach_children()

    def status(self, run: Any, status: Status) -> None:
        if status == "RUNNING":
            self._client.update_run(run.info.run_id, status=status)
            self._reopened.add(run.info.run_id)
        else:
            self._client.set_terminated(run.info.run_id, status)  # with the time it ended
            self._reopened.discard(run.info.run_id)

    def is_logged(self, run: Any, digest: str) -> bool:
        is_closed = run.info.status == "FINISHED" and run.info.run_id not in self._reopened
        return run.data.tags.get(LOGGED) == digest and is_closed

    def log_curve(self, run: Any, result: StoredResult) -> None:
        self._log_points(run, view.curve_points(result))

    def log_metrics(self, run: Any, planned: PlannedTrial, results: Mapping[str, StoredResult]) -> None:
        self._log_points(run, view.final_points(planned, results))

    def log_trial(self, trial: view.TrialOutcomeLike, digest: str) -> None:
        """Everything a finished trial shows. The digest goes last: what was cut off is logged again."""
        planned = trial.planned
        run = self._without_higher_rungs(trial)
        run_id = run.info.run_id
        for result in trial.results.values():
            self.log_curve(run, result)
        self.log_metrics(run, planned, trial.results)
        reached = planned.reached(trial.results)
        if reached is not None:
            self._log_sample_grid(run_id, *reached)
        self._client.log_text(run_id, _as_yaml(planned.trial.config), "config.yaml")
        came_from = view.came_from(trial)
        if trial.computed or not came_from.keys() & run.data.tags.keys():  # showing it again computes nothing
            self._set_tags(run, came_from)
        self._set_tags(run, {**view.tags(planned), **view.notes(trial.results)})
        self._drop_tags(run, ["assay.error", "mlflow.note.content"])
        self._set_tags(run, {LOGGED: digest})
        self.status(run, "FINISHED")

    def _without_higher_rungs(self, trial: view.TrialOutcomeLike) -> Any:
        """Its run; a new one where that climbed on before this study came to end it: MLflow forgets no point."""
        planned = trial.planned
        run, reached = self.children[planned.trial.index], planned.reached(trial.results)
        if reached is None or reached[0] is planned.rungs[-1]:
            return run
        history = self._client.get_metric_history(run.info.run_id, self._plan.sweep.metric)
        if all(point.step <= view.budget_step(reached[0]) for point in history):
            return run
        self._client.delete_run(run.info.run_id)
        fresh = self._create_child(planned)
        self.children[planned.trial.index] = fresh
        self._rename(fresh, planned)
        return fresh

    def log_failure(self, run: Any, stage: str, cause: str) -> None:
        last_line = cause.strip().splitlines()[-1] if cause.strip() else "unknown"
        fence = "`" * (3 + max(map(len, re.findall("`+", cause)), default=0))  # longer than any in the text
        note = f"Stage `{stage}` failed:\n\n{fence}\n{cause[-view.MAX_TEXT :]}\n{fence}"
        self._set_tags(run, {"assay.error": f"{stage}: {last_line}", "mlflow.note.content": note})
        self.status(run, "FAILED")

    def log_sweep(self, table: Comparison, pictures: Sequence[Path], digest: str, status: Status) -> None:
        """The comparison, the best arm, the sweep file and the report's pictures, on the parent."""
        sweep, run_id = self._plan.sweep, self.parent.info.run_id
        self._client.log_dict(run_id, table.split(), "comparison.json")
        for picture in pictures:
            self._client.log_artifact(run_id, str(picture), REPORT)
        if sweep.file and Path(sweep.file).is_file():
            self._client.log_artifact(run_id, sweep.file, "sweep")
        now = int(time.time() * 1000)
        self._log_points(self.parent, [view.Point(f"best/{n}", v, 0, now) for n, v in table.best_metrics.items()])
        note = f"{sweep.description}\n\n{table.markdown()}".strip()
        shown = canonical_json([{"path": "comparison.json", "type": "table"}])
        self._set_tags(self.parent, {"mlflow.note.content": note, "mlflow.loggedArtifacts": shown})
        if table.best is not None:
            self._set_tags(self.parent, {BEST: table.best})
        else:
            self._drop_tags(self.parent, [BEST])
        self._set_tags(self.parent, {LOGGED: digest})
        self.status(self.parent, status)

    # Finding and creating

    def _experiment(self, home: Home) -> str:
        name = self._plan.sweep.name
        found = self._client.get_experiment_by_name(name)
        if found is None:
            local = sqlite_file(home.tracking_uri) is not None
            where = (home.artifacts / name).absolute().as_uri() if local else None
            return str(self._client.create_experiment(name, artifact_location=where))
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _find_or_create_parent(self) -> Any:
        sweep = self._plan.sweep
        name = f"{sweep.name} ({sweep.profile})" if sweep.profile else sweep.name
        return find_parent(self._client, self.experiment_id, sweep) or self._create(name, parent_tags(sweep))

    def _attach_children(self) -> None:
        """A run for every trial of the plan. Runs of others, of this sweep as it was or with other --set, stay, and are
        told apart by a tag: they may be called the same. None of them is RUNNING."""
        parent_id = self.parent.info.run_id
        left = list(self._search(f"tags.`mlflow.parentRunId` = '{parent_id}'"))
        for planned in self._plan.trials:
            run = next((run for run in left if _is_of(run, planned)), None)
            if run is not None:
                left.remove(run)
            self.children[planned.trial.index] = run or self._create_child(planned)
            self._rename(self.children[planned.trial.index], planned)
            self._mark(self.children[planned.trial.index], CURRENT)
        for run in left:
            self._mark(run, SUPERSEDED)
            if run.info.status == "RUNNING":
                self.status(run, "KILLED")

    def _create_child(self, planned: PlannedTrial) -> Any:
        own = {"mlflow.parentRunId": self.parent.info.run_id, STANDING: CURRENT}
        return self._create(planned.name, {**own, **view.tags(planned)})

    def _mark(self, run: Any, standing: str) -> None:
        if run.data.tags.get(STANDING) != standing:
            self._set_tags(run, {STANDING: standing})

    def _rename(self, run: Any, planned: PlannedTrial) -> None:
        from mlflow.entities import Param

        missing = {path: value for path, value in view.params(planned).items() if path not in run.data.params}
        if missing:
            named = [Param(path, value) for path, value in missing.items()]
            self._client.log_batch(run.info.run_id, params=named)
        if run.info.run_name != planned.name:
            self._client.update_run(run.info.run_id, name=planned.name)

    def _create(self, name: str, tags: Mapping[str, str]) -> Any:
        file = self._plan.sweep.file
        source = {"mlflow.source.name": Path(file).name, "mlflow.source.type": "LOCAL"} if file else {}
        named = {"mlflow.user": getpass.getuser(), **source, **tags}
        return self._client.create_run(self.experiment_id, tags=named, run_name=name)

    def _search(self, query: str) -> Iterator[Any]:
        token: str | None = None
        while token != "":
            page = self._client.search_runs(
                [self.experiment_id], query, max_results=1000, order_by=["attributes.start_time"], page_token=token
            )
            yield from page
            token = page.token or ""

    # Logging

    def _log_points(self, run: Any, points: Iterable[view.Point]) -> None:
        from mlflow.entities import Metric

        metrics = (Metric(p.name, p.value, p.timestamp_ms, p.step) for p in points)
        while chunk := list(islice(metrics, BATCH)):
            self._client.log_batch(run.info.run_id, metrics=chunk)

    def _log_sample_grid(self, run_id: str, rung: Rung, leaf: StoredResult) -> None:
        name = self._plan.workload.report.sample_grid
        if name is None or name not in leaf.files:
            return
        from PIL import Image

        # log_image gives every picture a new name: twice would show twice.
        if not self._client.list_artifacts(run_id, "images"):
            with Image.open(leaf.file(name)) as image:
                self._client.log_image(run_id, image, key=Path(name).stem, step=view.budget_step(rung))
        self._client.log_artifact(run_id, str(leaf.file(name)))

    def _set_tags(self, run: Any, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(
            run.info.run_id, tags=[RunTag(name, printable(value)[: view.MAX_TEXT]) for name, value in tags.items()]
        )

    def _drop_tags(self, run: Any, names: Sequence[str]) -> None:
        for name in names:
            if name in run.data.tags:
                self._client.delete_tag(run.info.run_id, name)


def _is_of(run: Any, planned: PlannedTrial) -> bool:
    """The same leaf at some rung; and the same parameters, which MLflow never changes (not every path is in a key)."""
    if run.data.tags.get("assay.key") not in {rung.leaf.key for rung in planned.rungs}:
        return False
    return all(run.data.params.get(path, value) == value for path, value in view.params(planned).items())


def _as_yaml(config: Mapping[str, JSON]) -> str:
    yaml = YAML()
    yaml.default_flow_style = False
    stream = io.StringIO()
    yaml.dump(dict(config), stream)
    return stream.getvalue()
