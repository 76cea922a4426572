"""From a sweep to a graph: its trials, the stages they share, what is stored already, and what the rest would cost.

Nothing here computes, and nothing here imports Ray or torch: `assay plan` answers in under two seconds.
"""

from assay.planning.groups import refuse_impossible_groups
from assay.planning.plan import Plan, PlannedTrial, Rung, computed_of, make_plan, remembered
from assay.planning.survey import StageStatus, State, survey

__all__ = [
    "Plan",
    "PlannedTrial",
    "Rung",
    "StageStatus",
    "State",
    "computed_of",
    "make_plan",
    "refuse_impossible_groups",
    "remembered",
    "survey",
]
