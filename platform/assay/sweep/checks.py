"""What only the workload can tell of a sweep: do its preset and its paths exist, does every trial's config hold?

Works on the raw document, so that a mistake in one section does not hide those in another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from assay.errors import ConfigError, SpecProblem, UserError, did_you_mean
from assay.sweep import arms as arms_of
from assay.sweep.draft import Draft, lacks_num, mapping_at
from assay.sweep.fields import MOST_TRIALS
from assay.sweep.lines import Document, Path
from assay.sweep.merge import SETTABLE
from assay.sweep.schema import FindWorkload
from assay.sweep.search.checks import search_problems, too_few_draws
from assay.sweep.trial_checks import TrialChecks
from assay.workload import JSON, Workload, canonical_json

MOST_TOLD = 10**15
"""Trials that are told as a number: more of them need not fit on the line."""


def check(document: Document, find_workload: FindWorkload) -> tuple[Workload | None, list[SpecProblem]]:
    """The sweep's workload, if there is one of that name, and every problem that it takes a workload to see."""
    name, base = document.data.get("workload"), document.data.get("base")
    if not isinstance(name, str) or not name.strip():
        return None, []
    try:
        workload = find_workload(name)
    except UserError as error:
        return None, [document.problem(("workload",), str(error))]
    draft = Draft.of(document.data)
    presets = list(workload.presets())
    if base in presets:
        return workload, list(_with_base(document, draft, workload, base))
    # Without a base there are no configs to resolve; a path that no preset has is wrong all the same.
    known = {path for preset in presets for path in workload.paths(preset)}
    problems = [document.problem(path, message) for path, message in _paths(document, draft, known, workload.seed_path)]
    if isinstance(base, str) and base.strip():
        problems.append(document.problem(("base",), f"unknown preset {base!r}{did_you_mean(base, presets)}"))
    return workload, problems


def _with_base(document: Document, draft: Draft, workload: Workload, base: str) -> Iterator[SpecProblem]:
    wrong = [*_paths(document, draft, set(workload.paths(base)), workload.seed_path), *_conflicts(document, draft)]
    yield from (document.problem(path, message) for path, message in wrong)
    if arms_of.count(draft.arms, draft.arms_mode) > MOST_TRIALS:
        yield document.problem(("arms_mode",), _too_many(arms_of.count(draft.arms, draft.arms_mode)))
        return
    design = draft.design(base, _resolved(workload, base))
    found = list(search_problems(document, draft, design, {path for path, _ in wrong}))
    yield from (document.problem(path, message) for path, message in found)
    total = design.count()
    if total > MOST_TRIALS:
        yield document.problem(_longest(draft), _too_many(total) + _fewer(draft))
        return
    if not found:
        yield from (document.problem(path, message) for path, message in too_few_draws(design))
    yield from TrialChecks(document, draft, design, workload, base, {path for path, _ in [*wrong, *found]}).problems()


def _resolved(workload: Workload, base: str) -> Mapping[str, JSON]:
    try:
        return workload.resolve(base, {})
    except ConfigError:
        return {}  # the trials say what is wrong with it


def _too_many(total: int) -> str:
    told = f"{total:,}" if total <= MOST_TOLD else f"more than {MOST_TOLD:,}"
    return f"got {told} trials in all, allowed: at most {MOST_TRIALS:,}"


def _longest(draft: Draft) -> Path:
    """Where most trials come from."""
    if draft.searcher is not None and draft.searcher.num_trials is not None:
        return ("searcher", "num_trials")
    points = {path: p.axis.num_points for path, p in draft.parameters.items() if not lacks_num(p)}
    longest = max(points, key=points.__getitem__, default=None)
    return ("parameters", longest) if longest else ("seeds",)


def _fewer(draft: Draft) -> str:
    if not draft.parameters or (draft.searcher is not None and draft.searcher.num_trials is not None):
        return ""
    has_partition = any(parameter.partition is not None for parameter in draft.parameters.values())
    step = "a larger step in the partition, or " if has_partition else ""
    return f"; use {step}searcher: {{name: random, num_trials: …}}"


def _places(document: Document, draft: Draft) -> Iterator[tuple[Path, str, JSON]]:
    """Every place where the user wrote a config path: (place, config path, its value where it has one there)."""
    for path, value in draft.config.items():
        yield ("config", path), path, value
    for path, parameter in mapping_at(document.data, "parameters").items():
        yield ("parameters", path), path, None
        for other, value in mapping_at(parameter, "when").items() if isinstance(parameter, dict) else ():
            yield ("parameters", path, "when", other), other, value
    for arm, delta in draft.arms.items():
        for path, value in delta.items():
            yield ("arms", arm, path), path, value
    rows = mapping_at(document.data, "reference").get("rows")
    for i, row in enumerate(rows if isinstance(rows, list) else []):
        for path, value in mapping_at(row, "when").items() if isinstance(row, dict) else ():
            yield ("reference", "rows", i, "when", path), path, value


def _paths(document: Document, draft: Draft, known: Set[str], seed_path: str) -> Iterator[tuple[Path, str]]:
    """Config paths that the config does not have, or that may not be set there."""
    budget = draft.scheduler.budget if draft.scheduler is not None else None
    for place, path, value in _places(document, draft):
        compares = place[0] == "reference" or "when" in place[2:]
        if path == seed_path and place[0] != "reference":
            yield place, "replicate seeds set this path; write seeds: [...] instead"
        elif path == budget and place[0] != "reference":
            yield place, "the scheduler's rungs set this path; change scheduler.rungs instead"
        elif path not in known:
            inside = sorted(name for name in known if name.startswith(f"{path}."))
            if inside and value is None and not compares:
                continue  # null takes an optional section away; whether this one is, the workload says
            if inside and isinstance(value, dict):
                yield place, f"a section of the config; write its keys as dotted paths, as in {inside[0]}: …"
            elif inside:
                yield place, f"a section of the config, not a value; it has {', '.join(inside[:6])}"
            else:
                sections = () if document.origin(place).line else SETTABLE  # --set names these beside config paths
                yield place, f"unknown config path{did_you_mean(path, {*known, *sections})}"


def _conflicts(document: Document, draft: Draft) -> Iterator[tuple[Path, str]]:
    """Values given twice, paths varied in two places, and settings that every trial would override."""
    for path, parameter in draft.parameters.items():
        seen: dict[str, int] = {}
        for i, value in enumerate(parameter.values or ()):
            first = seen.setdefault(canonical_json(value), i)
            if first != i:
                yield ("parameters", path, "values", i), f"the same value as values[{first}]; every value is a trial"
    for arm, delta in draft.arms.items():
        for path in delta:
            if path in draft.parameters:
                yield ("arms", arm, path), "parameters vary this path too; vary it in one place"
    for path in draft.config:
        if document.origin(("config", path)).line:
            continue  # in a file a default that all arms replace is harmless; on the command line it misleads
        if path in draft.parameters and not draft.parameters[path].when:
            yield ("config", path), "has no effect: parameters vary this path in every trial"
        elif draft.arms and draft.arms_mode == "each" and all(path in delta for delta in draft.arms.values()):
            yield ("config", path), "has no effect: every arm sets this path"
