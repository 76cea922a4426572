"""Find broken import paths when a sweep is planned, without importing the modules."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from assay.errors import UserError
from assay.imported import imported
from assay.provenance.source import module_spec
from assay.text import first_line
from assay.workload import Stage, load_attribute


def refuse_missing_functions(stages: Iterable[tuple[str, Stage]]) -> None:
    """Raise one UserError with every broken import path of bodies and checks. Each stage comes with the name of its
    workload."""
    missing: dict[str, None] = {}
    for workload, stage in stages:
        for role, path in import_paths(stage):
            if not _exists(path):
                try:
                    load_attribute(path)  # a module may define names dynamically
                except UserError as error:
                    missing[f"workload {workload}: stage {stage.name}: {role}: {error}"] = None
                except Exception as error:  # importing a module may raise anything
                    reason = first_line(error, with_type=True)
                    missing[f"workload {workload}: stage {stage.name}: {role}: {path!r}: {reason}"] = None
    if missing:
        raise UserError("\n".join(missing))


def import_paths(stage: Stage) -> Iterator[tuple[str, str]]:
    """Every import path of a stage, after its role."""
    yield from (("body", path) for path in stage.body)
    yield from (("import", path) for path in stage.imports)
    yield from (("check", path) for path in (stage.check,) if path is not None)
    yield from (("group_check", path) for path in (stage.group_check,) if path is not None)


def _exists(path: str) -> bool:
    """Whether the module's source defines the attribute. Bodies import torch, so importing them takes seconds."""
    name, _, attribute = path.partition(":")
    if (module := imported(name)) is not None:
        return hasattr(module, attribute)
    try:
        spec = module_spec(name)
    except (ImportError, ValueError):
        return False
    if spec is None or not spec.has_location or spec.origin is None or not spec.origin.endswith(".py"):
        return False
    return attribute in _names(spec.origin)


@cache
def _names(file: str) -> frozenset[str]:
    """The names that a module's file binds at its top level, also below an `if` or a `try`."""
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
