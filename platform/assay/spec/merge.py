"""What lies over a sweep file: a profile of its own, and --set from the command line."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from assay.errors import SpecError, SpecProblem, did_you_mean
from assay.spec.yaml_lines import Document, Origin, Path, parse
from assay.workload import JSON

FIXED = ("version", "name", "workload", "profiles")
"""What a profile cannot change: it is the same study."""
SETTABLE = (
    "arms_mode",
    "base",
    "description",
    "limits",
    "metric",
    "mode",
    "resources",
    "scheduler",
    "searcher",
    "seeds",
)
NESTED = ("limits", "resources", "scheduler", "searcher")
NOT_SETTABLE = ("arms", "name", "parameters", "profiles", "report", "version", "workload")


def with_profile(document: Document, name: str) -> Document:
    """The sweep with one of its profiles over it: `config` key by key, everything else whole."""
    merged = _copy(document)
    profile = document.data["profiles"][name]
    for key, value in profile.items():
        source: Path = ("profiles", name, key)
        if key in FIXED:
            merged.problems.append(document.problem(source, f"a profile cannot change {key}; it is the same study"))
        elif key == "config" and isinstance(value, dict) and isinstance(merged.data.get("config"), dict):
            for path, setting in value.items():
                _replace(merged, ("config", path), setting, document, (*source, path))
        else:
            _replace(merged, (key,), value, document, source)
    return merged


def with_sets(document: Document, sets: Sequence[str]) -> Document:
    """The sweep with every "path=value" over it, in order."""
    merged = _copy(document)
    for text in sets:
        label = f"--set {text}"
        path, equals, value = text.partition("=")
        path = path.strip()
        if not equals or not path:
            merged.problems.append(SpecProblem(label, 0, "", "allowed: path=value, as in train.batch_size=64"))
            continue
        try:
            parsed = parse(value, label, line=0)
        except SpecError as error:
            merged.problems.extend(SpecProblem(label, 0, path, problem.message) for problem in error.problems)
            continue
        if parsed.problems:
            merged.problems.extend(SpecProblem(label, 0, path, problem.message) for problem in parsed.problems)
            continue
        target = _target(path)
        if target is None:
            message = f"cannot be set here; allowed: {', '.join(SETTABLE)}, or a config path of the workload"
            merged.problems.append(SpecProblem(label, 0, path, message))
        elif _make_room(merged, target):
            parsed.origins = {(): Origin(label, 0, (path,))}
            _replace(merged, target, parsed.data, parsed, ())
    return merged


def _target(path: str) -> Path | None:
    first, _, rest = path.partition(".")
    if first in NESTED and rest:
        return tuple(path.split("."))
    if path in SETTABLE:
        return (path,)
    if first == "config" and rest:
        return ("config", rest)
    return None if first in NOT_SETTABLE or path == "reference" else ("config", path)


def _make_room(document: Document, target: Path) -> bool:
    """Create the sections above `target`. False when something else is there: the schema says so."""
    place = document.data
    for part in target[:-1]:
        if place.get(part) is None:
            place[part] = {}
        place = place[part]
        if not isinstance(place, dict):
            return False
    return True


def _replace(document: Document, target: Path, value: JSON, source: Document, source_path: Path) -> None:
    """Put `value` at `target`, with the origins it has at `source_path` of `source`."""
    place = document.data
    for part in target[:-1]:
        place = place[part]
    place[target[-1]] = copy.deepcopy(value)
    length = len(target)
    for path in [path for path in document.origins if path[:length] == target]:
        del document.origins[path]
    for path, origin in source.origins.items():
        if path[: len(source_path)] == source_path:
            document.origins[target + path[len(source_path) :]] = origin


def _copy(document: Document) -> Document:
    return replace(
        document,
        data=copy.deepcopy(document.data),
        origins=dict(document.origins),
        problems=list(document.problems),
    )


def unknown_profile(document: Document, name: str) -> SpecProblem:
    profiles = document.data.get("profiles")
    there = [str(key) for key in profiles] if isinstance(profiles, dict) else []
    hint = did_you_mean(name, there) if there else "; the sweep has none"
    return SpecProblem(f"--profile {name}", 0, "", f"no such profile in {document.file}{hint}")
