"""What a sweep file may say, and what comes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from assay.sweep import Sweep, load_sweep
from assay.sweep.lines import Document
from assay.sweep.merge import with_sets

Load = Callable[..., Sweep]


def test_a_whole_sweep(load: Load) -> None:
    sweep = load(
        """\
description: all of it
config:
  train.learning_rate: 1e-4
parameters:
  sample.guidance_scale: {values: [0.0, 1.0]}
arms:
  AdaGN: {}
  addition + GroupNorm: {model.norm: add}
searcher: {name: grid}
scheduler: {name: fifo}
seeds: [0, 3]
resources:
  train: {workers: 2, gpus_per_worker: 0.5}
  sample: {actors: [1, 64], gpus_per_actor: 1}
limits: {concurrent_trials: 2, retries: 1}
reference:
  source: table 6
  rows:
    - {when: {model.norm: adagn}, fid: 13.06, recall: 0.5}
report:
  plots: [{kind: bar, x: model.norm, y: fid}]
"""
    )
    assert sweep.name == "norms"
    assert sweep.config == {"train.learning_rate": 1e-4}
    assert sweep.resources.train.workers == 2
    assert sweep.resources.sample.actors == (1, 64)
    assert sweep.resources.reduce.cpus == 1
    assert sweep.limits.retries == 1
    assert sweep.reference.rows[0].metrics == {"fid": 13.06, "recall": 0.5}
    assert sweep.report.plots[0].kind == "bar"
    assert sweep.file == "x.yaml"
    assert [trial.name for trial in sweep.trials()] == [
        "AdaGN, guidance_scale 0.0, seed 0",
        "AdaGN, guidance_scale 0.0, seed 3",
        "AdaGN, guidance_scale 1.0, seed 0",
        "AdaGN, guidance_scale 1.0, seed 3",
        "addition + GroupNorm, guidance_scale 0.0, seed 0",
        "addition + GroupNorm, guidance_scale 0.0, seed 3",
        "addition + GroupNorm, guidance_scale 1.0, seed 0",
        "addition + GroupNorm, guidance_scale 1.0, seed 3",
    ]


def test_frozen_and_defaulted(load: Load) -> None:
    sweep = load()
    assert sweep.seeds == (0,)
    assert sweep.limits.retries == 3
    assert (sweep.searcher.name, sweep.scheduler.name) == ("grid", "fifo")
    with pytest.raises(ValidationError):
        sweep.name = "other"


def test_yaml_is_1_2(load: Load) -> None:
    sweep = load(
        """\
config:
  train.learning_rate: 1e-4
  train.schedule: no
description: on
parameters:
  train.batch_size: {values: [1_000, 0x10, 010]}
  sample.steps: {values: [&five 5, '5', ddim25]}
seeds: [*five]
"""
    )
    assert sweep.config == {"train.learning_rate": 0.0001, "train.schedule": "no"}
    assert sweep.description == "on"
    assert sweep.parameters["train.batch_size"].values == (1000, 16, 10)
    assert sweep.parameters["sample.steps"].values == (5, "5", "ddim25")
    assert sweep.seeds == (5,)


def test_dates_stay_text_and_tags_of_plain_values_are_taken(load: Load) -> None:
    sweep = load("description: 2024-01-01\nconfig: {train.schedule: !!str 12, train.learning_rate: .5e-3}\n")
    assert sweep.description == "2024-01-01"
    assert sweep.config == {"train.schedule": "12", "train.learning_rate": 0.0005}


def test_a_key_without_a_value_is_left_out(load: Load) -> None:
    sweep = load("config:\narms:\n  same:\nparameters:\nreference:\nprofiles:\nseeds:\n")
    assert (sweep.config, sweep.seeds, sweep.profiles) == ({}, (0,), {})
    assert sweep.arms == {"same": {}}


def test_an_arm_may_be_called_by_a_number(load: Load) -> None:
    assert list(load("arms:\n  250: {sample.steps: 250}\n  25: {sample.steps: 25}\n").arms) == ["250", "25"]


def test_a_byte_order_mark_and_windows_lines_are_fine(load: Load) -> None:
    text = "version: 1\r\nname: x\r\nworkload: tiny\r\nbase: digits\r\nmetric: fid\r\nmode: min\r\n"
    assert load(b"\xef\xbb\xbf" + text.encode()).name == "x"


PROFILE = """\
config: {train.batch_size: 4, model.norm: add}
arms: {a: {}, b: {model.heads: 2}}
limits: {retries: 7, concurrent_trials: 2}
reference: {source: table 6}
profiles:
  smoke:
    base: bare
    config: {train.batch_size: 1, train.learning_rate: 0.1}
    arms: {c: {model.heads: 1}}
    limits: {retries: 0}
    reference: {}
"""


def test_a_profile_merges_config_and_replaces_the_rest(load: Load) -> None:
    sweep = load(PROFILE, profile="smoke")
    assert sweep.profile == "smoke"
    assert sweep.base == "bare"
    assert sweep.config == {"train.batch_size": 1, "model.norm": "add", "train.learning_rate": 0.1}
    assert sweep.arms == {"c": {"model.heads": 1}}
    assert (sweep.limits.retries, sweep.limits.concurrent_trials) == (0, None)
    assert sweep.reference.source == ""
    plain = load(PROFILE)
    assert (plain.profile, plain.base, list(plain.arms)) == (None, "digits", ["a", "b"])
    assert list(plain.profiles) == ["smoke"]


def test_a_key_without_a_value_in_a_profile_is_left_out(load: Load) -> None:
    sections = ["base", "config", "arms", "limits", "reference", "metric", "seeds"]
    empty = "profiles:\n  same:\n" + "".join(f"    {section}:\n" for section in sections)
    written = PROFILE.replace("profiles:\n", empty)
    same, plain = load(written, profile="same"), load(written)
    for section in sections:
        assert getattr(same, section) == getattr(plain, section), section
    assert same.config == {"train.batch_size": 4, "model.norm": "add"}


def test_sets_reach_the_sections_and_the_config(load: Load) -> None:
    sets = [
        "base=bare",
        "mode=max",
        "metric=recall",
        "seeds=[1, 2]",
        "resources.train.workers=2",
        "limits.retries=0",
        "train.batch_size=3",
        "sample.steps=[1, 2]",
        "config.train.learning_rate=1e-3",
        "train.batch_size=5",
        "description='two: words'",
    ]
    sweep = load(sets=sets)
    assert (sweep.base, sweep.mode, sweep.metric, sweep.seeds) == ("bare", "max", "recall", (1, 2))
    assert (sweep.resources.train.workers, sweep.limits.retries) == (2, 0)
    assert sweep.config == {"train.batch_size": 5, "sample.steps": [1, 2], "train.learning_rate": 1e-3}
    assert sweep.description == "two: words"
    assert sweep.sets == tuple(sets)


TEXTS = """
run #2|#2|~|~/run|: |a: b|"a" and "b"|'tis|"open|-|- a|-x|--|@a|%a|`a|!a|!!int 5|&a 5|*a|| a ||a\tb|\ta|5 # five
größe σ 💥|a\n\nb \n|---|--- 5|%YAML 1.2|? a|> a|<<|=|a, b]|a#b|http://x:1/#f|yes|1,000|12:30|2024-01-01|\x85|\ufeff5
"""


@pytest.mark.parametrize("text", [*TEXTS.strip("\n").split("|"), "a | b", "x" * 9000 + " #"])
def test_a_set_is_the_whole_text(load: Load, text: str) -> None:
    assert load(sets=[f"description={text}"]).description == text
    assert load(PROFILE, profile="smoke", sets=[f"description={text}"]).description == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("5", 5), (" 5 ", 5), ("1e-3", 1e-3), ("-.5e1", -5.0), ("null", None), ("true", True), ("False", False)],
        *[('"5"', "5"), ("'it''s #2'", "it's #2"), ('"\\ud83d\\ude00"', "😀"), (" ' a ' ", " a ")],
        *[("[1, 2]", [1, 2]), (" {a: [~, b c]} ", {"a": [None, "b c"]}), ('["a #b", {}]', ["a #b", {}])],
    ],
)
def test_a_set_that_yaml_reads_whole_is_typed(text: str, value: object) -> None:
    found = with_sets(Document("x.yaml", {}, {}), [f"some.path={text}"])
    assert (found.data, found.problems) == ({"config": {"some.path": value}}, [])


def test_sets_lie_over_the_profile_and_repair_the_file(load: Load) -> None:
    assert load(PROFILE, profile="smoke", sets=["train.batch_size=9"]).config["train.batch_size"] == 9
    assert load("config: {train.batch_size: many}\n", sets=["train.batch_size=2"]).config == {"train.batch_size": 2}


def test_a_sweep_survives_json(load: Load) -> None:
    sweep = load(PROFILE)
    written = sweep.model_dump(mode="json")
    assert Sweep.model_validate(json.loads(json.dumps(written))).model_dump(mode="json") == written


def test_a_path_object_will_do(load: Load, find_workload: Callable[[str], object]) -> None:
    load()
    assert load_sweep(Path("x.yaml"), find_workload=find_workload).file == "x.yaml"  # type: ignore[arg-type]


def test_reading_a_sweep_imports_nothing_heavy() -> None:
    heavy = "ray", "mlflow", "torch", "numpy", "pyarrow", "pandas", "optuna"
    code = f"import sys, assay.sweep; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
