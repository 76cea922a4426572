"""MLflow's client as we use it: all calls to MLflow go through here, and keep within its limits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from assay.home import Home, user_name
from assay.text import first_line
from assay.tracking import limits
from assay.tracking.database import bring_home, one_at_a_time, refuse_unusable, sqlite_file
from assay.tracking.logged import quiet_environment
from assay.tracking.patience import Patience
from assay.tracking.registry import NoRegistry
from assay.tracking.view import Point
from assay.workload import JSON

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
ONE_IMPORT = threading.Lock()
"""MLflow's modules import each other in circles: a second thread that imports them meanwhile finds them half made. The
first may be that of a run that was given up, and still be at it."""
DATABASE_PATIENCE_S = 300.0
"""For a local file: creating it takes two seconds, more on a busy machine. A locked one is noticed sooner."""


def mlflow_client(uri: str) -> Any:
    """MLflow's own client, imported when no other thread of ours is at it."""
    with ONE_IMPORT:
        from mlflow.tracking import MlflowClient
    return MlflowClient(tracking_uri=uri)


class Client:
    """Raises whatever MLflow raises. Reports each answer to `patience`."""

    def __init__(self, home: Home, patience: Patience) -> None:
        quiet_environment()
        with ONE_IMPORT:
            from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_TIMEOUT

        self._patience = patience
        self._database = sqlite_file(home.tracking_uri)
        patience.begin(MLFLOW_HTTP_REQUEST_TIMEOUT.get() if self._database is None else DATABASE_PATIENCE_S)
        with self.alone():
            self.refuse_unusable()
            bring_home(home)
            self._mlflow: Any = self._ask(mlflow_client, home.tracking_uri)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While inside, no other command finds or creates runs in a local database."""
        with one_at_a_time(self._database):
            yield

    def refuse_unusable(self) -> None:
        """Raise at once for a locked or damaged local file: MLflow would notice slowly, and with a long message."""
        if self._database is not None:
            refuse_unusable(self._database)

    def _ask(self, call: Any, *args: Any, **named: Any) -> Any:
        answer = call(*args, **named)
        self._patience.answered()
        return answer

    # Experiments

    def experiment(self, name: str) -> Any | None:
        return self._ask(self._mlflow.get_experiment_by_name, name)

    def experiments(self) -> Iterator[Any]:
        """Those that are not deleted."""
        token: str | None = None
        while token != "":
            page = self._ask(self._mlflow.search_experiments, max_results=1000, page_token=token)
            yield from page
            token = page.token or ""

    def delete_if_empty(self, experiment_id: str) -> None:
        """Delete an experiment without runs. The next run of its sweep restores it."""
        if next(self.search(experiment_id, ""), None) is None:
            self._ask(self._mlflow.delete_experiment, experiment_id)

    def create_experiment(self, name: str, artifacts: Path) -> str:
        """`artifacts` is the folder for a local database; a server chooses its own."""
        where = None if self._database is None else artifacts.absolute().as_uri()
        return str(self._ask(self._mlflow.create_experiment, name, artifact_location=where))

    def restore_experiment(self, experiment_id: str) -> None:
        self._ask(self._mlflow.restore_experiment, experiment_id)

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            fitting = limits.text(value, limits.EXPERIMENT_TAG)
            self._ask(self._mlflow.set_experiment_tag, experiment_id, limits.key(name), fitting)

    # Runs

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> Any:
        fitting = _tags({"mlflow.user": user_name(), **tags})
        called = limits.run_name(name)
        return self._ask(self._mlflow.create_run, experiment_id, tags=fitting, run_name=called)

    def rename(self, run: Any, name: str) -> None:
        called = limits.run_name(name)
        if run.info.run_name != called:
            self._ask(self._mlflow.update_run, run.info.run_id, name=called)

    def set_status(self, run: Any, status: Status) -> None:
        if status == "RUNNING":
            self._ask(self._mlflow.update_run, run.info.run_id, status=status)
        else:
            self._ask(self._mlflow.set_terminated, run.info.run_id, status)  # sets the end time too

    def delete_run(self, run: Any) -> None:
        self._ask(self._mlflow.delete_run, run.info.run_id)

    def search(self, experiment_id: str, query: str) -> Iterator[Any]:
        """Runs, oldest first."""
        oldest = ["attributes.start_time"]
        token: str | None = None
        while token != "":
            page = self._ask(
                self._mlflow.search_runs, [experiment_id], query, max_results=1000, order_by=oldest, page_token=token
            )
            yield from page
            token = page.token or ""

    def steps(self, run: Any, metric: str) -> list[int]:
        history = self._ask(self._mlflow.get_metric_history, run.info.run_id, limits.key(metric))
        return [point.step for point in history]

    def log_points(self, run: Any, points: Iterable[Point]) -> None:
        from mlflow.entities import Metric

        metrics = (Metric(limits.key(p.name), p.value, p.timestamp_ms, limits.step(p.step)) for p in points)
        for batch in limits.batches(metrics, limits.METRICS_A_REQUEST, dict):
            self._ask(self._mlflow.log_batch, run.info.run_id, metrics=batch)

    def set_tags(self, run: Any, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        named = [RunTag(name, value) for name, value in _tags(tags).items()]
        for batch in limits.batches(named, limits.NAMED_A_REQUEST, dict):
            self._ask(self._mlflow.log_batch, run.info.run_id, tags=batch)

    def drop_tags(self, run: Any, names: Iterable[str]) -> None:
        for name in names:
            if name in run.data.tags:
                self._ask(self._mlflow.delete_tag, run.info.run_id, name)

    def add_params(self, run: Any, params: Mapping[str, str]) -> None:
        """Add the parameters that the run lacks: MLflow refuses to change one."""
        from mlflow.entities import Param

        missing = [Param(name, value) for name, value in params.items() if name not in run.data.params]
        for batch in limits.batches(missing, limits.NAMED_A_REQUEST, dict):
            self._ask(self._mlflow.log_batch, run.info.run_id, params=batch)

    # Models

    def register(self, name: str, run: Any, folder: str, tags: Mapping[str, str], note: str, alias: str) -> None:
        """Register a folder of a run's artifacts as a version of a model, unless it is one, and give it the alias.

        Raises NoRegistry if MLflow refuses, as a server without a registry does.
        """
        from mlflow.exceptions import MlflowException

        run_id, wanted = run.info.run_id, f"name = '{name}'"
        try:
            if not self._ask(self._mlflow.search_registered_models, wanted):
                self._ask(self._mlflow.create_registered_model, name)
            versions = self._ask(self._mlflow.search_model_versions, wanted)
            ours = next((v for v in versions if v.run_id == run_id and v.tags.items() >= tags.items()), None)
            if ours is None:
                source = f"runs:/{run_id}/{folder}"
                ours = self._ask(
                    self._mlflow.create_model_version, name, source, run_id, tags=dict(tags), description=note
                )
            self._ask(self._mlflow.set_registered_model_alias, name, alias, ours.version)
        except MlflowException as error:
            raise NoRegistry(first_line(error)) from error

    def versions(self) -> Iterator[Any]:
        """All versions of all registered models."""
        token: str | None = None
        while token != "":
            page = self._ask(self._mlflow.search_model_versions, max_results=1000, page_token=token)
            yield from page
            token = page.token or ""

    def delete_version(self, name: str, version: str) -> None:
        """Delete a version with its aliases, and the registered model if it has no other."""
        self._ask(self._mlflow.delete_model_version, name, version)
        if not self._ask(self._mlflow.search_model_versions, f"name = '{name}'"):
            self._ask(self._mlflow.delete_registered_model, name)

    # Files

    def log_file(self, run: Any, file: Path, folder: str | None = None) -> None:
        self._ask(self._mlflow.log_artifact, run.info.run_id, str(file), folder)

    def log_text(self, run: Any, text: str, name: str) -> None:
        self._ask(self._mlflow.log_text, run.info.run_id, text.encode(errors="replace").decode(), name)

    def log_json(self, run: Any, value: JSON, name: str) -> None:
        self.log_text(run, json.dumps(value, indent=2), name)

    def log_image(self, run: Any, file: Path, step: int) -> None:
        from PIL import Image

        with Image.open(file) as image:
            key = limits.image_key(file.stem)
            self._ask(self._mlflow.log_image, run.info.run_id, image, key=key, step=limits.step(step))

    def has_files(self, run: Any, folder: str) -> bool:
        return bool(self._ask(self._mlflow.list_artifacts, run.info.run_id, folder))


def now_ms() -> int:
    return int(time.time() * 1000)


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {limits.key(name): limits.text(value, limits.TAG) for name, value in tags.items()}
