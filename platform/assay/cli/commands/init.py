"""`assay init`: write a study, or the package of a workload, to begin with."""

from __future__ import annotations

import importlib.util
import json
import keyword
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from assay.cli.names import program
from assay.cli.output import data_remarks_printed
from assay.errors import UserError, passing_warnings
from assay.sweep import load_sweep
from assay.sweep.fields import SAFE_NAME
from assay.sweep.json_schema import json_schema
from assay.sweep_files import SUFFIXES, SWEEPS
from assay.text import plural, relative
from assay.workload import JSON, Stage, Starter, Workload, load_workload, workload_names
from assay.workload.contract import stage_graph
from assay.workload.smoke import smallest

TEMPLATES = files("assay.cli") / "templates"
MY_WORKLOAD, MY_CLASS = "my_workload", "MyWorkload"
"""How the template's module and its class are called."""
SCHEMA = "sweep.schema.json"
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_ +-]*")
"""Text that YAML reads as text without quotes."""
WORDS = ("true", "false", "null", "yes", "no", "on", "off")
"""Text that it does not."""
SMOKE_SHARE = 10
"""How many times smaller the budgets of the profile `smoke` are."""


def init_sweep(name: str, workload: str | None) -> None:
    """Write a study of a workload, by default of the first that is installed."""
    file = _file_of(name)
    chosen = load_workload(workload or _first_workload())
    starter = starter_of(chosen)
    _create(file, sweep_text(chosen, starter, file.stem, str(file)))
    print(f"wrote {file}: {starter.description}")
    schema = file.parent / SCHEMA
    if not schema.exists():
        text = json.dumps(json_schema([load_workload(each) for each in workload_names()]), indent=1)
        _create(schema, text + "\n")
        print(f"wrote {schema}, with which editors complete and check sweeps")
    with data_remarks_printed(False):
        trials = load_sweep(file).num_trials()
    given = _as_given(file)
    print(f"next: {program()} plan {given}    what it would do")
    print(f"      {program()} run {given}     {plural(trials, 'trial')}; about a minute")


def init_package(name: str) -> None:
    """Write the package of a workload: its module, a test, and what installs it."""
    folder, module = Path(name), Path(name).name.replace("-", "_").replace(".", "_")
    if not module.isidentifier() or keyword.iskeyword(module) or not module.isascii():
        raise UserError(
            f"got {name!r}, allowed: a name that Python can import, such as my-workload: letters, digits, - _"
        )
    if module in workload_names() or importlib.util.find_spec(module) is not None:
        raise UserError(f"there is a module or a workload {module!r} already; choose another name")
    if folder.exists():
        raise UserError(f"{folder}: there is one already, and nothing is overwritten; choose another name")
    folder.mkdir(parents=True)
    words = {MY_WORKLOAD: module, MY_CLASS: "".join(part.capitalize() for part in module.split("_"))}
    for template in (TEMPLATES / "workload").iterdir():
        if template.is_file():
            text = template.read_text(encoding="utf-8")
            file = folder / _renamed(template.name, words)
            _create(file, _renamed(text, words))
            print(f"wrote {file}")
    print(f"next: pip install -e {folder}")
    print(f"      pytest {folder}    what every workload must satisfy")
    print(f"      {program()} check {module}")
    print(f"      {program()} init first-study --workload {module}")


def starter_of(workload: Workload) -> Starter:
    """The workload's own; for one that has none, its smallest trial over two seeds."""
    own: Starter | None = getattr(workload, "starter", None)
    if own is not None:
        return own
    smoke = getattr(workload, "smoke", None)
    base, config = (smallest(workload)[0], {}) if smoke is None else (smoke.base, smoke.config)
    metric = workload.metrics(workload.resolve(base, config))[0]
    return Starter(f"How much does {metric} vary with the seed?", base, metric, "min", config)


def as_sweep(workload: Workload, starter: Starter, name: str) -> dict[str, JSON]:
    """The keys of the study."""
    return {
        "version": 1,
        "name": name,
        "description": starter.description,
        "workload": workload.name,
        "base": starter.base,
        "config": dict(starter.config),
        "arms": {label: dict(delta) for label, delta in starter.arms.items()},
        "parameters": {path: {"values": list(values)} for path, values in starter.parameters.items()},
        "metric": starter.metric,
        "mode": starter.mode,
        "seeds": [0] if starter.arms or starter.parameters else [0, 1],
    }


def sweep_text(workload: Workload, starter: Starter, name: str, file: str) -> str:
    """The study as a file with comments, each aligned with those around it."""
    sweep = as_sweep(workload, starter, name)
    config = workload.resolve(starter.base, starter.config)
    with passing_warnings(None):  # `assay validate` repeats them
        budgets = _budgets(stage_graph(workload, config))
    path, amount = list(budgets.items())[-1] if budgets else ("some.path", 100)
    reported = ", ".join(workload.metrics(config))
    text = Template((TEMPLATES / "sweep.yaml").read_text(encoding="utf-8")).substitute(
        {key: _yaml(value) for key, value in sweep.items()},
        description=starter.description,
        schema=SCHEMA,
        given=_as_given(Path(file)),
        metrics=reported,
        config=_section("config", sweep["config"], "for every trial: overrides of the base, by path"),
        arms=_section("arms", sweep["arms"], "each a change to the base"),
        parameters=_section("parameters", sweep["parameters"], "every arm runs with every value"),
        budget=path,
        rungs=", ".join(str(max(1, amount // share)) for share in (9, 3, 1)),
        x="arm" if starter.arms or not starter.parameters else next(iter(starter.parameters)),
        smoke=", ".join(f"{path}: {max(2, amount // SMOKE_SHARE)}" for path, amount in budgets.items()),
    )
    return _aligned(text)


def _file_of(name: str) -> Path:
    """Where a study of this name is written: among the others, if there is a folder of sweeps; or the path itself."""
    path = Path(name)
    if not SAFE_NAME.fullmatch(path.stem if path.suffix in SUFFIXES else path.name):
        raise UserError(
            f"got {name!r}, allowed: a name of letters, digits, '-', '_' and '.', or the path of a new file"
        )
    if path.suffix in SUFFIXES:
        return path
    return (SWEEPS if SWEEPS.is_dir() and path.parent == Path() else path.parent) / f"{path.name}.yaml"


def _as_given(file: Path) -> str:
    """The file as the shortest word that commands find it by."""
    return file.stem if file.parent == SWEEPS else str(file)


def _first_workload() -> str:
    names = workload_names()
    if not names:
        raise UserError("no workload is installed; write one with: assay init my-workload --package")
    return names[0]


def _create(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise UserError(f"{file}: there is one already, and nothing is overwritten; choose another name") from None
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{file}: there is no folder {relative(file.parent)}; make it first") from None


def _budgets(stages: list[Stage]) -> dict[str, int]:
    return {stage.budget.path: stage.amount for stage in stages if stage.budget is not None}


def _section(key: str, values: Mapping[str, JSON], comment: str) -> str:
    if not values:
        return ""
    lines = "".join(f"  {_yaml(name)}: {_yaml(value)}\n" for name, value in values.items())
    return f"{key}:    # {comment}\n{lines}\n"


def _yaml(value: Any) -> str:
    """A value on one line, as a person would write it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_yaml(key)}: {_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    is_plain = isinstance(value, str) and (PLAIN.fullmatch(value.replace(".", "")) and value.lower() not in WORDS)
    return value if is_plain else json.dumps(value, ensure_ascii=False)


def _aligned(text: str) -> str:
    """Comments at the ends of lines begin in one column, but for long lines."""
    column = 46
    lines = [line.split("    # ", 1) if not line.startswith("#") else [line] for line in text.splitlines()]
    return "\n".join(parts[0] if len(parts) == 1 else f"{parts[0]:<{column}}# {parts[1]}" for parts in lines) + "\n"


def _renamed(text: str, words: Mapping[str, str]) -> str:
    for old, new in words.items():
        text = text.replace(old, new)
    return text
