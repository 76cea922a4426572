"""`assay export` and `assay import`: results as files of other programs, and the reverse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assay.cli.commands.show import find_result
from assay.cli.output import print_json, print_text, read_only_store
from assay.errors import UserError
from assay.home import Home
from assay.store import StoredResult
from assay.sweep.config_text import as_yaml
from assay.text import listed, relative, size
from assay.workload import ConvertsFiles, FileFormat, installed_presets, load_attribute


def known_formats() -> dict[str, FileFormat]:
    """ "workload:name" → the format, of all installed workloads."""
    workloads = [workload for workload in installed_presets() if isinstance(workload, ConvertsFiles)]
    return {f"{workload.name}:{form.name}": form for workload in workloads for form in workload.formats()}


def export_result(key: str, form: str, file: str | None, output: Path, is_json: bool) -> None:
    """Write a result's file in another format."""
    chosen = _format(form, lambda candidate: candidate.write)
    result = find_result(read_only_store(Home.default()), key)
    name = file or chosen.file
    if name not in result.files:
        raise UserError(_no_file(result, name))
    _refuse_existing(output)
    load_attribute(chosen.write)(result.file(name), output)
    said = {"stage": result.stage, "key": result.key, "file": name, "format": chosen.name, "output": str(output)}
    if is_json:
        print_json(said)
    else:
        print_text(f"wrote {relative(output)} ({size(_bytes(output))}): {name} of {result.stage} {result.key[:8]}")


def import_files(source: Path, form: str, output: Path, is_json: bool) -> None:
    """Write a workload's own file from another format, and print the config that goes with it."""
    chosen = _format(form, lambda candidate: candidate.read)
    if not source.exists():
        raise UserError(f"{source}: there is no such file or folder")
    _refuse_existing(output)
    assert chosen.read is not None
    config = load_attribute(chosen.read)(source, output)
    if is_json:
        print_json({"format": chosen.name, "output": str(output), "config": config})
        return
    print_text(f"wrote {relative(output)} ({size(_bytes(output))}); in a sweep or a preset, it goes with this config:")
    print_text(as_yaml(config).rstrip("\n"))


def _format(name: str, does: Callable[[FileFormat], str | None]) -> FileFormat:
    """The format of that name, or "workload:name", among those that are converted in a direction."""
    able = {label: form for label, form in known_formats().items() if does(form)}
    matching = {label: form for label, form in able.items() if name in (label, form.name)}
    if not matching:
        allowed = "; ".join(f"{form.name} ({form.description})" for form in able.values())
        raise UserError(f"--format {name}: there is no such format; allowed: {allowed or 'none, no workload has one'}")
    if len(matching) > 1:
        raise UserError(f"--format {name} is a format of {len(matching)} workloads; allowed: {', '.join(matching)}")
    return next(iter(matching.values()))


def _no_file(result: StoredResult, name: str) -> str:
    has = f"it has {listed(sorted(result.files))}" if result.files else "it has none"
    return f"{result.stage} {result.key[:8]} has no file {name}; {has}: give another key, or --file"


def _refuse_existing(output: Path) -> None:
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"{output} exists; move it away, or give another --output")


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
