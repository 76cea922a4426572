"""What a name on the command line leads to: a sweep, a workload, the function of a stage, what a plot shows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import assay as api
from assay.errors import UserError
from assay.jobs.package import staying_here

Assay = Callable[..., Any]


def test_what_is_called_as_a_sweep_does_not_shadow_it(assay: Assay, project: Path) -> None:
    (project / "norms").mkdir()
    assert "sweeps/norms.yaml: OK" in assay("validate", "norms").out
    (project / "norms").rmdir()
    (project / "norms").write_text("no sweep\n")
    result = assay("validate", "norms")
    assert (result.code, result.out.split(":")[0]) == (0, "sweeps/norms.yaml")
    assert result.err == "norms: reading sweeps/norms.yaml; to read ./norms, give that path\n"
    assert assay("validate", "./norms").code == 2


def test_a_sweep_of_two_places_says_which_it_is(assay: Assay, project: Path) -> None:
    (project / "norms.yaml").write_text((project / "sweeps/norms.yaml").read_text())
    result = assay("validate", "norms.yaml")
    assert result.out.startswith("norms.yaml: OK")
    assert "reading ./norms.yaml; to read sweeps/norms.yaml, give that path" in result.err
    assert assay("validate", "./norms.yaml").err == assay("validate", "sweeps/norms.yaml").err == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.mkdir(), "odd.yaml: is a directory; name the YAML file in it"),
        (os.mkfifo, "odd.yaml: cannot be read: it is a pipe; save the sweep to a file"),
        (lambda path: path.symlink_to(path), "odd.yaml: cannot be read: Too many levels of symbolic links"),
        (lambda path: path.write_bytes(b"#" * 100_000_000), "odd.yaml: is larger than 4 MiB"),
        (lambda path: path.write_bytes("name: é".encode("utf-16")), "odd.yaml:1: not UTF-8 text (byte 0xff)"),
        (
            lambda path: path.write_text(f"a: &a {'x' * 60_000}\nb: [{'*a, ' * 99}*a]\n"),
            "odd.yaml:1: more than 4 MiB of text, its aliases written out",
        ),
    ],
    ids=["folder", "pipe", "loop", "huge", "utf16", "aliases"],
)
def test_a_file_that_is_no_sweep_is_one_line(
    assay: Assay, project: Path, make: Callable[[Path], object], says: str
) -> None:
    make(project / "odd.yaml")
    result = assay("validate", "odd.yaml")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(says)
    assert result.err.count("\n") == 1


def test_a_workload_that_cannot_be_imported_is_one_line_and_the_others_go_on(assay: Assay, site: Path) -> None:
    info = site / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1\n")
    points = "[assay.workloads]\nbroken = broken_module:workload\nkind = toy_workload:Toy\nless = toy_workload:BATCH\n"
    (info / "entry_points.txt").write_text(points)
    (site / "broken_module.py").write_text("import no_such_library\n")
    sweep = Path("sweeps/norms.yaml")
    for name, says in (
        ("broken", "cannot be imported: ModuleNotFoundError: No module named 'no_such_library'"),
        ("kind", "is a class; allowed: an instance of it"),
        ("less", "lacks name, seed_path, report, presets, resolve, paths, stages, metrics, which every workload has"),
    ):
        Path("mine.yaml").write_text(sweep.read_text().replace("workload: toy", f"workload: {name}"))
        result = assay("validate", "mine.yaml")
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert result.err.startswith(f"mine.yaml:4: workload: workload '{name}' (")
        assert "of the package their-package) " in result.err
        assert says in result.err
    shown = assay("show", "preset")
    assert shown.code == 0
    assert "tiny  (toy)" in shown.out
    assert "workload 'broken' (broken_module:workload of the package their-package) cannot be imported" in shown.err
    assert [line for line in shown.err.splitlines() if not line.startswith("warning: ")] == []


def install(site: Path, name: str, module: str) -> None:
    info = site / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[assay.workloads]\n{name} = {module}:workload\n")


def test_a_workload_that_ends_the_process_or_cannot_list_its_presets_is_a_warning(assay: Assay, site: Path) -> None:
    install(site, "quits", "quitting_module")
    (site / "quitting_module.py").write_text("import sys\nsys.exit('no licence')\n")
    install(site, "dumb", "dumb_module")
    dumb = "class Dumb(toy_workload.Toy):\n    def presets(self):\n        return 1 / 0\n"
    (site / "dumb_module.py").write_text(f"import toy_workload\n{dumb}workload = Dumb()\n")
    shown = assay("show", "preset", "toy:tiny", "--json")
    assert (shown.code, json.loads(shown.out)["seed"]) == (0, 0)
    assert sorted(shown.err.splitlines()) == [
        "warning: workload 'dumb' cannot list its presets: ZeroDivisionError: division by zero",
        "warning: workload 'quits' (quitting_module:workload of the package quits) cannot be imported: "
        "SystemExit: no licence",
    ]


def test_a_preset_of_two_workloads_is_named_with_its_workload(assay: Assay, site: Path) -> None:
    install(site, "other", "other_module")
    (site / "other_module.py").write_text(
        "import toy_workload\nclass Other(toy_workload.Toy):\n    name = 'other'\nworkload = Other()\n"
    )
    shown = assay("show", "preset", "tiny")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err == "'tiny' is a preset of 2 workloads; allowed: other:tiny, toy:tiny\n"
    assert assay("show", "preset", "other:tiny").code == 0
    assert {"other:tiny  (other)", "toy:tiny  (toy)", "digits  (adm)"} <= set(assay("show", "preset").out.splitlines())
    assert {"other:tiny", "toy:tiny", "digits"} <= set(json.loads(assay("show", "preset", "--json").out))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "toy_workload:evaluate",
            "toy_workload:evaluat",
            "body: 'toy_other:evaluat': the module toy_other has no evaluat",
        ),
        (
            "toy_workload:evaluate",
            "toy_wrkload:evaluate",
            "body: 'toy_wrkload:evaluate': there is no module toy_wrkload",
        ),
        ("toy_workload:evaluate", "os.nothing:x", "body: 'os.nothing:x': there is no module os.nothing"),
        ("toy_workload:check_train", "toy_workload:chck", "check: 'toy_other:chck': the module toy_other has no chck"),
    ],
)
def test_an_import_path_that_leads_nowhere(
    assay: Assay, project: Path, site: Path, tmp_path: Path, old: str, new: str, says: str
) -> None:
    module = tmp_path.name  # imported once a process
    text = (site / "toy_workload.py").read_text().replace(f'"{old}"', f'"{new}"').replace("toy_workload", module)
    (site / f"{module}.py").write_text(text)
    points = site / "toy-1.dist-info" / "entry_points.txt"
    points.write_text(f"[assay.workloads]\ntoy = {module}:workload\n")
    stage = "train" if "check" in old else "evaluate"
    for command in ("validate", "plan", "run"):
        result = assay(command, "norms")
        assert result.code == 2
        assert result.err.splitlines()[0] == f"workload toy: stage {stage}: {says.replace('toy_other', module)}"
    assert not (project / ".assay").exists()
    assert assay("compare", "norms").code == 0, "what is stored is shown all the same"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ('{"precision": 0.5}', "returned the metrics precision; expected distance, which workload toy reports and "),
        ("{}", "returned the metrics none; expected distance, which workload toy reports and the sweep ranks by"),
        ('{"distance": "1.5"}', "for the metric 'distance'; expected one number"),
        ('{"distance": None}', "for the metric 'distance'; expected one number"),
        ('{"distance": np.zeros(2)}', "for the metric 'distance'; expected one number"),
    ],
)
def test_a_metric_that_is_lacking_or_no_number_fails_its_own_trial(
    assay: Assay, project: Path, site: Path, tmp_path: Path, returned: str, says: str
) -> None:
    module = tmp_path.name
    text = (site / "toy_workload.py").read_text().replace("toy_workload", module)
    whole = '    return {"distance": distance, "precision": 0.5, "num_samples": len(values)}\n'
    assert whole in text
    broken = f"    if distance > 1:\n        return {returned}\n"
    (site / f"{module}.py").write_text(text.replace(whole, broken + whole))
    (site / "toy-1.dist-info" / "entry_points.txt").write_text(f"[assay.workloads]\ntoy = {module}:workload\n")
    result = assay("run", "norms", "--set", "train.iterations=5")
    assert result.code == 1
    assert "Traceback" not in result.out + result.err
    lines = [line for line in result.out.splitlines() if line.startswith(("AdaGN, scale 1.0: ", "addition, "))]
    assert len(lines) == 3
    assert all(f"{module}:evaluate" in line and says in line for line in lines)
    (own,) = (line for line in result.out.splitlines() if "AdaGN, scale 0.0" in line and "computed" in line)
    assert "1.000" in own, "the other trial has its result"


@pytest.mark.slow
def test_a_result_without_the_metric_of_another_sweep_fails_its_trial(assay: Assay, project: Path) -> None:
    assay("run", "norms", "--set", "train.iterations=5")
    for record in (project / ".assay/store/results").glob("*/result.json"):
        record.write_text(record.read_text().replace('"precision"', '"other"'))
    result = assay("run", "norms", "--set", "train.iterations=5", "--set", "metric=precision")
    assert result.code in (0, 1)
    assert "Traceback" not in result.out + result.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plot", "says"),
    [
        ("x: sample.scale, y: distanc", "16: report.plots[0].y: no trial reports 'distanc'; did you mean 'distance'?"),
        (
            "x: arm, y: [distance, fid]",
            "16: report.plots[0].y[1]: no trial reports 'fid'; its metrics are distance, prec",
        ),
        (
            "x: sample.scal, y: distance",
            "16: report.plots[0].x: no trial has 'sample.scal'; did you mean 'sample.scale'?",
        ),
        (
            "x: zzz, y: distance",
            "16: report.plots[0].x: no trial has 'zzz'; allowed: arm, a config path, a metric (dist",
        ),
        ("x: sampler.seconds, y: distance", "16: report.plots[0].x: no trial has 'sampler.seconds'"),
    ],
)
def test_a_plot_of_what_no_trial_has(assay: Assay, project: Path, plot: str, says: str) -> None:
    file = project / "sweeps/norms.yaml"
    head = file.read_text().partition("reference:")[0]
    assert head.count("\n") == 12
    file.write_text(f"{head}# a\n# b\nreport:\n  plots: [{{kind: line, {plot}}}]\n")
    result = assay("validate", "norms")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert result.err.startswith(f"sweeps/norms.yaml:{says}")
    good = "".join(
        f"    - {{kind: line, x: {x}, y: precision}}\n"
        for x in ("arm", "distance", "model", "train.seconds", "v100_days", "train.iterations", "seed")
    )
    file.write_text(f"{head}report:\n  plots:\n{good}")
    assert assay("validate", "norms").code == 0


def test_arguments_that_python_callers_may_choose_from(project: Path) -> None:
    sweep = api.load_sweep("sweeps/norms.yaml")
    wrong: list[tuple[Callable[[], object], str]] = [
        (
            lambda: api.run(sweep, executor="inlin"),
            "executor: got 'inlin', allowed: 'ray', 'inline'; did you mean 'inline'?",
        ),  # type: ignore[arg-type]
        (lambda: api.run("norms", executor="inline"), "norms: no such file"),
        (lambda: api.run(3, executor="inline"), "what: got 3 (int), allowed: the path of a sweep file, a dict of"),  # type: ignore[arg-type]
        (lambda: api.plan("norms"), "norms: no such file"),
        (lambda: api.plan(3), "sweep: got 3 (int), allowed: the path of a sweep file, a dict of its keys, or what"),  # type: ignore[arg-type]
        (lambda: api.run(sweep, ".assay"), "home: got '.assay' (str), allowed: assay.home.Home(folder)"),  # type: ignore[arg-type]
        (lambda: api.load_sweep(3), "path: got 3 (int), allowed: the path of a sweep file"),  # type: ignore[arg-type]
        (lambda: api.load_sweep("x", profile=3), "profile: got 3 (int), allowed: the name of a profile"),  # type: ignore[arg-type]
        (lambda: api.load_sweep("x", sets="a=b"), "sets: got 'a=b', allowed: a list of \"path=value\""),
    ]
    for call, says in wrong:
        with pytest.raises(UserError) as caught:
            call()
        assert str(caught.value).startswith(says)


def test_a_workload_whose_package_stays_here_is_warned_of(project: Path, tmp_path: Path) -> None:
    norms = api.load_sweep("sweeps/norms.yaml")
    assert staying_here(norms.model_copy(update={"workload": "adm"}), tmp_path) is None
    said = staying_here(norms, tmp_path)
    assert said is not None
    assert said.startswith("warning: the workload toy is part of toy, which is not uploaded; ")
    assert said.endswith("pass its folder as --workload-package")
