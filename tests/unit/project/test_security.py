"""What a file, a name or a neighbour on the network could do: nothing."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from assay.errors import SpecError
from assay.home import Home
from assay.jobs.local import LOCALHOST
from assay.sweep import load_sweep
from assay.tracking.ui import ui_command
from repository import ROOT

SOURCES = sorted(
    path for folder in ("platform", "workloads", "sweeps", "infra") for path in ROOT.glob(f"{folder}/**/*.py")
)


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call, by the name it is written with: "torch.load"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@cache
def calls_of_sources() -> Sequence[tuple[Path, str, ast.Call]]:
    """Of all sources, which are read once for all tests."""
    return [(path, *found) for path in SOURCES for found in calls(ast.parse(path.read_text()))]


def option(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == name), None)


def runs_a_shell(name: str, call: ast.Call) -> bool:
    in_shell = name.startswith(("subprocess.", "asyncio.create_subprocess")) and option(call, "shell") not in (
        None,
        "False",
    )
    return in_shell or name in ("os.system", "os.popen", "subprocess.getoutput", "asyncio.create_subprocess_shell")


def runs_text(name: str, call: ast.Call) -> bool:
    return name in ("eval", "exec", "builtins.eval", "builtins.exec")


def unpickles(name: str, call: ast.Call) -> bool:
    if name == "torch.load":
        return option(call, "weights_only") != "True"
    if name in ("np.load", "numpy.load"):
        return option(call, "allow_pickle") not in (None, "False")
    return name.startswith(("pickle.load", "dill.", "joblib.load", "cloudpickle.load", "pd.read_pickle"))


def builds_from_yaml(name: str, call: ast.Call) -> bool:
    loader = option(call, "Loader")
    unsafe = name.startswith(("yaml.unsafe", "yaml.full")) or (loader is not None and "Safe" not in loader)
    return unsafe or (name == "YAML" and option(call, "typ") in ("'unsafe'", "'full'"))


def listens_to_all(name: str, call: ast.Call) -> bool:
    return any(isinstance(node, ast.Constant) and node.value in ("0.0.0.0", "::") for node in ast.walk(call))


@pytest.mark.slow
@pytest.mark.parametrize("is_wrong", [runs_a_shell, runs_text, unpickles, builds_from_yaml, listens_to_all])
def test_no_source_does_it(is_wrong: Callable[[str, ast.Call], bool]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}"
        for path, name, call in calls_of_sources()
        if is_wrong(name, call)
    ]
    assert found == []
    assert len(SOURCES) > 100


@pytest.mark.parametrize(
    ("is_wrong", "source"),
    [
        (runs_a_shell, "subprocess.run(f'ls {name}', shell=True)"),
        (runs_text, "eval(text)"),
        (unpickles, "torch.load(path)"),
        (unpickles, "np.load(path, allow_pickle=True)"),
        (builds_from_yaml, "YAML(typ='unsafe')"),
        (builds_from_yaml, "yaml.load(text, Loader=yaml.Loader)"),
        (listens_to_all, "server.bind(('0.0.0.0', 80))"),
    ],
)
def test_it_would_be_found(is_wrong: Callable[[str, ast.Call], bool], source: str) -> None:
    assert any(is_wrong(name, call) for name, call in calls(ast.parse(source)))


def test_a_sweep_file_builds_no_objects(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    for tag in ("!!python/object/apply:os.system", "!!python/object/apply:subprocess.Popen", "!!python/name:os.system"):
        file.write_text(f"version: 1\nname: {tag} [touch {tmp_path}/pwned]\n")
        with pytest.raises(SpecError):
            load_sweep(file)
    assert not (tmp_path / "pwned").exists()


def test_what_is_served_is_served_to_this_machine_alone() -> None:
    command = ui_command(Home(Path("home")))
    assert command[command.index("--host") + 1] == LOCALHOST == "127.0.0.1"


def test_what_a_database_is_opened_with_is_on_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """All users of a machine see the command lines of all."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:s3cr3t@host/mlflow")
    assert "s3cr3t" not in " ".join(ui_command(Home(Path("home"))))
