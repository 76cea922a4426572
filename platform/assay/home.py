"""Where assay keeps things: one folder, `.assay` where you stand, unless ASSAY_HOME says otherwise."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    root: Path

    @classmethod
    def default(cls) -> Home:
        return cls(Path(os.environ.get("ASSAY_HOME", ".assay")).absolute())

    @property
    def store_url(self) -> str:
        """Results, checkpoints and shards. ASSAY_STORE may name any folder or URL that all workers reach."""
        return os.environ.get("ASSAY_STORE", str(self.root / "store"))

    @property
    def scratch_url(self) -> str:
        """What Ray Tune and Ray Train write about themselves; nothing of it is read again.

        Beside the results, where those were told to go elsewhere: all workers must reach it, too.
        """
        return f"{self.store_url}/ray" if "ASSAY_STORE" in os.environ else str(self.root / "ray")

    @property
    def tracking_uri(self) -> str:
        """MLflow's database, or the server MLFLOW_TRACKING_URI names."""
        return os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{self.root / 'mlflow.db'}")

    @property
    def artifacts(self) -> Path:
        return self.root / "mlflow-artifacts"

    def report(self, sweep: str) -> Path:
        """Tables and pictures of a sweep, for people."""
        return self.root / "reports" / sweep
