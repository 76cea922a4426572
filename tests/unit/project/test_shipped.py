"""What ships is right: the sweeps, the README's sweep and its Python."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from assay.planning import make_plan
from assay.sweep import load_sweep
from repository import ROOT

SWEEPS = sorted(ROOT.glob("sweeps/*.yaml"))
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_sweep_is_valid_in_every_profile(path: Path) -> None:
    sweep = load_sweep(path)
    for profile in [None, *sweep.profiles]:
        assert make_plan(load_sweep(path, profile=profile)).stages


def test_quickstart_shares_one_classifier_and_two_trainings_among_four_trials() -> None:
    plan = make_plan(load_sweep(ROOT / "sweeps" / "quickstart.yaml"))
    names = [stage.name for stage in plan.stages.values()]
    assert len(plan.trials) == 4
    assert {name: names.count(name) for name in set(names)} == {
        "train_classifier": 1,
        "reference": 1,
        "statistics": 1,
        "train": 2,
        "features": 4,
        "evaluate": 4,
    }


def test_notebooks_are_shipped_without_outputs() -> None:
    for file in ROOT.glob("sweeps/*.ipynb"):
        cells = [cell for cell in json.loads(file.read_text())["cells"] if cell["cell_type"] == "code"]
        assert [(cell["outputs"], cell["execution_count"]) for cell in cells] == [([], None)] * len(cells)


def test_the_readmes_sweep_is_valid(tmp_path: Path) -> None:
    block, search = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "my-study.yaml"
    head = "version: 1\nname: a\nworkload: adm\nbase: tiny_digits\nmetric: fd_classifier\nmode: min\n"
    path.write_text(head + search)
    assert len(load_sweep(path).trials()) == 2 * 40
    path.write_text(block)
    assert len(load_sweep(path).trials()) == 2 * 3 * 3
    assert len(load_sweep(path, profile="smoke").trials()) == 18


@pytest.mark.slow
def test_the_readmes_models_are_as_it_says() -> None:
    block = next(b for b in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "adm.models.build" in b)
    check = "import torch\nwith torch.device('meta'):\n" + "".join(f"    {line}\n" for line in block.splitlines())
    check += "assert f'{sum(p.numel() for p in model.parameters()):,}' == '295,904,454'"
    subprocess.run([sys.executable, "-c", check], check=True)


@pytest.mark.slow
def test_planning_imports_neither_ray_nor_torch_nor_mlflow() -> None:
    code = (
        "import sys; from assay.sweep import load_sweep; from assay.planning import checked, make_plan\n"
        f"checked(make_plan(load_sweep({str(SWEEPS[0])!r}))).stages\n"
        "print(*{'ray', 'torch', 'mlflow', 'pandas'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == ""
