"""`assay doctor`: check that this machine can run a sweep. One line per check, and advice for those that fail."""

from __future__ import annotations

import importlib
import os
import platform
import resource
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from assay.cli.commands.finding import Finding, Status, print_findings
from assay.cli.commands.store_check import contents
from assay.cli.machine_errors import in_one_line
from assay.errors import AssayError, StoreError, UserError
from assay.home import Home
from assay.text import first_line, relative, size

OLDEST_PYTHON = (3, 11)
LOW_DISK_BYTES = 5e9
LEAST_DISK_BYTES = 5e8
LOW_MEMORY_BYTES = 4e9
LOW_SHARED_BYTES = 1e9
LEAST_FILES, LEAST_PROCESSES = 1024, 512
LEAST_MEMORY_BYTES, LEAST_FILE_BYTES = 8 << 30, 4 << 30
"""Ray's processes and torch's libraries reserve gigabytes of address space, and checkpoints are large."""
BFLOAT16_CAPABILITY = (8, 0)


def examine(is_json: bool, repairs: bool = False) -> int:
    """Print every finding as it is made; returns 1 if one is a failure."""

    def stored() -> Iterator[Finding]:
        return contents(repairs)

    return print_findings((finding for check in (*CHECKS, stored) for finding in _findings(check)), is_json)


def _findings(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a check, or one that says why it could not run."""
    try:
        yield from check()
    except (OSError, AssayError) as error:
        advice = "set ASSAY_HOME to a readable folder, and run assay in an existing one"
        yield Finding("fail", check.__name__.removeprefix("_"), in_one_line(error) or str(error), advice)


def _limits() -> Iterator[Finding]:
    """Process limits of the shell or container, which show only when they are reached."""
    for name, number, least, flag in (
        ("open files", resource.RLIMIT_NOFILE, LEAST_FILES, "-n"),
        ("processes", resource.RLIMIT_NPROC, LEAST_PROCESSES, "-u"),
        ("memory", resource.RLIMIT_AS, LEAST_MEMORY_BYTES, "-v"),
        ("size of a file", resource.RLIMIT_FSIZE, LEAST_FILE_BYTES, "-f"),
    ):
        limit = resource.getrlimit(number)[0]
        if limit not in (resource.RLIM_INFINITY, -1) and limit < least:
            advice = f"raise it in the shell that runs assay: ulimit {flag} unlimited, or the highest value allowed"
            yield Finding("warn", f"limit of {name}", f"{limit:,}", advice)


def _language() -> Iterator[Finding]:
    """Whether the terminal's encoding has all letters."""
    if sys.stdout.encoding.lower().replace("-", "") != "utf8":
        advice = "other characters are shown as ?; set LC_ALL=C.UTF-8"
        yield Finding("warn", "language", f"the terminal's encoding is {sys.stdout.encoding}", advice)


def _python() -> Iterator[Finding]:
    good = sys.version_info >= OLDEST_PYTHON
    advice = "" if good else f"assay needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer"
    yield Finding("ok" if good else "fail", "Python", f"{platform.python_version()} at {sys.executable}", advice)


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    wrong = []
    needed = [Requirement(text) for text in metadata.requires("assay") or ()]
    needed = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    for requirement in needed:
        try:
            installed = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed} is installed, but {requirement.specifier} is needed")
    if wrong:
        yield Finding("fail", "packages", "; ".join(wrong), f"install them: {sys.executable} -m pip install assay")
    else:
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ray", "torch", "mlflow", "deepspeed"))
        yield Finding("ok", "packages", f"{len(needed)} of {len(needed)} as needed ({versions})")


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:  # a broken installation may raise anything
        yield Finding("fail", "torch", first_line(error, with_type=True), "reinstall torch for this machine")
        return
    if not torch.cuda.is_available():
        kind = torch.backends.cpu.get_cpu_capability()
        has_bfloat16 = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        best = f"CPU ({kind}), fast in {'bfloat16' if has_bfloat16 else 'float32'}"
        yield Finding("ok", "device", f"{best}: enough for small models and tests; large ones need GPUs")
        return
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        best = "bfloat16" if (about.major, about.minor) >= BFLOAT16_CAPABILITY else "float16 with loss scaling"
        yield Finding("ok", f"device cuda:{index}", f"{about.name}, {size(about.total_memory)}, fast in {best}")


def _importable() -> Iterator[Finding]:
    for name, purpose in (("ray", "run on a cluster"), ("mlflow", "show results in MLflow")):
        try:
            module = importlib.import_module(name)
        except Exception as error:  # a broken installation may raise anything
            status: Status = "fail" if name == "ray" else "warn"
            instead = "--executor inline" if name == "ray" else "--no-tracking"
            yield Finding(
                status, name, first_line(error, with_type=True), f"cannot {purpose}; reinstall {name}, or use {instead}"
            )
        else:
            yield Finding("ok", name, f"{module.__version__} imports")


def _compiler() -> Iterator[Finding]:
    compiler = next((path for name in ("c++", "g++", "clang++") if (path := shutil.which(name))), None)
    yield Finding("ok", "compiler", compiler or "none; not needed, DeepSpeed's compiled extensions stay off")


def _store() -> Iterator[Finding]:
    from assay.store import Store
    from assay.store.damage import Damage

    try:
        store = Store(Home.default().store_url, heals=False)
        if store.files.is_local and not Path(store.files.root).exists():
            parent = _existing(Path(store.files.root))
            good = os.access(parent, os.W_OK)
            advice = "" if good else f"make {parent} writable, or set ASSAY_HOME to another folder"
            yield Finding("ok" if good else "fail", "store", f"{store.url} will be created by the first run", advice)
            return
        probe = f"probe-{uuid.uuid4().hex}"
        store.files.write_record(probe, {})
        store.files.read_record(probe)
        store.files.remove(probe)
        count = len(store.known())
    except (OSError, StoreError, Damage) as error:
        advice = "check the folder's permissions, or set ASSAY_HOME or ASSAY_STORE to another one"
        yield Finding("fail", "store", first_line(error, with_type=True), advice)
        return
    yield Finding("ok", "store", f"{store.url} can be read and written; {count} results")


def _room() -> Iterator[Finding]:
    where = _existing(Home.default().root)
    free = shutil.disk_usage(where).free
    status: Status = "ok" if free > LOW_DISK_BYTES else "warn" if free > LEAST_DISK_BYTES else "fail"
    advice = "" if status == "ok" else "free some space, or set ASSAY_HOME to a folder on another disk"
    yield Finding(status, "disk", f"{size(free)} free at {relative(where)}", advice)
    shared = Path("/dev/shm")
    if shared.is_dir() and (room := shutil.disk_usage(shared).free) < LOW_SHARED_BYTES:
        advice = "Ray keeps its objects there, and is slow with less; in a container: --shm-size=4g"
        yield Finding("warn", "shared memory", f"{size(room)} free at {shared}", advice)


def _sockets() -> Iterator[Finding]:
    from assay.execution.ray.seclusion import fresh_folder

    try:
        folder = fresh_folder()
    except UserError as error:
        yield Finding("fail", "Ray's folder", str(error), "without it: --executor inline")
        return
    folder.rmdir()
    yield Finding("ok", "Ray's folder", f"a run's sockets and logs go to {folder.parent}")


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text(encoding="utf-8").strip()).isdecimal():
        memory = min(memory, int(text))
    few = cores < 2 or memory < LOW_MEMORY_BYTES
    advice = "Ray alone needs about 1 GB; use --executor inline on a machine this small" if few else ""
    yield Finding("warn" if few else "ok", "machine", f"{cores} cores, {size(memory)} of memory", advice)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _packages,
    _machine,
    _room,
    _sockets,
    _store,
    _limits,
    _language,
    _compiler,
    _torch,
    _importable,
)


def _existing(path: Path) -> Path:
    """The folder, or its nearest existing parent."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
