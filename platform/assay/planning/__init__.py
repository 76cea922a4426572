"""From a sweep to its trials and the stages that they share.

Planning computes nothing and imports neither Ray nor torch: `assay plan` answers in under two seconds.
"""

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
]
