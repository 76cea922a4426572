"""What a job takes along: the sweep file, and the user's own workload package. Nothing else leaves this machine."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

from assay.errors import UserError
from assay.sweep import Sweep
from assay.text import size
from assay.workload import package_of

LIMIT_BYTES = 100 << 20
"""What a cluster takes as a job's files."""
LEFT_OUT = (
    *(".git", ".hg", ".venv", "venv", ".assay", "__pycache__", "*.pyc", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    # Ray would obey these in silence: what was looked at here is what goes.
    *(".gitignore", ".rayignore"),
)
"""What belongs to this machine alone."""
SECRET_NAMES = (
    *(".env", ".env.*", "*.env", ".netrc", ".npmrc", ".pgpass", ".pypirc", ".boto", ".s3cfg", ".git-credentials"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.tfvars", "*.tfvars.json", "*.tfstate"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials", "credentials.*", "*_credentials*", "*secret*"),
    *("token", "token.*", "*_token", "*-token", "*.token", "*_token.*", "*-token.*", "kubeconfig", ".htpasswd"),
    *("*password*", "passwd", "*api_key*", "*api-key*", "*apikey*", ".dockercfg"),
)
SECRET_FOLDERS = (".aws", ".azure", ".docker", ".gnupg", ".kube", ".ssh")
"""Where programs keep what lets them in, under names that say nothing."""
SOURCE_CODE = (".py", ".pyi")
"""A module may be called what it likes; what it holds is looked at."""
SECRET_CONTENTS = (b"PRIVATE KEY-----",)
LOOKED_AT_BYTES = 4096


def packed(sweep: Sweep, workload_package: Path | None, folder: Path) -> str:
    """Put what the job takes along into an empty folder; returns a digest of it.

    Raises UserError that names what is too large or looks like a secret, before anything is copied.
    """
    found = [] if workload_package is None else list(_files(workload_package))
    _refuse_secrets(found)
    _refuse_size([file for file, _ in found])
    for file, name in found:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    if workload_package is not None:
        _write_entry_points(sweep.workload, workload_package, folder)
    (folder / sweep_file(sweep)).write_text(as_file(sweep), encoding="utf-8")
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def without_its_package(workload: str) -> str | None:
    """A warning where a workload that assay does not come with stays here, and may be missing on the cluster."""
    package = package_of(workload)
    if package == "assay":
        return None
    return (
        f"warning: the workload {workload} is of {package}, which does not go along; unless it is installed on all "
        "of the cluster's machines, the job fails: give its folder to --workload-package"
    )


def sweep_file(sweep: Sweep) -> str:
    """What the file is called in the job's folder."""
    return f"{sweep.name}.yaml"


def as_file(sweep: Sweep) -> str:
    """The sweep as a file that says the same: what was checked here is what runs there.

    Its profile and --set are applied already; the profile is there by name, since reports are called after it. It is
    JSON, which is YAML in which no text can be taken for a number.
    """
    content = sweep.model_dump(mode="json", exclude_defaults=True, exclude={"profiles"})
    if sweep.profile is not None:
        content["profiles"] = {sweep.profile: {}}
    return json.dumps(content, indent=1)


def _files(package: Path) -> Iterator[tuple[Path, Path]]:
    """Each file of the package, and where it goes: below a folder of the package's name, so that it imports there."""
    if not package.is_dir():
        raise UserError(f"--workload-package: got {str(package)!r}, allowed: a folder with Python modules in it")
    is_package = (package / "__init__.py").is_file()
    root = package.parent if is_package else package
    for path in _below(package, frozenset()):
        yield path, path.relative_to(root)


def _below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """The files in a folder and in those below it, by name; links are followed, as an import here follows them.

    `above`: the real folders that lead here. One that is met again has no end, and what it holds goes along already.
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
            f"--workload-package: these look like secrets, and would be stored on the cluster: {', '.join(suspects)}. "
            "Move them out of the folder; a job finds its credentials on the cluster's own machines"
        )


def _looks_secret(file: Path, name: Path) -> bool:
    """Whether a file, or the name that it goes along under (a link may give it another), looks like a secret."""
    real = file.resolve()
    if _is_secret_name(name) or (real.parts[-len(name.parts) :] != name.parts and _is_secret_name(real)):
        return True
    with file.open("rb") as opened:
        start = opened.read(LOOKED_AT_BYTES)
    return any(mark in start for mark in SECRET_CONTENTS)


def _is_secret_name(path: Path) -> bool:
    if any(folder in SECRET_FOLDERS for folder in path.parts[:-1]):
        return True
    is_code = path.suffix in SOURCE_CODE
    return not is_code and any(fnmatch(path.name.lower(), pattern) for pattern in SECRET_NAMES)


def _refuse_size(files: list[Path]) -> None:
    sizes = sorted(((file.stat().st_size, file) for file in files), reverse=True)
    whole = sum(num_bytes for num_bytes, _ in sizes)
    if whole > LIMIT_BYTES:
        largest = ", ".join(f"{file} ({size(num_bytes)})" for num_bytes, file in sizes[:3])
        raise UserError(
            f"--workload-package: got {size(whole)}, allowed: {size(LIMIT_BYTES)}; the largest are {largest}. Data "
            "belongs where the cluster's machines can read it, and its path in the sweep"
        )


def _write_entry_points(name: str, package: Path, folder: Path) -> None:
    """Say on the cluster what an installation says here: which objects of the modules that go along assay looks for,
    such as the workload, and a scheduler beside it."""
    points = [point for dist in distributions() for point in dist.entry_points if point.group.startswith("assay.")]
    workload = next((point for point in points if (point.group, point.name) == ("assay.workloads", name)), None)
    assert workload is not None, "the sweep was loaded, so its workload is installed here"
    if not _holds(folder, workload):
        raise UserError(
            f"--workload-package: {package} does not hold the module {_top(workload)}, which is the workload {name} of "
            "this sweep"
        )
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
