"""Whether a scheduler that decides by intervals can: by the metric that it ranks by, and the seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from assay.sweep.draft import Draft
from assay.sweep.lines import Path
from assay.workload import Stage


def interval_problems(
    draft: Draft, graphs: Mapping[str, Sequence[Stage] | None], written: object
) -> Iterator[tuple[Path, str]]:
    """`graphs`: the stages of trials, if they are known; `written`: the sweep's `metric`, as the file has it."""
    scheduler = draft.scheduler
    if scheduler is None or not scheduler.facts.needs_intervals:
        return
    name = scheduler.name
    if len(draft.seeds) > 1:
        yield ("seeds",), f"got {len(draft.seeds)} seeds, allowed with scheduler {name}: one, since it compares trials"
    place: Path = ("metric",)
    metric = written
    if isinstance(written, dict):
        metric = next(iter(written), None)
        place = ("metric", str(metric))
    for trial, stages in graphs.items():
        if stages and metric not in (leaf := stages[-1]).replicated:
            allowed = ", ".join(leaf.replicated) or f"none; the stage {leaf.name} declares no `replicated` metrics"
            yield (
                place,
                f"scheduler {name} decides by jackknife replicates, which {metric!r} does not have in trial {trial!r}; "
                f"allowed: {allowed}",
            )
            return
