"""The home's settings: `settings.yaml` in the home, for what all runs on this machine have in common.

A job on a cluster reads those of the cluster's home.
"""

from __future__ import annotations

from pydantic import ValidationError

from assay.errors import SpecError
from assay.home import Home
from assay.sweep import Sweep
from assay.sweep.fields import Section
from assay.sweep.lines import parse, read_text
from assay.sweep.notify import Notify
from assay.text import relative
from assay.workload.typed import located_messages


class Settings(Section):
    notify: Notify = ()
    """Whom runs tell, unless their sweep says so itself."""

    @classmethod
    def of(cls, home: Home) -> Settings:
        """The defaults if there is no file. Raises SpecError with every problem in it."""
        path = home.settings
        if not path.exists():
            return cls()
        file = relative(path)
        document = parse(read_text(path, file), file)
        if document.problems:
            raise SpecError(document.problems)
        data = {} if document.data is None else document.data
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise SpecError(document.problem(at, words) for at, words, _ in located_messages(error, cls)) from None


def receivers(sweep: Sweep, home: Home) -> Notify:
    """Whom a run of the sweep tells. Raises SpecError if the home's settings are wrong."""
    return Settings.of(home).notify if sweep.notify is None else sweep.notify
