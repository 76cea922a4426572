"""What a shell completes after Tab: names of sweeps, profiles, presets, workloads and keys, and `--set` paths.

`assay --install-completion` installs it. An answer reads files of this machine alone, and imports neither torch nor
Ray: it takes less than half a second.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import typer

if TYPE_CHECKING:
    from assay.workload import Workload

P = ParamSpec("P")
KEY_BEGUN = re.compile(r"[0-9a-f]+")


def _quiet(complete: Callable[P, list[str]]) -> Callable[P, list[str]]:
    """Complete nothing where something is wrong, such as a sweep that is half written: a message would end up in the
    line that the user is typing. The command itself reports it."""

    @wraps(complete)
    def completed(*args: P.args, **kwargs: P.kwargs) -> list[str]:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            try:
                return complete(*args, **kwargs)
            except Exception:
                return []

    return completed


@_quiet
def sweeps() -> list[str]:
    """The names of those in sweeps/, and the YAML files here."""
    from assay.sweep_files import SUFFIXES, SWEEPS

    here = [file for suffix in SUFFIXES for file in Path().glob(f"*{suffix}")]
    named = [file.stem for suffix in SUFFIXES for file in SWEEPS.glob(f"*{suffix}")]
    return sorted({*named, *map(str, here)})


@_quiet
def profiles(context: typer.Context) -> list[str]:
    return list(_read(context).get("profiles") or {})


@_quiet
def machines() -> list[str]:
    """One machine of each kind; a number in front makes it more."""
    from assay.costs.machines import KINDS

    return [f"1x{name}" for name in KINDS]


@_quiet
def sets(context: typer.Context, incomplete: str) -> list[str]:
    """Keys of the sweep and config paths that may be set, each with "="; after it, the values there are to choose from.

    A path that is complete but for its value comes with values too. Then a shell that adds a space to whatever is the
    only answer adds none.
    """
    from assay.sweep.merge import SETTABLE

    data = _read(context)
    bases = list(_bases(data))
    varied = data.get("parameters") or {}
    known = [path for workload, base in bases for path in workload.paths(base) if path not in varied]
    paths = [path for path in dict.fromkeys([*known, *SETTABLE]) if path.startswith(incomplete.partition("=")[0])]
    if "=" not in incomplete and len(paths) > 1:
        return [f"{path}=" for path in paths]
    values = [f"{path}={value}" for path in paths for value in _values(bases, path)]
    return values if "=" in incomplete else [f"{path}=" for path in paths] + values


@_quiet
def formats_written() -> list[str]:
    from assay.cli.commands.convert import known_formats

    return sorted({form.name for form in known_formats().values()})


@_quiet
def formats_read() -> list[str]:
    from assay.cli.commands.convert import known_formats

    return sorted({form.name for form in known_formats().values() if form.read})


@_quiet
def workloads() -> list[str]:
    from assay.workload import workload_names

    return workload_names()


@_quiet
def presets() -> list[str]:
    from assay.workload import installed_presets

    return sorted({name for names in installed_presets().values() for name in names})


@_quiet
def executors() -> list[str]:
    from assay.execution.executors import EXECUTORS

    return EXECUTORS.names()


@_quiet
def sweeps_and_keys(incomplete: str) -> list[str]:
    """Sweeps, and the keys of stored stages once one is begun."""
    return [*sweeps(), *(_keys() if KEY_BEGUN.fullmatch(incomplete) else [])]


@_quiet
def shown(incomplete: str) -> list[str]:
    """What `assay show` takes."""
    return ["preset", *sweeps_and_keys(incomplete)]


@_quiet
def shown_presets(context: typer.Context) -> list[str]:
    return presets() if context.params.get("what") == "preset" else []


def _keys() -> list[str]:
    """The keys in the store, if it is a folder: a bucket may take seconds to list."""
    from assay.home import Home
    from assay.store import Store

    url = Home.default().store_url
    return [] if "://" in url else Store(url, heals=False).known()


def _read(context: typer.Context) -> Mapping[str, Any]:
    """The keys of the sweep that the command line names; of several, the first. Nothing is checked."""
    from assay.sweep.lines import parse, read_text
    from assay.sweep_files import find_sweep

    typed = _typed(context)
    file = find_sweep(typed.get("sweep") or typed.get("what") or typed["sweeps"][0])
    return parse(read_text(file, str(file)), str(file)).data


def _typed(context: typer.Context) -> Mapping[str, Any]:
    """The arguments typed so far. Click's own parsing stops at an option that has no value yet, before any argument."""
    assert context.parent is not None
    words = context.parent.args
    complete = words[:-1] if words[-1].startswith("-") else words
    return context.command.make_context(context.info_name, complete, context.parent, resilient_parsing=True).params


def _bases(sweep: Mapping[str, Any]) -> Iterator[tuple[Workload, str]]:
    """The workload and the preset of the sweep, and those of its arms."""
    from assay.workload import load_workload

    of = {"workload": sweep["workload"], "base": sweep["base"]}
    arms = [{**of, **(arm or {})} for arm in (sweep.get("arms") or {}).values()]
    for name, base in dict.fromkeys((each["workload"], each["base"]) for each in [of, *arms]):
        yield load_workload(name), base


def _values(bases: Sequence[tuple[Workload, str]], path: str) -> list[str]:
    """The values to choose from at a path, that of the preset first; just this one where any number or text will do."""
    values = [value for workload, base in bases if path in workload.paths(base) for value in _at(workload, base, path)]
    return list(dict.fromkeys(value if isinstance(value, str) else json.dumps(value) for value in values))


def _at(workload: Workload, base: str, path: str) -> Iterator[Any]:
    from assay.workload.typed import choices
    from assay.workload.typed_workload import TypedWorkload, fields_below

    value: Any = workload.resolve(base, {})
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    yield value
    if isinstance(value, bool):
        yield not value
    if isinstance(workload, TypedWorkload):
        fields = (field for field in fields_below(workload.config_type) if field.path == path)
        yield from (name for field in fields for name in choices(field.annotation))
