"""Load a sweep file: apply the profile and --set, check everything, and report all problems at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from assay.errors import SpecError, SpecProblem, UserError, passing_warnings, refuse_other
from assay.look import a_look
from assay.sweep.checks import check
from assay.sweep.lines import Document, from_values, parse, read_text
from assay.sweep.merge import unknown_profile, with_profile, with_sets
from assay.sweep.schema import FindWorkload, Sweep
from assay.workload import JSON, load_workload
from assay.workload.typed import located_messages

IN_PYTHON = "sweep"
"""Takes the place of the file in messages about a sweep from a dict."""


@a_look()
def load_sweep(
    source: str | os.PathLike[str] | Mapping[str, object],
    *,
    profile: str | None = None,
    sets: Sequence[str] = (),
    find_workload: FindWorkload = load_workload,
) -> Sweep:
    """The sweep in a YAML file, or in a dict of the same keys, with one of its profiles and every "path=value" of
    `sets` applied.

    Raises SpecError with every problem: of the file, of keys and types in all profiles, and of the trials of the chosen
    profile. `find_workload` finds a workload by its name.
    """
    find_workload = cache(find_workload)  # each profile's check needs it
    refuse_other("path", source, (str, os.PathLike, Mapping), "the path of a sweep file, or a dict of its keys")
    refuse_other("profile", profile, (str, type(None)), "the name of a profile of the sweep, or None")
    if isinstance(sets, str) or not all(isinstance(text, str) for text in sets):
        raise UserError(f'sets: got {sets!r}, allowed: a list of "path=value"')
    if isinstance(source, Mapping):
        file, document = "", from_values(source, IN_PYTHON)
    else:
        file = os.fspath(source)
        document = parse(read_text(Path(source), file), file)
    if document.data is None:
        raise SpecError(
            [SpecProblem(file, 0, "", "is empty; a sweep needs version, name, workload, base, metric, mode")]
        )
    if not isinstance(document.data, dict):
        kind = "a list" if isinstance(document.data, list) else "a single value"
        raise SpecError([document.problem((), f"got {kind} at the top, allowed: a mapping of keys to values")])
    problems = [*document.problems, *_schema_problems(document, find_workload)]
    chosen = document
    for name in _profile_names(document):
        merged = with_profile(document, name)
        problems += [*merged.problems, *_schema_problems(merged, find_workload)]
        if name == profile:
            chosen = merged
    if profile is not None and profile not in _profile_names(document):
        problems.append(unknown_profile(document, profile))

    chosen = with_sets(chosen, sets)
    with passing_warnings(None):  # planning repeats the warnings, with their trials
        workloads, of_workload = check(_normal(chosen), find_workload)
    problems += [*chosen.problems, *_schema_problems(chosen, find_workload), *of_workload]
    # Unreadable values are replaced by null, so further problems of these are noise.
    problems = [p for p in problems if p in document.problems or (p.file, p.path) not in document.unread]
    if problems:
        raise SpecError(problems)
    data = _normal(chosen).data
    sweep = Sweep.for_data(data, find_workload).model_validate(data)
    sweep._document = chosen
    sweep._workload, sweep._others = workloads[sweep.workload], workloads
    sweep._file, sweep._profile, sweep._sets = file, profile, tuple(sets)
    return sweep


def _normal(document: Document) -> Document:
    """Drop known keys with null; an arm that is null is the base itself."""
    data: dict[str, JSON] = {
        key: value for key, value in document.data.items() if value is not None or key not in Sweep.model_fields
    }
    if isinstance(data.get("arms"), dict):
        data["arms"] = {name: {} if delta is None else delta for name, delta in data["arms"].items()}
    return replace(document, data=data)


def _schema_problems(document: Document, find_workload: FindWorkload) -> list[SpecProblem]:
    data = _normal(document).data
    kind = Sweep.for_data(data, find_workload)
    try:
        kind.model_validate(data)
    except ValidationError as error:
        return [document.problem(path, message) for path, message, _ in located_messages(error, kind)]
    return []


def _profile_names(document: Document) -> list[str]:
    profiles = document.data.get("profiles")
    if not isinstance(profiles, dict):
        return []
    return [name for name, profile in profiles.items() if isinstance(profile, dict)]
