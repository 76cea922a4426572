"""A sweep on a real local Ray, through the command line: killed, run again, changed.

The tests share a store and run in order: each is what a user does next.
"""

import json

import pytest

from terminal import User

pytestmark = pytest.mark.cluster

SWEEP = """\
version: 1
name: two-arms
workload: adm
base: digits
config:
  train.iterations: 40
  train.batch_size: 8
  train.checkpoint_every: 10
  train.precision: fp32
  classifier.train.iterations: 20
  classifier.train.batch_size: 8
  evaluate.num_samples: 120
  evaluate.num_reference: 400
  sample.steps: 4
  sample.batch_size: 20
arms:
  AdaGN: {model.norm: adagn}
  addition: {model.norm: add}
metric: fd_classifier
mode: min
"""

ALL_STAGES = ["evaluate"] * 2 + ["reference"] + ["sample"] * 2 + ["statistics"] + ["train"] * 2 + ["train_classifier"]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    return User(tmp_path_factory.mktemp("user"), SWEEP)


def test_a_sweep_killed_twice_finishes_and_computes_nothing_twice(user: User) -> None:
    user.kill_when(lambda: bool(user.checkpoints()))
    first = user.records()
    user.kill_when(lambda: "sample" in user.stages() or len(user.records()) >= 5)
    second = user.records()
    assert first.items() <= second.items()
    output = user.run("run", "sweep.yaml", "--plain")
    last = user.records()
    assert second.items() <= last.items(), "what was committed before the kill is as it was"
    assert user.stages() == ALL_STAGES
    for arm in ("AdaGN", "addition"):
        assert arm in output
    assert "fd_classifier" in output


def test_a_second_run_recomputes_nothing_and_prints_the_same_table(user: User) -> None:
    before = user.records()
    table = json.loads(user.run("compare", "sweep.yaml", "--json"))
    output = json.loads(user.run("run", "sweep.yaml", "--json"))
    assert user.records() == before
    assert output["computed"] == 0
    assert output["trials"] == table["sweeps"][0]["trials"]
    assert len(output["trials"]) == 2


def test_a_changed_arm_runs_only_its_own_stages_and_a_damaged_result_is_computed_again(user: User) -> None:
    before = user.records()
    user.sweep.write_text(SWEEP.replace("{model.norm: add}", "{model.norm: add, model.dropout: 0.1}"))
    damaged = next(key for key, record in before.items() if record["stage"] == "reference")
    shard = user.store / before[damaged]["shards"][0]["file"]["path"]
    shard.write_bytes(shard.read_bytes()[:-1])
    output = user.run("run", "sweep.yaml", "--plain")
    after = user.records()
    new = sorted(after[key]["stage"] for key in after if key not in before)
    assert new == ["evaluate", "sample", "train"]
    assert "damaged" in output
    assert after[damaged]["created"] > before[damaged]["created"]
    unchanged = {key: record for key, record in before.items() if key != damaged}
    assert unchanged.items() <= after.items()
