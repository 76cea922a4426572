"""From a sweep to its trials and the stages that they share.

Planning computes nothing and imports neither Ray nor torch: `assay plan` answers in under two seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.planning.checks import check_where_stages_run, checked
    from assay.planning.plan import (
        Plan,
        PlannedTrial,
        Rung,
        Warned,
        computed_of,
        make_plan,
        references_of,
        remembered,
        studies_of,
        with_random_suggestions,
    )

__all__ = [
    "Plan",
    "PlannedTrial",
    "Rung",
    "Warned",
    "check_where_stages_run",
    "checked",
    "computed_of",
    "make_plan",
    "references_of",
    "remembered",
    "studies_of",
    "with_random_suggestions",
]

OF_CHECKS = {"check_where_stages_run", "checked"}


def __getattr__(name: str) -> Any:
    """Import on first use: a cluster's workers know of a plan no more than which stages are one pass."""
    if name in __all__:
        return getattr(import_module(f"assay.planning.{'checks' if name in OF_CHECKS else 'plan'}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
