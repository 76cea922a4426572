"""The guides are right: links lead somewhere, commands and their options exist, and every example runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

import assay
from assay.cli.app import app
from assay.cli.commands.key_tables import key_tables
from assay.home import Home
from assay.planning import checked, make_plan
from assay.sweep import load_sweep
from assay.sweep.json_schema import json_schema
from assay.sweep.plot_kinds import PLOT_KINDS
from assay.workload import load_workload
from installed import install
from repository import ROOT

GUIDES = [
    ROOT / "README.md",
    *(ROOT / folder / "README.md" for folder in ("platform", "sweeps", "infra", "tests")),
    *sorted(ROOT.glob("workloads/*/README.md")),
]
PLACES = tuple(ROOT / folder for folder in ("platform", "workloads", "sweeps", "infra", "tests"))
EXAMPLES = re.compile(r"my_\w+\.py")
"""Files of the reader's."""
DICE = {
    "version": 1,
    "name": "sides",
    "workload": "dice",
    "base": "fair",
    "parameters": {"sides": {"values": [6, 20]}},
    "metric": "mean",
    "mode": "max",
}
ids = pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: str(guide.parent.relative_to(ROOT)))


def blocks(guide: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / guide).read_text(), re.DOTALL)


def block(guide: str, language: str, having: str) -> str:
    (only,) = [text for text in blocks(guide, language) if having in text]
    return only


def anchors(guide: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", guide.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@ids
def test_links_lead_somewhere(guide: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", guide.read_text()):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            file = (guide.parent / path) if path else guide
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


@ids
def test_files_that_are_named_exist(guide: Path) -> None:
    names = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|ipynb|md)|(?:[\w-]+/){2,})`", guide.read_text())
    for name in names:
        if not EXAMPLES.fullmatch(name) and not name.startswith("."):
            assert (ROOT / name).exists() or any(next(place.glob(f"**/{name}"), None) for place in PLACES), name


def commands(guide: Path) -> Iterator[list[str]]:
    """The words after `assay`, in code and in text."""
    text = guide.read_text().replace("\\\n", " ")
    lines = [
        *re.findall(r"^    (?:.*&& |.*TOKEN=\S+ |.*MODE=\w+ )?(?:\.venv/bin/)?assay ([^#\n]*)", text, re.MULTILINE)
    ]
    for words in (*lines, *re.findall(r"`assay ([^`]+)`", text)):
        yield shlex.split(words.replace("\n", " ").replace("…", "").replace("[", "").replace("]", ""))


@ids
def test_commands_and_their_options_exist(guide: Path) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    for first, *words in commands(guide):
        command = group if first.startswith("-") else group.get_command(None, first)  # also those of workloads
        assert command is not None, first
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        options = [word.partition("=")[0] for word in (first, *words) if word.startswith("-")]
        assert set(options) <= known | {"--help"}, (first, options)


def test_every_key_of_a_sweep_is_in_its_guide() -> None:
    text = (ROOT / "sweeps" / "README.md").read_text()
    printed = re.search(r"<!-- keys: .* -->\n(.*)<!-- end of keys -->", text, re.DOTALL)
    assert printed is not None
    now = key_tables(json_schema([load_workload("adm"), load_workload("biggan")]))
    assert printed[1] == now, "print them again: assay schema adm biggan --markdown"


def test_every_sweep_is_in_the_index() -> None:
    text = (ROOT / "sweeps" / "README.md").read_text()
    table = text[text.index("| sweep | asks |") : text.index("## Every key")]
    indexed = set(re.findall(r"`(\w+)`", table))
    assert indexed == {file.stem for file in ROOT.glob("sweeps/*.yaml")} - {"quickstart", "cifar10"}


def test_sweeps_in_guides_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "my-study.yaml"
    for guide in ("README.md", "sweeps/README.md"):
        path.write_text(block(guide, "yaml", "version: 1"))
        assert len(load_sweep(path).trials()) == 2 * 3 * 3
        assert len(load_sweep(path, profile="smoke").trials()) == 18
    head = "version: 1\nname: a\nworkload: adm\nbase: tiny_digits\nmetric: fd_classifier\nmode: min\n"
    path.write_text(head + block("sweeps/README.md", "yaml", "searcher:"))
    assert len(load_sweep(path).trials()) == 2 * 40
    head = head.partition("metric")[0] + "metric: {fd_classifier: min, precision: max, recall: max}\n"
    head += "arms: {a: {}, b: {model.norm: add}}\nparameters:\n  sample.guidance_scale: {values: [0, 1]}\n"
    head += "  sample.steps: {values: [9, 20]}\n"
    path.write_text(head + block("sweeps/README.md", "yaml", "plots:"))
    assert {plot.kind for plot in load_sweep(path).report.plots} == set(PLOT_KINDS)


def test_metrics_are_functions_on_arrays(capsys: pytest.CaptureFixture[str]) -> None:
    exec(block("workloads/imaging/README.md", "python", "frechet_distance"), {})
    distance, precision_recall, _, density_coverage = capsys.readouterr().out.splitlines()
    assert 0 < float(distance) < 1
    assert "precision" in precision_recall
    assert "coverage" in density_coverage


@pytest.mark.slow
def test_the_papers_models_by_themselves() -> None:
    lines = block("workloads/adm/README.md", "python", "adm.models.build").splitlines()
    check = "import torch\nwith torch.device('meta'):\n" + "".join(f"    {line}\n" for line in lines)
    check += "assert f'{sum(p.numel() for p in model.parameters()):,}' == '295,904,454'"
    subprocess.run([sys.executable, "-c", check], check=True)


@pytest.mark.slow
def test_the_rival_by_itself() -> None:
    names: dict[str, object] = {}
    exec(block("workloads/biggan/README.md", "python", "biggan.build"), names)
    assert tuple(names["images"].shape) == (4, 1, 8, 8)  # type: ignore[attr-defined]
    assert names["images"].abs().max() <= 1  # type: ignore[attr-defined]


def installed(guide: str, module: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example whose file has this name, with the entry point that follows it."""
    text = (ROOT / guide).read_text()
    code, toml = re.search(rf"```python\n(# {module}\.py\n.*?)```.*?```toml\n(.*?)```", text, re.DOTALL).groups()  # type: ignore[union-attr]
    points = tomllib.loads(toml)["project"]["entry-points"]
    entries = {group: f"{name} = {value}" for group, named in points.items() for name, value in named.items()}
    install(folder, monkeypatch, module, code, entries)


def test_the_smallest_workload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("platform/README.md", "dice", tmp_path, monkeypatch)
    outcome = assay.run({**DICE, "seeds": [0, 1]}, Home(tmp_path / "home"), executor="inline")
    means = outcome.results()["mean"].groupby("sides").mean()
    assert 3 < means[6] < 4
    assert 9 < means[20] < 12


@pytest.mark.slow
def test_a_kind_of_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("platform/README.md", "step_plot", tmp_path / "plot", monkeypatch)
    installed("platform/README.md", "dice", tmp_path / "dice", monkeypatch)
    sweep = {**DICE, "report": {"plots": [{"kind": "step", "x": "sides", "y": "mean"}]}}
    assay.run(sweep, home := Home(tmp_path / "home"), executor="inline")
    assert "mean-by-sides-step" in assay.report(sweep, home=home).read_text()


@pytest.mark.slow
def test_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("workloads/imaging/README.md", "my_metrics", tmp_path, monkeypatch)
    smoke = load_workload("biggan").smoke  # type: ignore[attr-defined]
    sweep = {
        "version": 1,
        "name": "spread",
        "workload": "biggan",
        "base": smoke.base,
        "metric": "spread",
        "mode": "max",
    }
    config = {**smoke.config, "evaluate.metrics": ["spread"]}
    (trial,) = assay.run({**sweep, "config": config}, Home(tmp_path / "home"), executor="inline").trials
    assert trial.metrics["spread"] > 0


def test_a_spacing_of_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("workloads/adm/README.md", "my_steps", tmp_path, monkeypatch)
    sweep = {
        "version": 1,
        "name": "steps",
        "workload": "adm",
        "base": "digits",
        "metric": "fd_classifier",
        "mode": "min",
    }
    steps = ["quadratic2", "quadratic20", "quadratic250"]
    plan = checked(make_plan(load_sweep({**sweep, "parameters": {"sample.steps": {"values": steps}}})))
    assert [trial.trial.config["sample"]["steps"] for trial in plan.trials] == steps


@pytest.mark.slow
def test_a_sampler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("workloads/adm/README.md", "my_samplers", tmp_path, monkeypatch)
    loop = (ROOT / "tests/fixtures/guest_pieces/heun.py").read_text()
    (tmp_path / "site" / "my_heun.py").write_text(loop)
    sweep = {
        "version": 1,
        "name": "heun",
        "workload": "adm",
        "base": "tiny_digits",
        "config": {
            "classifier": None,
            "train.iterations": 2,
            "sample.sampler": "heun",
            "sample.steps": 3,
            "evaluate.extractor": "pixels",
            "evaluate.num_samples": 100,
            "evaluate.num_reference": 100,
        },
        "metric": "fd_pixels",
        "mode": "min",
    }
    (trial,) = assay.run(sweep, Home(tmp_path / "home"), executor="inline").trials
    assert trial.metrics["fd_pixels"] > 0
