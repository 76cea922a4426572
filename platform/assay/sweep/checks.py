"""Checks of a sweep that need its workload: do its preset and its paths exist, and is every trial's config valid?

They work on the raw document, so that a mistake in one section does not hide those in another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from assay.errors import SpecProblem, UserError, did_you_mean
from assay.sweep import arms as arms_of
from assay.sweep.arms import BASE_KEYS, Base, FindBase
from assay.sweep.draft import Draft, lacks_num, mapping_at
from assay.sweep.fields import MOST_TRIALS
from assay.sweep.lines import Document, Path
from assay.sweep.merge import SETTABLE
from assay.sweep.schema import FindWorkload
from assay.sweep.search import ARM, is_for_arms
from assay.sweep.search.checks import search_problems, too_few_draws
from assay.sweep.trial_checks import TrialChecks
from assay.workload import JSON, Workload, canonical_json
from assay.workload.typed import got

MOST_WRITTEN = 10**15
"""Messages do not write out larger numbers of trials, which may be too long for a line."""


def check(document: Document, find_workload: FindWorkload) -> tuple[Mapping[str, Workload], list[SpecProblem]]:
    """The workloads of the sweep and its arms by name, and every problem that these checks find."""
    name, base = document.data.get("workload"), document.data.get("base")
    if not isinstance(name, str) or not name.strip():
        return {}, []
    try:
        workloads = {name: find_workload(name)}
    except UserError as error:
        return {}, [document.problem(("workload",), str(error))]
    draft = Draft.of(document.data)
    own, faults = _bases_of_arms(draft, name, base, workloads, find_workload)
    problems = [document.problem(path, message) for path, message in faults]
    baseless = {arm: draft.arms.pop(str(arm)) for arm in {path[1] for path, _ in faults}}
    draft.is_whole = draft.is_whole and not baseless
    has_unknown_workload = any("workload" in delta for delta in baseless.values())
    presets = list(workloads[name].presets())
    if base in presets and not has_unknown_workload:

        def find_base(of: str | None, preset: str | None) -> Base:
            return Base(workloads[of or name], preset or base)

        return workloads, [*problems, *_with_base(document, draft, find_base, own)]
    # Without a base there are no configs to resolve. A path that no preset has is still wrong, unless it may belong to
    # an unknown workload.
    known = {path for preset in presets for path in workloads[name].paths(preset)}
    faults = list(_paths(document, draft, known, own, {workloads[name].seed_path}))
    problems += [document.problem(p, message) for p, message in faults if p[0] == "arms" or not has_unknown_workload]
    if base not in presets and isinstance(base, str) and base.strip():
        problems.append(document.problem(("base",), f"unknown preset {base!r}{did_you_mean(base, presets)}"))
    return workloads, problems


def _bases_of_arms(
    draft: Draft, name: str, base: JSON, workloads: dict[str, Workload], find_workload: FindWorkload
) -> tuple[dict[str, Base], list[tuple[Path, str]]]:
    """Arm → the base that it names, and the faults of arms without one. Adds the arms' workloads to `workloads`."""
    bases: dict[str, Base] = {}
    faults: list[tuple[Path, str]] = []
    for arm, delta in draft.arms.items():
        named = {key: delta[key] for key in BASE_KEYS if key in delta}
        bad = [key for key, value in named.items() if not isinstance(value, str) or not value.strip()]
        faults += [(("arms", arm, key), f"got {got(named[key])}, allowed: text, the name of a {key}") for key in bad]
        if bad or not named:
            continue
        of, preset = named.get("workload", name), named.get("base", base)
        if of != name and draft.arms_mode != "each":
            message = f"an arm of another workload cannot be combined: got arms_mode {draft.arms_mode}, allowed: each"
            faults.append((("arms", arm, "workload"), message))
            continue
        try:
            workload = workloads[of] if of in workloads else find_workload(of)
        except UserError as error:
            faults.append((("arms", arm, "workload"), str(error)))
            continue
        workloads[of], presets = workload, list(workload.presets())
        if preset in presets:
            bases[arm] = Base(workload, preset)
        elif "base" in named:
            message = f"workload {of} has no preset {preset!r}{did_you_mean(str(preset), presets)}"
            faults.append((("arms", arm, "base"), message))
        else:
            message = f"workload {of} has no preset {preset!r}, the sweep's base; name a base in the arm, too"
            faults.append((("arms", arm, "workload"), f"{message}; allowed: {', '.join(presets)}"))
    return bases, faults


def _with_base(document: Document, draft: Draft, find_base: FindBase, own: Mapping[str, Base]) -> Iterator[SpecProblem]:
    base = find_base(None, None)
    seed_paths = {each.workload.seed_path for each in (base, *own.values())}
    faults = [*_paths(document, draft, base.paths, own, seed_paths), *_conflicts(document, draft)]
    yield from (document.problem(path, message) for path, message in faults)
    if arms_of.count(draft.arms, draft.arms_mode) > MOST_TRIALS:
        yield document.problem(("arms_mode",), _too_many(arms_of.count(draft.arms, draft.arms_mode)))
        return
    design = draft.design(find_base)
    of_search = list(search_problems(document, draft, design, {path for path, _ in faults}))
    yield from (document.problem(path, message) for path, message in of_search)
    total = design.count()
    if total > MOST_TRIALS:
        yield document.problem(_longest(draft), _too_many(total) + _fewer(draft))
        return
    if not of_search:
        yield from (document.problem(path, message) for path, message in too_few_draws(design))
    yield from TrialChecks(document, draft, design, {path for path, _ in [*faults, *of_search]}).problems()


def _too_many(total: int) -> str:
    count = f"{total:,}" if total <= MOST_WRITTEN else f"more than {MOST_WRITTEN:,}"
    return f"got {count} trials in all, allowed: at most {MOST_TRIALS:,}"


def _longest(draft: Draft) -> Path:
    """The place of the setting that multiplies trials most."""
    if draft.searcher is not None and draft.searcher.num_trials is not None:
        return ("searcher", "num_trials")
    points = {path: p.axis.num_points for path, p in draft.parameters.items() if not lacks_num(p)}
    longest = max(points, key=points.__getitem__, default=None)
    return ("parameters", longest) if longest else ("seeds",)


def _fewer(draft: Draft) -> str:
    """A hint on how to get fewer trials."""
    if not draft.parameters or (draft.searcher is not None and draft.searcher.num_trials is not None):
        return ""
    has_partition = any(parameter.partition is not None for parameter in draft.parameters.values())
    step = "a larger step in the partition, or " if has_partition else ""
    return f"; use {step}searcher: {{name: random, num_trials: …}}"


def _places(document: Document, draft: Draft) -> Iterator[tuple[Path, str, JSON]]:
    """Every place where the user wrote a config path: (place, config path, its value if one is given there)."""
    for path, value in draft.config.items():
        yield ("config", path), path, value
    for path, parameter in mapping_at(document.data, "parameters").items():
        yield ("parameters", path), path, None
        for other, value in mapping_at(parameter, "when").items() if isinstance(parameter, dict) else ():
            if other != ARM:
                yield ("parameters", path, "when", other), other, value
    for arm, delta in draft.arms.items():
        for path, value in delta.items():
            if path not in BASE_KEYS:
                yield ("arms", arm, path), path, value
    reference = mapping_at(document.data, "reference")
    for path, value in mapping_at(reference, "measured_with").items():
        yield ("reference", "measured_with", path), path, value
    rows = reference.get("rows")
    for i, row in enumerate(rows if isinstance(rows, list) else []):
        for path, value in mapping_at(row, "when").items() if isinstance(row, dict) else ():
            yield ("reference", "rows", i, "when", path), path, value


def _paths(
    document: Document, draft: Draft, base: Set[str], own: Mapping[str, Base], seed_paths: Set[str]
) -> Iterator[tuple[Path, str]]:
    """Unknown config paths, and paths that may not be set where they are. `base`: the paths of the sweep's own base;
    arms may have their `own`."""
    budget = draft.scheduler.budget if draft.scheduler is not None else None
    of_arms = {arm: own[arm].paths if arm in own else base for arm in draft.arms}
    every = frozenset(base).union(*of_arms.values())
    for place, path, value in _places(document, draft):
        compares = place[0] == "reference" or "when" in place[2:]
        known = of_arms[str(place[1])] if place[0] == "arms" else every
        if path in seed_paths and place[0] != "reference":
            yield place, "replicate seeds set this path; write seeds: [...] instead"
        elif path == budget and place[0] != "reference":
            yield place, "the scheduler's rungs set this path; change scheduler.rungs instead"
        elif path not in known:
            inside = sorted(name for name in known if name.startswith(f"{path}."))
            if inside and value is None and not compares:
                continue  # null removes an optional section; the workload checks whether this one is optional
            if inside and isinstance(value, dict):
                yield place, f"a section of the config; write its keys as dotted paths, as in {inside[0]}: …"
            elif inside:
                yield place, f"a section of the config, not a value; it has {', '.join(inside[:6])}"
            else:
                sections = () if document.origin(place).line else SETTABLE  # --set takes these besides config paths
                yield place, f"unknown config path{did_you_mean(path, {*known, *sections})}"
    yield from _parameters_by_arm(document, draft, of_arms, every)


def _parameters_by_arm(
    document: Document, draft: Draft, of_arms: Mapping[str, Set[str]], every: Set[str]
) -> Iterator[tuple[Path, str]]:
    """Conditions on unknown arms, and parameters that an arm's config does not have."""
    arms = mapping_at(document.data, "arms")
    for path, parameter in draft.parameters.items():
        place: Path = ("parameters", path, "when", ARM)
        wanted = parameter.when.get(ARM)
        names = wanted if isinstance(wanted, list) and wanted else [wanted]
        if ARM in parameter.when and (unknown := [name for name in names if name not in list(arms)]):
            hint = did_you_mean(str(unknown[0]), arms) if arms else "; the sweep has no arms"
            yield place, f"got {got(unknown[0])}, allowed: the name of an arm, or a list of names{hint}"
            continue
        others = parameter.when.keys() - {ARM}
        where = [arm for arm, known in of_arms.items() if is_for_arms(parameter.when, [arm]) and others <= known]
        without = [arm for arm in where if path not in of_arms[arm]]
        if without and path in every:
            has = ", ".join(arm for arm, known in of_arms.items() if path in known)
            hint = f"limit it to other arms, as in when: {{arm: [{has}]}}"
            yield ("parameters", path), f"arm {without[0]!r} has no such config path; {hint}"


def _conflicts(document: Document, draft: Draft) -> Iterator[tuple[Path, str]]:
    """Repeated values, paths varied in two places, and settings that every trial would override."""
    for path, parameter in draft.parameters.items():
        first_with: dict[str, int] = {}
        for i, value in enumerate(parameter.values or ()):
            first = first_with.setdefault(canonical_json(value), i)
            if first != i:
                yield ("parameters", path, "values", i), f"the same value as values[{first}]; every value is a trial"
    is_alone = draft.arms_mode == "each"
    for arm, delta in draft.arms.items():
        for path in delta.keys() & draft.parameters.keys():
            if not is_alone or is_for_arms(draft.parameters[path].when, [arm]):
                yield ("arms", arm, path), "parameters vary this path too; vary it in one place"
    for path in draft.config:
        if document.origin(("config", path)).line:
            continue  # in a file a default that all arms replace is harmless; on the command line it misleads
        if path in draft.parameters and not draft.parameters[path].when:
            yield ("config", path), "has no effect: parameters vary this path in every trial"
        elif draft.arms and draft.arms_mode == "each" and all(path in delta for delta in draft.arms.values()):
            yield ("config", path), "has no effect: every arm sets this path"
