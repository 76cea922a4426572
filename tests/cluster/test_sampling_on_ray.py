"""An evaluation of 4,000 samples on a real local Ray: driver and actor are killed, and the figures are the same."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imaging.data.digits import Digits
from patience import LONGEST_S
from terminal import User

pytestmark = pytest.mark.cluster

NUM_SAMPLES = 4000
NUM_REFERENCE = 400
SHARD = 200
MOST_ACTORS = 3
SAMPLER = "MapWorker(MapBatches(Sampler))"
SWEEP = f"""\
version: 1
name: many
workload: adm
base: digits
config:
  model.channel_mult: [1]
  model.attention_resolutions: []
  classifier: null
  data.source: npz
  data.path: images/digits.npz
  train.iterations: 20
  train.batch_size: 16
  train.precision: fp32
  sample.sampler: ddim
  sample.steps: 3
  sample.precision: fp32
  sample.batch_size: {SHARD // 4}
  evaluate.extractor: pixels
  evaluate.num_samples: {NUM_SAMPLES}
  evaluate.num_reference: {NUM_REFERENCE}
resources:
  sample: {{actors: [1, {MOST_ACTORS}]}}
metric: fd_pixels
mode: min
"""


def sample_shards(user: User) -> list[Path]:
    """Records of the finished shards with ids that only samples have: the reference has fewer."""
    found = user.store.glob("progress/*/shards/*.json")
    return [path for path in found if int(path.name.split("-")[0]) >= NUM_REFERENCE]


def record_of(user: User, stage: str) -> dict[str, Any]:
    """The larger result of that stage: the smaller one's samples are its first."""
    found = [record for record in user.records().values() if record["stage"] == stage]
    return max(found, key=lambda record: record["metrics"].get("num_samples", record["budget"]["amount"]))


def sample_rows(user: User) -> pa.Table:
    record = record_of(user, "features")
    return pa.concat_tables(
        pq.read_table(user.store / shard["file"]["path"], columns=["id", "label", "features"])
        for shard in record["shards"]
    )


def test_four_thousand_samples_survive_a_killed_driver_and_a_killed_actor(tmp_path: Path) -> None:
    user = User(tmp_path / "disturbed", SWEEP)
    digits = Digits().read(np.arange(NUM_REFERENCE))
    (user.folder / "images").mkdir()  # the copy of it below is the same data
    np.savez(user.folder / "images" / "digits.npz", digits.images, digits.labels)
    few = ("--set", "evaluate.num_samples=100")
    user.run("run", "sweep.yaml", "--plain", "--no-tracking", "--executor", "inline", *few)
    shutil.copytree(user.folder, tmp_path / "undisturbed")  # one training for both

    process = user.start("run", "sweep.yaml", "--plain", "--no-tracking")
    user.until(process, lambda: len(sample_shards(user)) >= 4)
    actors = user.workers(SAMPLER)
    assert len(actors) == min(MOST_ACTORS, os.cpu_count() or 1), "as many as there is room for"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    drawn = {path: path.read_bytes() for path in sample_shards(user)}
    assert user.stages().count("features") == 1, "that of the first hundred"

    # The rest by two actors a CPU: they are the same samples, whoever draws them.
    user.sweep.write_text(SWEEP.replace(f"[1, {MOST_ACTORS}]", "[4, 4], cpus_per_actor: 0.5"))
    process = user.start("run", "sweep.yaml", "--plain", "--no-tracking")
    user.until(process, lambda: len(sample_shards(user)) >= len(drawn) + 3)
    killed = next(actor for actor in user.workers(SAMPLER) if actor not in actors)
    os.kill(killed, signal.SIGKILL)
    at_the_kill = len(sample_shards(user))
    assert at_the_kill < (NUM_SAMPLES - NUM_REFERENCE) // SHARD, "it is killed while there is work to do"
    output, errors = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, output + errors
    assert "resumes at" in output
    assert "img/s" in output
    assert {path: path.read_bytes() for path in drawn} == drawn, "what was drawn is not drawn again"
    assert record_of(user, "features")["cost"]["count"] == 4

    undisturbed = User(tmp_path / "undisturbed", SWEEP)
    undisturbed.run("run", "sweep.yaml", "--plain", "--no-tracking", "--executor", "inline")
    rows = sample_rows(user)
    assert rows.column("id").to_pylist() == list(range(NUM_SAMPLES)), "every id, and each once"
    # Bit for bit: the same threads, and the same batches, which are cut at the same ids whoever draws them.
    assert rows.equals(sample_rows(undisturbed))
    assert record_of(user, "evaluate")["metrics"] == record_of(undisturbed, "evaluate")["metrics"]
    assert record_of(user, "evaluate")["metrics"]["num_samples"] == NUM_SAMPLES

    assert [each.stages().count("train") for each in (user, undisturbed)] == [1, 1], "elsewhere it is the same data"
