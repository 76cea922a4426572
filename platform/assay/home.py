"""Where assay keeps things: one folder, `.assay` where you stand, unless ASSAY_HOME says otherwise."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from assay.errors import UserError
from assay.redaction import is_unicode

KNOWN_TO_RAY = ("s3", "gs", "gcs", "hdfs", "abfs", "abfss")
"""Ray writes through pyarrow, which has fewer filesystems than fsspec."""


@dataclass(frozen=True)
class Home:
    root: Path

    @classmethod
    def default(cls) -> Home:
        """Raises UserError for an ASSAY_HOME that names no folder, and FileNotFoundError where one stands in none."""
        Path.cwd()  # where that is gone, libraries that bodies import end the process without a word
        named = _variable("ASSAY_HOME") or ".assay"
        if not is_unicode(named):
            raise UserError(f"ASSAY_HOME: got {named!a}, allowed: the name of a folder in UTF-8")
        try:
            return cls(Path(named).expanduser().absolute())
        except RuntimeError:
            raise UserError(f"ASSAY_HOME: got {named!r}, but there is no such home; allowed: a whole path") from None

    @property
    def store_url(self) -> str:
        """Results, checkpoints and shards. ASSAY_STORE may name any folder or URL that all workers reach.

        A whole path or a URL, as all workers understand it. Raises StoreError where it can be neither.
        """
        from assay.store.url import resolve  # here: all of fsspec

        return resolve(_variable("ASSAY_STORE") or str(self.root / "store"))

    @property
    def scratch_url(self) -> str:
        """What Ray Tune and Ray Train write about themselves; nothing of it is read again.

        Beside the results, where those were told to go elsewhere: all workers must reach it, too.
        """
        scheme, is_url, _ = self.store_url.partition("://")
        is_elsewhere = _variable("ASSAY_STORE") and (not is_url or scheme in KNOWN_TO_RAY)
        return f"{self.store_url}/ray" if is_elsewhere else str(self.root / "ray")

    @property
    def tracking_uri(self) -> str:
        """MLflow's database, or the server MLFLOW_TRACKING_URI names."""
        return _variable("MLFLOW_TRACKING_URI") or _sqlite_uri(self.root / "mlflow.db")

    @property
    def artifacts(self) -> Path:
        return self.root / "mlflow-artifacts"

    def report(self, sweep: str, profile: str | None = None) -> Path:
        """Tables and pictures of a sweep, for people. A profile has its own: a trial at toy scale must not replace the
        study.

        No sweep's name has an @ in it, so no two have one folder; and none is outside, whatever a profile is called.
        """
        return self.root / "reports" / (sweep if profile is None else f"{sweep}@{quote(profile, safe='')}")

    def ray_log(self, sweep: str, profile: str | None = None) -> Path:
        """What Ray said in the driver of the sweep's last run; absent where it said nothing."""
        return self.report(sweep, profile) / "ray.log"


def ensure_user_home() -> None:
    """Libraries look for their settings in the user's home as they are imported, and raise where there is none: HOME is
    unset, and the user's id has no name. Assay's own folder stands in."""
    if os.path.expanduser("~") == "~":  # noqa: PTH111  # Path raises without a home
        os.environ["HOME"] = str(Home.default().root)


def _variable(name: str) -> str | None:
    """What the shell says; a variable that is set to nothing says nothing."""
    return os.environ.get(name) or None


def _sqlite_uri(file: Path) -> str:
    """A path with what means something else in a URL is quoted; its slashes too, or MLflow makes a folder that is
    called as the quoted path is."""
    path = str(file)
    return f"sqlite:///{quote(path, safe='') if set('%?#') & set(path) else path}"
