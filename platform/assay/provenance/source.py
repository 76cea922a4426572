"""The modules that a stage's code consists of, and a hash of each, without importing any."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from assay.workload import Stage

LENGTH = 16
"""Characters of a module's hash."""
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def module_spec(name: str) -> ModuleSpec | None:
    """Like `find_spec`, but without importing the parent packages; None also for a script, which has no spec."""
    top, *inner = name.split(".")
    try:
        spec = find_spec(top)
    except ValueError:
        return None
    for part in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", list(spec.submodule_search_locations))
    return spec


def code_of(stage: Stage) -> tuple[str, ...]:
    """Import paths of the code that computes a stage: its bodies, what these look up by name, what its inputs looked up
    (who reads weights builds their network too), and the same of rows that are computed in its pass."""
    read = (path for source in stage.inputs.values() for path in source.imports)
    rows = code_of(stage.rows) if stage.rows is not None else ()
    return tuple(dict.fromkeys([*stage.body, *stage.imports, *read, *rows]))


def packages_of(stages: Iterable[Stage]) -> frozenset[str]:
    """The top-level packages that hold the code of stages, besides this platform, which has a version."""
    tops = {path.partition(".")[0].partition(":")[0] for stage in stages for path in code_of(stage)}
    return frozenset(tops - {"assay"})


def module_hashes(paths: Iterable[str], packages: Collection[str]) -> dict[str, str]:
    """Module → hash of its code, for every module of these packages that import paths reach through imports, wherever
    in a file these stand. Comments, docstrings and layout do not count."""
    hashes: dict[str, str] = {}
    left = [path.partition(":")[0] for path in paths]
    while left:
        name = left.pop()
        if name in hashes or name.partition(".")[0] not in packages:
            continue
        spec = _spec(name)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            continue  # an attribute of a module, a namespace, or an extension
        file = Path(spec.origin)
        hashes[name], imported = _read(file, file.stat().st_mtime_ns, name, spec.submodule_search_locations is not None)
        left += [*imported, *([name.rpartition(".")[0]] if "." in name else [])]
    return dict(sorted(hashes.items()))


def _spec(name: str) -> ModuleSpec | None:
    try:
        return module_spec(name)
    except (ImportError, ValueError):
        return None


@cache
def _read(file: Path, modified_ns: int, name: str, is_package: bool) -> tuple[str, tuple[str, ...]]:
    """The hash of a module's code, and the names that it imports, some of which are attributes of modules."""
    source = file.read_bytes()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # the stage says so when it runs
        return hashlib.sha256(source).hexdigest()[:LENGTH], ()
    imported = tuple(dict.fromkeys(_imported(tree, name if is_package else name.rpartition(".")[0])))
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()[:LENGTH], imported


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
