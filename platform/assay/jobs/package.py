"""What is uploaded with a job: the sweep file and the user's workload package.

Beside them, `submitted.json` says which commit, changes and command they come from. Nothing else leaves this machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

from assay.errors import UserError
from assay.redaction import is_secret_name
from assay.sweep import Sweep
from assay.text import size
from assay.workload import package_of

LIMIT_BYTES = 100 << 20
"""The largest upload that a cluster accepts."""
LEFT_OUT = (
    *(".git", ".hg", ".venv", "venv", ".assay", "__pycache__", "*.pyc", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    # Ray would apply these silently, but the files that were checked here must all go.
    *(".gitignore", ".rayignore"),
)
"""Files of this machine only."""
WORKLOADS = "assay.workloads"
SECRET_CONTENTS = (b"PRIVATE KEY-----",)
LOOKED_AT_BYTES = 4096


def packed(sweep: Sweep, workload_package: Path | None, folder: Path) -> str:
    """Copy what the job needs into an empty folder; returns a digest of it.

    Raises UserError naming files that are too large or look like secrets, before anything is copied.
    """
    files = [] if workload_package is None else list(_files(workload_package))
    _refuse_secrets(files)
    _refuse_size([file for file, _ in files])
    for file, name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    if workload_package is not None:
        _write_entry_points(sweep.workloads, workload_package, folder)
    (folder / sweep_file(sweep)).write_text(as_file(sweep), encoding="utf-8")
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def staying_here(sweep: Sweep, folder: Path) -> str | None:
    """A warning if workloads of the sweep are neither part of assay nor in the job's folder, and so may be missing on
    the cluster."""
    ours = {point.name for point in _points() if point.group == WORKLOADS and _holds(folder, point)}
    packages = {name: package_of(name) for name in sweep.workloads if name not in ours}
    missing = [f"the workload {name} is part of {package}" for name, package in packages.items() if package != "assay"]
    if not missing:
        return None
    whose = "its folder" if len(missing) == 1 else "a folder that contains them all"
    return (
        f"warning: {', '.join(missing)}, which is not uploaded; unless it is installed on all of the cluster's "
        f"machines, the job fails: pass {whose} as --workload-package"
    )


def sweep_file(sweep: Sweep) -> str:
    """The name of the file in the job's folder."""
    return f"{sweep.name}.yaml"


def as_file(sweep: Sweep) -> str:
    """The sweep as the text of a file, so that the cluster runs exactly what was checked here.

    Its profile and --set are applied; the profile's name stays, since reports are named by it. The text is JSON,
    which is YAML without strings that could be read as numbers.
    """
    content = sweep.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"profiles"})
    if sweep.profile is not None:
        content["profiles"] = {sweep.profile: {}}
    return json.dumps(content, indent=1)


def _files(package: Path) -> Iterator[tuple[Path, Path]]:
    """Each file of the package, and its path below a folder of the package's name, so that it imports there."""
    if not package.is_dir():
        raise UserError(f"--workload-package: got {str(package)!r}, allowed: a folder with Python modules in it")
    is_package = (package / "__init__.py").is_file()
    root = package.parent if is_package else package
    for path in _below(package, frozenset()):
        yield path, path.relative_to(root)


def _below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """All files below a folder, sorted; links are followed, as an import would.

    `above`: the resolved folders on the way here. A folder that contains itself is skipped: its files are listed.
    """
    real = folder.resolve()
    if real in above:
        return
    for path in sorted(folder.iterdir()):
        if any(fnmatch(path.name, pattern) for pattern in LEFT_OUT):
            continue
        if path.is_dir():
            yield from _below(path, above | {real})
        elif path.is_file():
            yield path


def _refuse_secrets(files: Sequence[tuple[Path, Path]]) -> None:
    suspects = [str(file) for file, name in files if _looks_secret(file, name)]
    if suspects:
        raise UserError(
            f"--workload-package: these look like secrets and would be uploaded to the cluster: {', '.join(suspects)}. "
            "Move them out of the folder; jobs use the credentials of the cluster's machines"
        )


def _looks_secret(file: Path, name: Path) -> bool:
    """Whether a file, or the name it is uploaded under (a link may rename it), looks like a secret."""
    real = file.resolve()
    if is_secret_name(name) or (real.parts[-len(name.parts) :] != name.parts and is_secret_name(real)):
        return True
    with file.open("rb") as opened:
        start = opened.read(LOOKED_AT_BYTES)
    return any(mark in start for mark in SECRET_CONTENTS)


def _refuse_size(files: list[Path]) -> None:
    sizes = sorted(((file.stat().st_size, file) for file in files), reverse=True)
    total = sum(num_bytes for num_bytes, _ in sizes)
    if total > LIMIT_BYTES:
        largest = ", ".join(f"{file} ({size(num_bytes)})" for num_bytes, file in sizes[:3])
        raise UserError(
            f"--workload-package: got {size(total)}, allowed: {size(LIMIT_BYTES)}; the largest are {largest}. Keep "
            "data where the cluster's machines can read it, and give its path in the sweep"
        )


def _points() -> list[EntryPoint]:
    return [point for dist in distributions() for point in dist.entry_points if point.group.startswith("assay.")]


def _write_entry_points(names: Sequence[str], package: Path, folder: Path) -> None:
    """Declare the package's entry points on the cluster, as its installation does here: the workloads, and any
    scheduler or the like beside them."""
    points = _points()
    workloads = [point for point in points if point.group == WORKLOADS and point.name in names]
    assert workloads, "the sweep was loaded, so its workloads are installed here"
    if not any(_holds(folder, point) for point in workloads):
        modules = " nor ".join(f"the module {_top(point)} of the workload {point.name}" for point in workloads)
        raise UserError(f"--workload-package: {package} does not contain {modules} of this sweep")
    info = folder / "workload_of_this_job-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: workload-of-this-job\nVersion: 0\n", encoding="utf-8")
    lines: dict[str, list[str]] = {}
    for point in points:
        if _holds(folder, point):
            lines.setdefault(point.group, []).append(f"{point.name} = {point.value}\n")
    text = "".join(f"[{group}]\n{''.join(dict.fromkeys(named))}" for group, named in sorted(lines.items()))
    (info / "entry_points.txt").write_text(text, encoding="utf-8")


def _top(point: EntryPoint) -> str:
    return point.value.partition(":")[0].partition(".")[0]


def _holds(folder: Path, point: EntryPoint) -> bool:
    return (folder / _top(point)).is_dir() or (folder / f"{_top(point)}.py").is_file()
