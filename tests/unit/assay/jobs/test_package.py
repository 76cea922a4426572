"""What a job takes along, and what it is told: nothing more than it should, and all of it quoted."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import toy_workload
from assay.client import _as_sets
from assay.errors import UserError
from assay.jobs import package, submission
from assay.jobs.package import as_file, packed, staying_here
from assay.planning import make_plan
from assay.sweep import Sweep, load_sweep
from repository import ROOT

pytestmark = pytest.mark.slow

SWEEPS = ROOT / "sweeps"
TOY = """\
version: 1
name: norms
workload: toy
base: tiny
arms: {"a: 'b' # {x}": {model.norm: adagn}, "no": {model.norm: add}}
metric: distance
mode: min
profiles:
  smoke: {config: {train.iterations: 5}}
  "1e3": {config: {train.iterations: 6}}
"""


def sweep(folder: Path, text: str = TOY, **options: object) -> Sweep:
    file = folder / "norms.yaml"
    file.write_text(text)
    return load_sweep(file, find_workload=lambda name: toy_workload.workload, **options)  # type: ignore[arg-type]


@pytest.fixture
def workload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy as a user's own package, which is installed here."""
    folder = tmp_path / "mine"
    info = tmp_path / "installed" / "toy-1.dist-info"
    folder.mkdir()
    info.mkdir(parents=True)
    (folder / "toy_workload.py").write_text(Path(toy_workload.__file__).read_text())
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[assay.workloads]\ntoy = toy_workload:workload\n")
    monkeypatch.syspath_prepend(info.parent)
    return folder


def pack(folder: Path, workload: Path | None, made: Sweep) -> tuple[str, list[str]]:
    target = folder / f"packed-{len(list(folder.iterdir()))}"
    target.mkdir()
    digest = packed(made, workload, target)
    return digest, sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_is_sent_means_what_was_checked(path: Path, tmp_path: Path) -> None:
    """Every shipped sweep, in every profile: the same stages."""
    for profile in [None, *load_sweep(path).profiles]:
        takes_one_seed = load_sweep(path, profile=profile).scheduler.facts.needs_intervals  # of samples, not of seeds
        sets = [f"seeds={[3] if takes_one_seed else [3, 4]}", "limits.v100_days=5"]
        here = load_sweep(path, profile=profile, sets=sets)
        sent = tmp_path / "sent.yaml"
        sent.write_text(as_file(here))
        there = load_sweep(sent, profile=profile)
        assert make_plan(there).stages.keys() == make_plan(here).stages.keys()
        assert [t.name for t in there.trials()] == [t.name for t in here.trials()]
        assert there.model_dump(exclude={"profiles"}) == here.model_dump(exclude={"profiles"})
        assert there.profile == here.profile


ODD = [
    "~",
    "",
    "#x",
    "a #b",
    "a: b",
    ".5",
    "-.5e3",
    "1e5",
    "null",
    "\x85",
    " \t",
    "- a",
    "[",
    "{x",
    "2024-01-01",
    "ö 💥\n",
]


@pytest.mark.parametrize("value", [*ODD, 1e-5, 1e300, 10**30, None, True, ["1", 1], {"a": ".5"}], ids=repr)
def test_a_value_that_was_set_is_the_same_there(tmp_path: Path, value: object) -> None:
    here = sweep(tmp_path, sets=_as_sets({"train.anything": value}))
    (tmp_path / "sent.yaml").write_text(as_file(here), encoding="utf-8")
    there = load_sweep(tmp_path / "sent.yaml", find_workload=lambda name: toy_workload.workload)
    assert repr(there.config["train.anything"]) == repr(here.config["train.anything"]) == repr(value)


def test_names_that_yaml_and_a_shell_would_read_otherwise(tmp_path: Path) -> None:
    made = sweep(tmp_path, profile="1e3")
    sent = tmp_path / "sent.yaml"
    sent.write_text(as_file(made))
    there = load_sweep(sent, profile="1e3", find_workload=lambda name: toy_workload.workload)
    assert list(there.arms) == ["a: 'b' # {x}", "no"]
    made._profile = profile = "a; touch pwned $(touch pwned)"  # no file may say so, and the line would bear it
    line = submission.entrypoint(made)
    words = ["assay", "run", "norms.yaml", f"--profile={profile}", "--plain", "--rows", "--address", "auto"]
    assert shlex.split(line) == words
    (tmp_path / "assay").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "assay").chmod(0o755)
    there_env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=there_env, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == words[1:]
    assert not (tmp_path / "pwned").exists()


def test_the_same_is_the_same_and_a_change_of_anything_is_another(tmp_path: Path, workload: Path) -> None:
    digest, _ = pack(tmp_path, workload, sweep(tmp_path))
    assert pack(tmp_path, workload, sweep(tmp_path, TOY + "# a remark\n"))[0] == digest
    others = {
        pack(tmp_path, workload, sweep(tmp_path, profile="smoke"))[0],
        pack(tmp_path, workload, sweep(tmp_path, sets=["train.iterations=6"]))[0],
        pack(tmp_path, None, sweep(tmp_path))[0],
    }
    (workload / "toy_workload.py").write_text("workload = None\n")
    others.add(pack(tmp_path, workload, sweep(tmp_path))[0])
    assert len(others) == 4
    assert digest not in others


def test_a_workload_package_goes_along_with_its_entry_point_and_without_what_is_the_machines_own(
    tmp_path: Path, workload: Path
) -> None:
    for name in (".git/config", "__pycache__/a.pyc", ".venv/lib/x.py"):
        (workload / name).parent.mkdir(parents=True)
        (workload / name).write_text("x")
    (workload / "tokens.py").write_text("TOKENS = 3\n")
    for name in (".gitignore", ".rayignore"):
        (workload / name).write_text("*.py\n")  # which Ray would obey
    _, names = pack(tmp_path, workload, sweep(tmp_path))
    info = "workload_of_this_job-0.dist-info"
    assert names == ["norms.yaml", "tokens.py", "toy_workload.py", f"{info}/METADATA", f"{info}/entry_points.txt"]


def test_what_links_lead_to_goes_along_once_a_link(tmp_path: Path, workload: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "deep").mkdir(parents=True)
    (shared / "losses.py").write_text("LOSS = 1\n")
    (shared / "deep" / "more.py").write_text("MORE = 1\n")
    (workload / "losses").symlink_to(shared)
    (workload / "again").symlink_to(shared / "deep")
    (workload / "one.py").symlink_to(shared / "losses.py")
    (workload / ".venv").symlink_to(shared)  # the machine's own, wherever it is
    (workload / "gone").symlink_to(tmp_path / "nowhere")
    _, names = pack(tmp_path, workload, sweep(tmp_path))
    ours = {name for name in names if name.endswith(".py")}
    assert ours == {"again/more.py", "losses/deep/more.py", "losses/losses.py", "one.py", "toy_workload.py"}


def test_links_that_lead_back_end(tmp_path: Path, workload: Path) -> None:
    (workload / "inner").mkdir()
    (workload / "inner" / "module.py").touch()
    (workload / "inner" / "up").symlink_to("..")
    (workload / "itself").symlink_to(".")
    (workload / "for_ever").symlink_to("for_ever")
    _, names = pack(tmp_path, workload, sweep(tmp_path))
    assert {name for name in names if name.endswith(".py")} == {"inner/module.py", "toy_workload.py"}


def test_a_link_does_not_hide_that_something_looks_like_a_secret(tmp_path: Path, workload: Path) -> None:
    home = tmp_path / "home"
    (home / ".docker").mkdir(parents=True)
    (home / ".docker" / "config.json").write_text("{}")
    (home / ".netrc").write_text("machine")
    (workload / "settings").symlink_to(home / ".docker")
    (workload / "one.json").symlink_to(home / ".docker" / "config.json")
    (workload / "names.txt").symlink_to(home / ".netrc")
    with pytest.raises(UserError, match="look like secrets") as refusal:
        pack(tmp_path, workload, sweep(tmp_path))
    for name in ("settings/config.json", "one.json", "names.txt"):
        assert str(workload / name) in str(refusal.value)


def test_a_package_of_modules_keeps_its_name(tmp_path: Path, workload: Path) -> None:
    (workload / "__init__.py").touch()
    entry = tmp_path / "installed/toy-1.dist-info/entry_points.txt"
    entry.write_text("[assay.workloads]\ntoy = mine.toy_workload:workload\n")
    _, names = pack(tmp_path, workload, sweep(tmp_path))
    assert {"mine/__init__.py", "mine/toy_workload.py"} < set(names)


def test_what_else_the_package_registers_is_registered_on_the_cluster(tmp_path: Path, workload: Path) -> None:
    entry = tmp_path / "installed/toy-1.dist-info/entry_points.txt"
    entry.write_text(
        "[assay.workloads]\ntoy = toy_workload:workload\n[assay.schedulers]\nmine = toy_schedulers:MINE\n"
        "other = elsewhere:OTHER\n[console_scripts]\ntoy = toy_workload:main\n"
    )
    (workload / "toy_schedulers.py").touch()
    target = tmp_path / "packed"
    target.mkdir()
    packed(sweep(tmp_path), workload, target)
    assert (target / "workload_of_this_job-0.dist-info" / "entry_points.txt").read_text() == (
        "[assay.schedulers]\nmine = toy_schedulers:MINE\n[assay.workloads]\ntoy = toy_workload:workload\n"
    )


def test_a_package_without_the_sweeps_workload(tmp_path: Path, workload: Path) -> None:
    (workload / "toy_workload.py").rename(workload / "other.py")
    with pytest.raises(UserError, match="does not contain the module toy_workload of the workload toy"):
        pack(tmp_path, workload, sweep(tmp_path))


SECRETS = [
    *(".env", ".env.local", "prod.env", "id_rsa", "server.pem", "aws/credentials", "github_token", "token.txt"),
    *(".netrc", ".npmrc", ".boto", ".kube/config", ".docker/config.json", "terraform.tfvars", "store.jks"),
    *("password", "passwords.txt", "DB_PASSWORD.txt", "api_key.txt", "api-keys.json"),
]
HARMLESS = ["notes.txt", "tokens.py", "passwords.py", "api_keys.py", "tokenizer.json", "keys.npz", "config.json"]


def test_every_file_that_looks_like_a_secret_is_named(tmp_path: Path, workload: Path) -> None:
    for name in [*SECRETS, *HARMLESS]:
        (workload / name).parent.mkdir(exist_ok=True)
        (workload / name).write_text("hello")
    (workload / "key_in_code.py").write_text('KEY = """-----BEGIN OPENSSH PRIVATE KEY-----"""\n')
    with pytest.raises(UserError, match="look like secrets") as refusal:
        pack(tmp_path, workload, sweep(tmp_path))
    for name in [*SECRETS, "key_in_code.py"]:
        assert str(workload / name) in str(refusal.value)
    named = str(refusal.value).partition(": ")[2].partition("cluster: ")[2]
    for name in [*HARMLESS, "toy_workload.py"]:
        assert str(workload / name) not in named


@pytest.mark.parametrize("value", [Path("/data/train"), [Path("/data/train"), 1], {"a": None}, True])
def test_overrides_are_what_yaml_can_say(value: object) -> None:
    (told,) = _as_sets({"data.path": value})
    assert YAML(typ="safe").load(told.partition("=")[2]) == json.loads(json.dumps(value, default=str))


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, [object()]])
def test_an_override_that_is_none_of_these_is_named(value: object) -> None:
    with pytest.raises(UserError, match=r"overrides: data\.path: got .*, allowed: a number, a string or a path"):
        _as_sets({"data.path": value})


def test_too_much_is_refused_and_the_largest_are_named(
    tmp_path: Path, workload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "LIMIT_BYTES", 200_000)
    (workload / "images.npz").write_bytes(b"0" * 300_000)
    with pytest.raises(UserError, match=r"got 30\d kB, allowed: 200 kB; the largest are .*images.npz \(300 kB\)"):
        pack(tmp_path, workload, sweep(tmp_path))


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--workload-package: got .*nowhere"):
        pack(tmp_path, tmp_path / "nowhere", sweep(tmp_path))


def test_every_workload_that_arms_name_goes_along_or_is_warned_of(tmp_path: Path, workload: Path) -> None:
    entry = tmp_path / "installed/toy-1.dist-info/entry_points.txt"
    entry.write_text("[assay.workloads]\ntoy = toy_workload:workload\nrival = rivals:workload\n")
    made = sweep(tmp_path, TOY.replace("arms: {", "arms: {rival: {workload: rival, base: tiny, sample.scale: 3.0}, "))
    assert made.workloads == ["toy", "rival"]
    (tmp_path / "sent.yaml").write_text(as_file(made))
    there = load_sweep(tmp_path / "sent.yaml", find_workload=lambda name: toy_workload.workload)
    assert there.arms == made.arms
    with_toy, with_both = tmp_path / "one", tmp_path / "both"
    with_toy.mkdir()
    packed(made, workload, with_toy)
    assert staying_here(made, with_toy) == (
        "warning: the workload rival is part of toy, which is not uploaded; unless it is installed on all of the "
        "cluster's machines, the job fails: pass its folder as --workload-package"
    )
    (workload / "rivals.py").touch()
    with_both.mkdir()
    packed(made, workload, with_both)
    assert staying_here(made, with_both) is None
    points = (with_both / "workload_of_this_job-0.dist-info" / "entry_points.txt").read_text()
    assert points == "[assay.workloads]\ntoy = toy_workload:workload\nrival = rivals:workload\n"
