"""A sweep on a real local Ray, through the command line: killed, run again, changed.

The tests share a store and run in order: each is what a user does next.
"""

import json
from collections.abc import Iterator

import pytest

from job_site import installed, until
from terminal import User

pytestmark = pytest.mark.cluster

SWEEP = """\
version: 1
name: two-arms
workload: toy
base: tiny
arms:
  AdaGN: {{model.norm: adagn}}
  addition: {{model.norm: add, train.gates: {gates}}}
metric: distance
mode: min
"""

ALL_STAGES = ["evaluate"] * 2 + ["reference"] + ["sample"] * 2 + ["train"] * 2


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(installed(folder / "site")))
        yield User(folder, SWEEP.format(gates=folder))


def test_a_sweep_that_was_killed_finishes_and_computes_nothing_twice(user: User) -> None:
    """One arm waits in the middle of its training then; of the other, even samples are stored."""
    gate = user.folder / "shut-7"
    gate.touch()
    user.kill_when(lambda: "sample" in user.stages() and len(user.checkpoints()) > 1)
    first = user.records()
    assert user.stages().count("train") == 1
    until(lambda: not user.training_workers())  # what a driver leaves may outlive it by a moment
    gate.unlink()
    output = user.run("run", "sweep.yaml", "--plain", "--no-tracking")
    assert "resumes at" in output
    last = user.records()
    assert first.items() <= last.items(), "what was committed before the kill is as it was"
    assert user.stages() == ALL_STAGES
    for arm in ("AdaGN", "addition"):
        assert arm in output
    assert "distance" in output


def test_a_second_run_recomputes_nothing_and_prints_the_same_table(user: User) -> None:
    before = user.records()
    table = json.loads(user.run("compare", "sweep.yaml", "--json"))
    output = json.loads(user.run("run", "sweep.yaml", "--json", "--no-tracking"))
    assert user.records() == before
    assert output["computed"] == 0
    assert output["trials"] == table["sweeps"][0]["trials"]
    assert len(output["trials"]) == 2


def test_a_changed_arm_runs_only_its_own_stages_and_a_damaged_result_is_computed_again(user: User) -> None:
    before = user.records()
    user.sweep.write_text(user.sweep.read_text().replace("{model.norm: add,", "{model.norm: add, train.anything: new,"))
    stays = next(record for record in before.values() if record["metrics"].get("distance") == 1.0)  # of AdaGN
    damaged = stays["inputs"]["samples"]
    shard = user.store / before[damaged]["shards"][0]["file"]["path"]
    shard.write_bytes(shard.read_bytes()[:-1])
    output = user.run("run", "sweep.yaml", "--plain", "--no-tracking")
    after = user.records()
    new = sorted(after[key]["stage"] for key in after if key not in before)
    assert new == ["evaluate", "sample", "train"]
    assert "damaged" in output
    assert after[damaged]["created"] > before[damaged]["created"]
    unchanged = {key: record for key, record in before.items() if key != damaged}
    assert unchanged.items() <= after.items()
