"""Where assay keeps its files: the folder that ASSAY_HOME names, by default `.assay` in the current folder."""

from __future__ import annotations

import getpass
import math
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from assay.errors import UserError
from assay.redaction import is_unicode

KNOWN_TO_RAY = ("s3", "gs", "gcs", "hdfs", "abfs", "abfss")
"""URL schemes that Ray can write to: it uses pyarrow, which has fewer filesystems than fsspec."""

LIVE = "ASSAY_LIVE_SECONDS"
SYSTEM = "ASSAY_SYSTEM_SECONDS"
JOB = "ASSAY_JOB"


@dataclass(frozen=True)
class Home:
    root: Path

    @classmethod
    def default(cls) -> Home:
        """Raises UserError for an invalid ASSAY_HOME, and FileNotFoundError if the current folder was deleted."""
        Path.cwd()  # if it was deleted, libraries that bodies import end the process without a message
        named = _variable("ASSAY_HOME") or ".assay"
        if not is_unicode(named):
            raise UserError(f"ASSAY_HOME: got {named!a}, allowed: the name of a folder in UTF-8")
        try:
            return cls(Path(named).expanduser().absolute())
        except RuntimeError:
            raise UserError(f"ASSAY_HOME: got {named!r}, but there is no such home; allowed: a whole path") from None

    @property
    def store_url(self) -> str:
        """Where results, checkpoints and shards are, as an absolute path or a URL.

        ASSAY_STORE may name any folder or URL that all workers reach. Raises StoreError if it is neither.
        """
        from assay.store.url import resolve  # here: all of fsspec

        return resolve(_variable("ASSAY_STORE") or str(self.root / "store"))

    @property
    def scratch_url(self) -> str:
        """Where Ray Tune and Ray Train write their own state, which is never read again.

        With ASSAY_STORE, a folder of the store, since all workers must reach it.
        """
        scheme, is_url, _ = self.store_url.partition("://")
        is_elsewhere = _variable("ASSAY_STORE") and (not is_url or scheme in KNOWN_TO_RAY)
        return f"{self.store_url}/ray" if is_elsewhere else str(self.root / "ray")

    @property
    def tracking_uri(self) -> str:
        """MLflow's database, or the server that MLFLOW_TRACKING_URI names."""
        return _variable("MLFLOW_TRACKING_URI") or _sqlite_uri(self.root / "mlflow.db")

    @property
    def live_interval_s(self) -> float:
        """Seconds between points of the curves of running stages in MLflow; 0 for no such curves.

        Raises UserError for an invalid ASSAY_LIVE_SECONDS.
        """
        return _seconds(LIVE, "0 shows no live curves")

    @staticmethod
    def system_interval_s() -> float:
        """Seconds between measurements of what each worker uses; 0 for none.

        Raises UserError for an invalid ASSAY_SYSTEM_SECONDS.
        """
        return _seconds(SYSTEM, "0 measures nothing")

    @property
    def job(self) -> str | None:
        """The id of the Ray job that this process runs in; None outside jobs. `assay submit` sets it."""
        return _variable(JOB)

    @property
    def settings(self) -> Path:
        """The file that `assay.settings` reads; it need not exist."""
        return self.root / "settings.yaml"

    @property
    def artifacts(self) -> Path:
        return self.root / "mlflow-artifacts"

    def report(self, sweep: str, profile: str | None = None) -> Path:
        """The folder of a sweep's tables and pictures. A profile has its own, so that a smoke run does not replace the
        study's.

        No sweep's name contains an @, so folders are distinct; quoting keeps them below `reports`.
        """
        return self.root / "reports" / (sweep if profile is None else f"{sweep}@{quote(profile, safe='')}")

    def ray_log(self, sweep: str, profile: str | None = None) -> Path:
        """Ray's log in the driver of the sweep's last run; absent if it was empty."""
        return self.report(sweep, profile) / "ray.log"


def ensure_user_home() -> None:
    """Set HOME to assay's folder if the user has no home: libraries that look for settings there would not import."""
    if os.path.expanduser("~") == "~":  # noqa: PTH111  # Path raises without a home
        os.environ["HOME"] = str(Home.default().root)


def user_name() -> str:
    """The user's name, or number if it has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _seconds(name: str, zero: str) -> float:
    """An interval from the environment, by default 10 seconds."""
    value = _variable(name) or "10"
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UserError(f"{name}: got {value!r}, allowed: a number of seconds; {zero}")
    return seconds


def _variable(name: str) -> str | None:
    """The environment variable; None if it is unset or empty."""
    return os.environ.get(name) or None


def _sqlite_uri(file: Path) -> str:
    """The path is quoted if it contains a character with a meaning in URLs; its slashes, too, or else MLflow creates a
    folder named like the quoted path."""
    path = str(file)
    return f"sqlite:///{quote(path, safe='') if set('%?#') & set(path) else path}"
