"""Passes: the stages that an executor computes together.

A pass is a single stage, or the map stages of one resource group that read the same `rows`, together with the stage of
these rows if its results are stored, too. Rows that are not stored are computed once per shard, and passed to every
stage of the pass that reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from assay.workload import Stage

Pass = tuple[Stage, ...]
"""Never empty. The first stage is charged with rows that are not stored."""
Group = list[Stage]
"""A pass under construction."""


def passes(stages: Iterable[Stage]) -> list[Pass]:
    """The passes of stages that are in topological order, in an order in which they can be computed.

    Resource groups do not share passes: each group computes rows that are not stored for itself.
    """
    groups: list[Group] = []
    by_rows: dict[tuple[str, str], Group] = {}
    group_of: dict[str, Group] = {}

    def needed(group: Group) -> list[Group]:
        """The other groups that this one depends on."""
        sources = (group_of.get(source.key, group) for stage in group for source in stage.sources)
        return [other for other in sources if other is not group]

    def reaches(start: Iterable[Group], end: Group) -> bool:
        return any(group is end or reaches(needed(group), end) for group in start)

    for stage in stages:
        rows = stage.rows or stage
        group = by_rows.get((rows.key, stage.group))
        if group is not None:
            # The group would depend on itself if another source of the stage depended on a member of the group.
            sources = (source for source in stage.sources if source.key != rows.key or group is not group_of[rows.key])
            if reaches((group_of[source.key] for source in sources if source.key in group_of), group):
                group = None
        if group is None:
            group = by_rows[rows.key, stage.group] = []
            groups.append(group)
        group.append(stage)
        group_of[stage.key] = group
    order: list[Group] = []

    def visit(group: Group) -> None:
        if not any(group is visited for visited in order):
            for other in needed(group):
                visit(other)
            order.append(group)

    for group in groups:
        visit(group)
    return [tuple(group) for group in order]


def rows_of(stages: Pass) -> Stage | None:
    """The stage whose rows a pass reads; None if it is given ids."""
    return stages[-1].rows


def with_streamed(stages: Iterable[Stage]) -> list[tuple[Stage, Stage]]:
    """Pairs of a stage and a stage whose body computing it runs: itself, and the one streamed to it."""
    return [(stage, part) for stage in stages for part in (stage, *_streamed(stage))]


def as_charged(stage: Stage) -> Stage:
    """The first stage of a pass, with the operations of its rows added if these are not stored."""
    rows = _streamed(stage)
    return replace(stage, flops=sum(part.flops or 0.0 for part in (stage, *rows))) if rows else stage


def _streamed(stage: Stage) -> Sequence[Stage]:
    return [stage.rows] if stage.rows is not None and stage.rows.streamed else []
