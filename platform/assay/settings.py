"""The home's settings: `settings.yaml` in the home, for what all runs on this machine have in common.

A job on a cluster reads those of the cluster's home.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from assay.costs.rates import Market, Price, Rates
from assay.errors import SpecError
from assay.home import Home
from assay.sweep import Sweep
from assay.sweep.fields import Section
from assay.sweep.lines import Document, parse, read_text
from assay.sweep.notify import Notify
from assay.text import relative
from assay.workload.typed import located_messages

S = TypeVar("S", bound=Section)


class PriceList(Section):
    """A file with prices."""

    prices: tuple[Price, ...]


class Settings(Section):
    notify: Notify = ()
    """Whom runs tell, unless their sweep says so itself."""
    prices: tuple[Price, ...] = ()
    """What devices cost by the hour: a list, or in the file the path of another file with such a list. The first that
    fits a device counts."""
    market: Market = "on_demand"
    """Which of a device's prices counts."""

    @classmethod
    def of(cls, home: Home) -> Settings:
        """The defaults if there is no file. Raises SpecError with every problem in it."""
        path = home.settings
        if not path.exists():
            return cls()
        document = _parsed(path)
        data = {} if document.data is None else document.data
        if isinstance(data, Mapping) and isinstance(named := data.get("prices"), str):
            listed = path.parent / Path(named).expanduser()
            if not listed.is_file():
                message = f"got {named!r}, no such file; allowed: a list of prices, or the path of a file with one, "
                raise SpecError([document.problem(("prices",), f"{message}relative to {relative(path.parent)}")])
            data = {**data, "prices": _read(PriceList, _parsed(listed)).prices}
        return _read(cls, document, data)


def receivers(sweep: Sweep, home: Home) -> Notify:
    """Whom a run of the sweep tells. Raises SpecError if the home's settings are wrong."""
    return Settings.of(home).notify if sweep.notify is None else sweep.notify


def rates_of(home: Home) -> Rates:
    """What devices cost. Raises SpecError if the home's settings are wrong."""
    settings = Settings.of(home)
    return Rates(settings.prices, settings.market)


def _parsed(path: Path) -> Document:
    file = relative(path)
    document = parse(read_text(path, file), file)
    if document.problems:
        raise SpecError(document.problems)
    return document


def _read(kind: type[S], document: Document, data: Any = None) -> S:
    try:
        return kind.model_validate(document.data if data is None else data)
    except ValidationError as error:
        raise SpecError(document.problem(at, words) for at, words, _ in located_messages(error, kind)) from None
