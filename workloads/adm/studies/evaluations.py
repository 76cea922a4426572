"""Quality against the number of evaluations of the network (NFE), which is known without counting."""

from __future__ import annotations

from collections.abc import Mapping

from adm.studies.figures import passed_on
from assay.workload import StageContext


def evaluations(ctx: StageContext) -> Mapping[str, float]:
    """The metrics of the evaluation that the stage follows, and the evaluations per image that its config has."""
    return {**passed_on(ctx), "num_evaluations": float(ctx.config["num_evaluations"])}
