"""Apply a profile, and `--set` from the command line, to a sweep file.

A `--set` that has no effect is refused in `checks._conflicts`.
"""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Sequence
from dataclasses import replace

from assay.errors import SpecError, SpecProblem, did_you_mean
from assay.redaction import is_unicode
from assay.sweep.lines import Document, Origin, Path, dotted, parse_value
from assay.sweep.schema import Sweep
from assay.workload import JSON
from assay.workload.typed import got

FIXED = ("version", "name", "workload", "profiles")
"""Keys that a profile cannot change, since it is the same study."""
SETTABLE = (
    "arms_mode",
    "base",
    "description",
    "limits",
    "metric",
    "mode",
    "notify",
    "resources",
    "scheduler",
    "searcher",
    "seeds",
)
NESTED = ("limits", "resources", "scheduler", "searcher")
NOT_SETTABLE = ("arms", "name", "parameters", "profiles", "report", "version", "workload")


def with_profile(document: Document, name: str) -> Document:
    """The sweep with one of its profiles applied: `config` key by key, other keys as a whole. Known keys with null are
    ignored."""
    merged = _copy(document)
    profile = document.data["profiles"][name]
    for key, value in profile.items():
        source: Path = ("profiles", name, key)
        if key in FIXED:
            merged.problems.append(document.problem(source, f"a profile cannot change {key}; it is the same study"))
        elif value is None and key in Sweep.model_fields:
            continue
        elif key == "config" and isinstance(value, dict) and isinstance(merged.data.get("config"), dict):
            for path, setting in value.items():
                _replace(merged, ("config", path), setting, document, (*source, path))
        else:
            _replace(merged, (key,), value, document, source)
    if "mode" not in profile:
        _drop_other_mode(merged, profile.get("metric"))
    return merged


def with_sets(document: Document, sets: Sequence[str]) -> Document:
    """The sweep with every "path=value" applied, in order."""
    merged = _copy(document)
    for text in sets:
        label = f"--set {text}"
        path, equals, value = text.partition("=")
        path = path.strip()
        if not equals or not path:
            merged.problems.append(SpecProblem(label, 0, "", "allowed: path=value, as in train.batch_size=64"))
            continue
        if not is_unicode(value):
            merged.problems.append(SpecProblem(ascii(label)[1:-1], 0, path, "got bytes that are not valid UTF-8"))
            continue
        try:
            parsed = parse_value(value, label)
        except SpecError as error:
            message = f"{error.problems[0].message}; {_as_text(path, value)}"
            merged.problems.append(SpecProblem(label, 0, path, message))
            continue
        if parsed.problems:
            merged.problems.extend(SpecProblem(label, 0, path, problem.message) for problem in parsed.problems)
            continue
        target = _target(path)
        if target is None:
            message = f"cannot be set here; allowed: {', '.join(SETTABLE)}, or a config path of the workload"
            merged.problems.append(SpecProblem(label, 0, path, message))
        elif (value_above := _create_sections(merged, target, label)) is None:
            parsed.origins = {(): Origin(label, 0, (path,))}
            _replace(merged, target, parsed.data, parsed, ())
            _drop_other_mode(merged, parsed.data if target == ("metric",) else None)
        elif not _is_section(value_above):
            above = dotted(value_above)
            message = f"got a key below {above}, which is {got(_at(merged, value_above))}; allowed: {above}=…"
            merged.problems.append(SpecProblem(label, 0, path, message))
    return merged


def _drop_other_mode(document: Document, metric: JSON) -> None:
    """Several objectives have directions of their own: the mode was written for the metric that they replace."""
    if isinstance(metric, dict):
        document.data.pop("mode", None)


def _as_text(path: str, value: str) -> str:
    """A hint on how to pass the value as text."""
    quoted = f"{path}={json.dumps(value, ensure_ascii=not value.isprintable())}"
    return f"for the text itself, quote it: --set {shlex.quote(quoted)}"


def _target(path: str) -> Path | None:
    first, _, rest = path.partition(".")
    if first in NESTED and rest:
        return tuple(path.split("."))
    if path in SETTABLE:
        return (path,)
    if first == "config" and rest:
        return ("config", rest)
    return None if first in NOT_SETTABLE or path == "reference" else ("config", path)


def _create_sections(document: Document, target: Path, label: str) -> Path | None:
    """Create the sections above `target`. If there is a value instead of a section, return its path."""
    for length in range(1, len(target)):
        section, place = target[:length], _at(document, target[: length - 1])
        if place.get(section[-1]) is None:
            place[section[-1]] = {}
            document.origins[section] = Origin(label, 0, section)
        elif not isinstance(place[section[-1]], dict):
            return section
    return None


def _is_section(place: Path) -> bool:
    """Whether a section belongs there: then the schema refuses the value."""
    return len(place) == 1 or (place[0] == "resources" and len(place) == 2)


def _at(document: Document, path: Path) -> JSON:
    place = document.data
    for part in path:
        place = place[part]
    return place


def _replace(document: Document, target: Path, value: JSON, source: Document, source_path: Path) -> None:
    """Put `value` at `target`, with the origins it has at `source_path` of `source`."""
    _at(document, target[:-1])[target[-1]] = copy.deepcopy(value)
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
    names = [str(key) for key in profiles] if isinstance(profiles, dict) else []
    hint = did_you_mean(name, names) if names else "; the sweep has none"
    return SpecProblem(f"--profile {name}", 0, "", f"no such profile in {document.file}{hint}")
