"""From a sweep to a graph: its trials, the stages they share, what is stored already, and what the rest would cost.

Nothing here computes, and nothing here imports Ray or torch: `assay plan` answers in under two seconds.
"""

from assay.planning.checks import check_where_stages_run, checked
from assay.planning.plan import Plan, PlannedTrial, Rung, Warned, computed_of, make_plan, remembered
from assay.planning.survey import StageStatus, State, survey

__all__ = [
    "Plan",
    "PlannedTrial",
    "Rung",
    "StageStatus",
    "State",
    "Warned",
    "check_where_stages_run",
    "checked",
    "computed_of",
    "make_plan",
    "remembered",
    "survey",
]
