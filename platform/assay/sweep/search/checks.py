"""Check arms, parameters and searcher together: conflicting combinations, conditions that never hold."""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import islice

from assay.errors import did_you_mean
from assay.sweep.design import Design
from assay.sweep.draft import Draft, lacks_num
from assay.sweep.expansion import in_words
from assay.sweep.lines import Document, Path
from assay.sweep.search import ARM, same
from assay.sweep.search.searchers import names_that_draw
from assay.workload import JSON
from assay.workload.typed import got

Problems = Iterator[tuple[Path, str]]
"""Places and messages."""


def search_problems(document: Document, draft: Draft, design: Design, doubtful: Set[Path]) -> Problems:
    """Conditions at `doubtful` places have known problems, and are skipped."""
    yield from _searcher(document, draft)
    yield from _arms(document, draft, design)
    if draft.is_whole:  # otherwise, conditions may refer to parts that were left out
        for path, parameter in draft.parameters.items():
            for other, value in parameter.when.items():
                if other == ARM:
                    continue
                place: Path = ("parameters", path, "when", other)
                if place not in doubtful and (message := _condition(design, path, other, value)):
                    yield place, message


def _searcher(document: Document, draft: Draft) -> Problems:
    if draft.searcher is None:
        return
    name = draft.searcher.name
    if draft.searcher.facts.is_exhaustive:
        if draft.searcher.num_trials is not None:
            yield ("searcher", "num_trials"), _no_effect(name)
        for path, parameter in draft.parameters.items():
            if parameter.first:
                yield ("parameters", path, "first"), _no_effect(name)
            if lacks_num(parameter):
                others = " or ".join(names_that_draw())
                yield ("parameters", path), f"a grid needs num, the number of points; or searcher: {others}"
    elif not document.data.get("parameters"):
        yield ("searcher", "name"), f"got {name}, but the sweep has no parameters: there is nothing to search"


def _no_effect(searcher: str) -> str:
    return f"has no effect with searcher {searcher}; allowed with: {', '.join(names_that_draw())}"


def _arms(document: Document, draft: Draft, design: Design) -> Problems:
    if draft.arms_mode != "each" and not document.data.get("arms"):
        yield ("arms_mode",), "has no effect: the sweep has no arms"
    if draft.arms_mode == "grid":
        first: dict[str, str] = {}
        for arm, delta in draft.arms.items():
            for path in delta:
                other = first.setdefault(path, arm)
                if other != arm:
                    yield ("arms", arm, path), f"arm {other!r} sets this path too; a grid of arms needs one of the two"
    members_of: dict[str | None, tuple[str, ...]] = {}
    for combined in design.arms:
        members = members_of.setdefault(combined.name, combined.members)
        if members != combined.members:
            place: Path = ("arms", (combined.members or members)[-1])
            yield place, f"a combination of arms is called {combined.name!r}; rename an arm"


def _condition(design: Design, path: str, other: str, value: JSON) -> str | None:
    """Why a condition holds in no trial; None if it may."""
    order = list(design.parameters)
    if other == path:
        return "a parameter cannot depend on itself"
    if other in order and order.index(other) > order.index(path):
        return f"the parameter {other} comes later; write it above {path}"
    if other in order and design.space.axes[other].has(value):
        return None
    is_always_varied = other in order and not design.parameters[other].when
    fixed = [] if is_always_varied else [settings.at(other, {}) for settings in design.settings]
    if any(same(value, each) for each in fixed):
        return None
    values = design.parameters[other].values if other in order else None
    named = dict.fromkeys(in_words(each) for each in [*(values or ()), *fixed])
    hint = did_you_mean(value, named) if isinstance(value, str) else f"; allowed: {', '.join(named)}" if named else ""
    return f"got {got(value)}, which no trial has{hint}"


def too_few_draws(design: Design) -> Problems:
    """Whether a small space has fewer distinct draws than the searcher's num_trials."""
    wanted, draws = design.searcher.num_trials, design.searcher.facts.draws
    if draws is not None and wanted is not None:
        distinct = sum(1 for _ in islice(draws(design.space, design.searcher, design.settings), wanted))
        if distinct < wanted:
            yield (
                ("searcher", "num_trials"),
                f"got {wanted:,}, allowed: at most {distinct:,}: {design.searcher.name} draws find no others",
            )
