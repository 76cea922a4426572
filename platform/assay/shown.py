"""Objects that notebooks show as tables."""

from __future__ import annotations

from importlib import import_module


class Shown:
    def _repr_html_(self) -> str:
        """What a notebook shows. A module above all that it shows makes it, which is why it is named by its path."""
        return import_module("assay.report.html.shown").as_html(self)
