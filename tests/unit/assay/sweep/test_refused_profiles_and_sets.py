"""Profiles and --set that a sweep cannot take: where each is, and its words."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest

from assay.sweep import Sweep

Lines = Callable[..., list[str]]
Load = Callable[..., Sweep]
# HEAD of conftest takes lines 1 to 6: what a test writes begins on line 7.

PROFILES = "profiles:\n  smoke:\n    base: bare\n    config:\n      train.batch_size: 1\n"


def test_profiles(lines: Lines) -> None:
    assert lines(PROFILES, profile="smok") == ["--profile smok: no such profile in x.yaml; did you mean 'smoke'?"]
    assert lines("", profile="smoke") == ["--profile smoke: no such profile in x.yaml; the sweep has none"]
    assert lines("profiles: {smoke: 3}\n") == [
        "x.yaml:7: profiles.smoke: got 3 (int), allowed: a mapping of keys to values"
    ]
    assert lines(PROFILES + "    name: other\n") == [
        "x.yaml:12: profiles.smoke.name: a profile cannot change name; it is the same study"
    ]
    assert lines(PROFILES + "    confg:\n") == ["x.yaml:12: profiles.smoke.confg: unknown key; did you mean 'config'?"]
    # Keys and types are checked in every profile, also in those not asked for; configs in the chosen one.
    assert lines(PROFILES + "    confg: {}\n") == [
        "x.yaml:12: profiles.smoke.confg: unknown key; did you mean 'config'?"
    ]
    assert lines(PROFILES + "      train.batch_szie: 1\n", profile="smoke") == [
        "x.yaml:12: profiles.smoke.config.train.batch_szie: unknown config path; did you mean 'train.batch_size'?"
    ]
    assert lines(PROFILES.replace("bare", "bar"), profile="smoke") == [
        "x.yaml:9: profiles.smoke.base: unknown preset 'bar'; did you mean 'bare'?"
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "../../evil",
            "got '../../evil', allowed: letters, digits, '-', '_' and '.', starting with a letter or a digit",
        ),
        ("a b", "got 'a b', allowed: letters"),
        ("''", "got '', allowed: letters"),
        ("none", "got 'none', which stands for no profile; allowed: another name"),
        ("None", "got 'None', which stands for no profile; allowed: another name"),
    ],
)
def test_names_of_profiles(lines: Lines, load: Load, name: str, expected: str) -> None:
    (found,) = lines(f"profiles:\n  {name}: {{base: bare}}\n", profile=name.strip("'"))
    assert found.startswith(f"x.yaml:8: profiles.{name}: {expected}")
    assert load("profiles:\n  smoke_2-fast: {base: bare}\n", profile="smoke_2-fast").base == "bare"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.batch_size", "allowed: path=value, as in train.batch_size=64"),
        ("=3", "allowed: path=value, as in train.batch_size=64"),
        ("train.batch_szie=3", "train.batch_szie: unknown config path; did you mean 'train.batch_size'?"),
        ("train.batch_size=many", "train.batch_size: got 'many' (str), allowed: an integer ≥ 1"),
        ("train.learning_rate=.inf", "train.learning_rate: got .inf, allowed: a finite number"),
        ("sample.steps=[1, 2", "sample.steps: not YAML: while parsing a flow sequence"),
        ("mdoe=max", "mdoe: unknown config path; did you mean 'mode'?"),
        ("mode=mx", "mode: got 'mx' (str), allowed: min, max"),
        ("base=digts", "base: unknown preset 'digts'; did you mean 'digits'?"),
        ("metric=null", "metric: required, but missing"),
        ("metric=", "metric: got '', allowed: text that is not empty"),
        ("seed=3", "seed: replicate seeds set this path"),
        ("seeds=3", "seeds: got 3 (int), allowed: a list of integers ≥ 0"),
        ("searcher.name.x=random", "searcher.name: got {'x': 'random'} (mapping), allowed: grid, random, optuna"),
        ("limits.retires=3", "limits.retires: unknown key; did you mean 'retries'?"),
        (
            "scheduler.name=hyper",
            "scheduler.name: got 'hyper' (str), allowed: fifo, asha, halving, hyperband, median, race",
        ),
        ("workload=other", "workload: cannot be set here; allowed: arms_mode, base, description"),
        ("arms.a.model.norm=add", "arms.a.model.norm: cannot be set here; allowed: arms_mode, base, description"),
    ],
)
def test_sets(lines: Lines, text: str, expected: str) -> None:
    found = lines(sets=[text])
    assert len(found) == 1, found
    assert found[0].startswith(f"--set {text}: {expected}")


@pytest.mark.slow
@pytest.mark.parametrize("value", ["[1, 2", "[old] images", "{a", "[1] # all", "{*x}", "[&a, 1]", "[" * 5000])
def test_brackets_that_yaml_cannot_read_say_how_to_set_the_text_itself(lines: Lines, load: Load, value: str) -> None:
    (found,) = lines(sets=[f"description={value}"])
    assert "not YAML: " in found or "nested too deeply" in found
    _, advice = found.split("; for the text itself, quote it: --set ")
    assert load(sets=shlex.split(advice)).description == value


@pytest.mark.parametrize(
    ("body", "text", "expected"),
    [
        (
            "searcher: {name: grid}\n",
            "searcher.name.x=random",
            "searcher.name.x: got a key below searcher.name, which is 'grid' (str); allowed: searcher.name=…",
        ),
        (
            "limits: {hours: 5}\n",
            "limits.hours.x=3",
            "limits.hours.x: got a key below limits.hours, which is 5 (int); allowed: limits.hours=…",
        ),
        (
            "resources: {train: {workers: [1, 2]}}\n",
            "resources.train.workers.0=3",
            "resources.train.workers.0: got a key below resources.train.workers, which is [1, 2] (list); allowed: ",
        ),
    ],
)
def test_a_set_below_a_value(lines: Lines, body: str, text: str, expected: str) -> None:
    (found,) = lines(body, sets=[text])
    assert found.startswith(f"--set {text}: {expected}")


def test_a_set_below_a_section_that_is_none_leaves_the_word_to_the_file(lines: Lines) -> None:
    for body, text in [("limits: 3\n", "limits.hours=1"), ("resources: {train: 3}\n", "resources.train.workers=2")]:
        (found,) = lines(body, sets=[text])
        assert found.startswith("x.yaml:7: ")


def test_a_set_that_every_trial_overrides_is_refused(lines: Lines) -> None:
    body = "arms: {a: {model.norm: add}, b: {model.norm: adagn}}\nparameters: {sample.steps: {values: [1, 2]}}\n"
    assert lines(body, sets=["sample.steps=5", "model.norm=add"]) == [
        "--set model.norm=add: model.norm: has no effect: every arm sets this path",
        "--set sample.steps=5: sample.steps: has no effect: parameters vary this path in every trial",
    ]
