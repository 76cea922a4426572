"""What ships is right: the sweeps and the notebook. `test_guides.py` has the guides."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from assay.planning import make_plan
from assay.sweep import load_sweep
from repository import ROOT

SWEEPS = sorted(ROOT.glob("sweeps/*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_sweep_is_valid_in_every_profile(path: Path) -> None:
    """The trials of a searcher that learns are not known before a run: random ones stand for them."""
    for profile in [None, *load_sweep(path).profiles]:
        sweep = load_sweep(path, profile=profile)
        if sweep.searcher.facts.learns:
            sweep = load_sweep(path, profile=profile, sets=["searcher={name: random, num_trials: 3}"])
        assert make_plan(sweep).stages


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


@pytest.mark.slow
def test_planning_imports_neither_ray_nor_torch_nor_mlflow() -> None:
    code = (
        "import sys; from assay.sweep import load_sweep; from assay.planning import checked, make_plan\n"
        f"checked(make_plan(load_sweep({str(SWEEPS[0])!r}))).stages\n"
        "print(*{'ray', 'torch', 'mlflow', 'pandas'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == ""
