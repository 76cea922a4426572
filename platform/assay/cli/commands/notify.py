"""`assay notify`: send a test alert to whom runs tell, and say whether it arrived."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from assay.alerts.alert import trial_message
from assay.alerts.delivery import deliver
from assay.cli.exits import EXIT_COULD_NOT
from assay.cli.names import open_sweep
from assay.errors import UserError
from assay.home import Home
from assay.redaction import printable
from assay.settings import Settings, receivers
from assay.text import relative


def send_test(name: str | None, profile: str | None, sets: Sequence[str]) -> int:
    """To the receivers of a sweep, or of the home's settings; returns the exit code."""
    home = Home.default()
    sweep = None if name is None else open_sweep(name, profile, sets)
    named = Settings.of(home).notify if sweep is None else receivers(sweep, home)
    if not named:
        places = [*([] if sweep is None else [sweep.file]), relative(home.settings)]
        raise UserError(f"notify: got nobody in {' or '.join(places)}, allowed: a list of webhooks and commands")
    code = 0
    for i, receiver in enumerate(named):
        why = deliver(receiver, trial_message(sweep))
        line = f"notify[{i}], {receiver}: {'delivered' if why is None else f'not delivered: {why}'}"
        print(printable(line, is_line=True), file=sys.stdout if why is None else sys.stderr)
        code = code if why is None else EXIT_COULD_NOT
    return code
