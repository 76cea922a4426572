"""The checks of some stages by themselves, without a sweep around them."""

from __future__ import annotations

from collections.abc import Iterable

from assay.errors import UserError
from assay.planning.checks import checks_of, findings
from assay.workload import Stage


def refuse(stages: Iterable[Stage]) -> list[str]:
    """What the stages' checks warn of. Raises UserError with everything that they refuse, as a run would."""
    said = findings(checks_of(stages))
    refused = [f"{finding.stage}: {finding.message}" for finding in said if finding.kind != "warning"]
    if refused:
        raise UserError("\n".join(refused))
    return [finding.message for finding in said]
