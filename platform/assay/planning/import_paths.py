"""Import paths that lead nowhere: known when a sweep is planned, and without importing what they lead to."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from assay.errors import UserError
from assay.text import first_line
from assay.workload import Stage, load_attribute


def refuse_missing_functions(stages: Iterable[tuple[str, Stage]]) -> None:
    """Raise one UserError with every import path of the stages, of a body or a check, where there is nothing. Each
    stage comes with the name of its workload."""
    missing: dict[str, None] = {}
    for workload, stage in stages:
        for role, path in import_paths(stage):
            if not _is_there(path):
                try:
                    load_attribute(path)  # a module may make its names as it is imported
                except Exception as error:  # whatever a module may raise while it is imported
                    why = (
                        str(error) if isinstance(error, UserError) else f"{path!r}: {first_line(error, with_type=True)}"
                    )
                    missing[f"workload {workload}: stage {stage.name}: {role}: {why}"] = None
    if missing:
        raise UserError("\n".join(missing))


def import_paths(stage: Stage) -> Iterator[tuple[str, str]]:
    """Each with its role in the stage."""
    yield from (("body", path) for path in stage.body)
    yield from (("import", path) for path in stage.imports)
    yield from (("check", path) for path in (stage.check,) if path is not None)
    yield from (("group_check", path) for path in (stage.group_check,) if path is not None)


def _is_there(path: str) -> bool:
    """Whether the file of a module says that it has the attribute. Bodies import torch, which takes seconds."""
    name, _, attribute = path.partition(":")
    if (module := sys.modules.get(name)) is not None:
        return hasattr(module, attribute)
    try:
        spec = _spec(name)
    except (ImportError, ValueError):
        return False
    if spec is None or not spec.has_location or spec.origin is None or not spec.origin.endswith(".py"):
        return False
    return attribute in _names(spec.origin)


def _spec(name: str) -> ModuleSpec | None:
    """Where a module is; unlike `find_spec`, without importing the packages that it is in."""
    top, *inner = name.split(".")
    spec = find_spec(top)
    for part in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", list(spec.submodule_search_locations))
    return spec


@cache
def _names(file: str) -> frozenset[str]:
    """What a module's file binds at its top, also below an `if` or a `try`."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    return frozenset(_bound(tree))


def _bound(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child.name
        elif isinstance(child, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        elif not isinstance(child, ast.Lambda):
            yield from _bound(child)
