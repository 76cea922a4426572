"""Passes: the stages that an executor computes together.

A pass is one stage; or the map stages that read the same `rows`, and the stage with these rows if it is stored, too.
Rows that are not stored are computed once per shard, and passed to every stage of the pass that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from assay.workload import Stage

Pass = tuple[Stage, ...]
"""Never empty. The first stage is charged with rows that are not stored."""


def passes(stages: Iterable[Stage]) -> list[Pass]:
    """Passes of stages that are given in the order of `topological`, in the order in which they can be computed."""
    groups: list[list[Stage]] = []
    by_rows: dict[str, list[Stage]] = {}
    group_of: dict[str, list[Stage]] = {}
    for stage in stages:
        rows = stage.rows or stage
        group = by_rows.get(rows.key)
        if group is None or any(_needs(stage, other.key, besides=rows.key) for other in group):
            group = by_rows[rows.key] = []
            groups.append(group)
        group.append(stage)
        group_of[stage.key] = group
    order: list[Pass] = []
    visited: set[int] = set()

    def visit(group: list[Stage]) -> None:
        if id(group) not in visited:
            visited.add(id(group))
            for stage in group:
                for source in stage.sources:
                    visit(group_of.get(source.key, group))
            order.append(tuple(group))

    for group in groups:
        visit(group)
    return order


def _needs(stage: Stage, key: str, besides: str) -> bool:
    """Whether a stage needs the one with `key`, except by way of its own rows, which have the key `besides`."""
    return any(source.key == key or _needs(source, key, "") for source in stage.sources if source.key != besides)


def rows_of(together: Pass) -> Stage | None:
    """The stage whose rows a pass reads; None for a stage that is given ids."""
    return together[-1].rows


def with_streamed(stages: Iterable[Stage]) -> list[tuple[Stage, Stage]]:
    """Pairs of a stage and a stage whose bodies it takes to compute it: itself, and the one streamed to it."""
    return [(stage, part) for stage in stages for part in (stage, *_streamed(stage))]


def as_charged(stage: Stage) -> Stage:
    """The first stage of a pass whose rows are not stored: its operations include theirs."""
    rows = _streamed(stage)
    return replace(stage, flops=sum(part.flops or 0.0 for part in (stage, *rows))) if rows else stage


def _streamed(stage: Stage) -> Sequence[Stage]:
    return [stage.rows] if stage.rows is not None and stage.rows.streamed else []
