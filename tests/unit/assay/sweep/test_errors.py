"""Every way a sweep can be wrong: its file and line, its path, and its words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assay.errors import SpecError
from assay.sweep import Sweep, load_sweep

Lines = Callable[..., list[str]]
Load = Callable[..., Sweep]
# HEAD of conftest takes lines 1 to 6: what a test writes begins on line 7.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "x.yaml: is empty; a sweep needs version, name, workload, base, metric, mode"),
        (b"# nothing yet\n", "x.yaml: is empty"),
        (b"- 1\n- 2\n", "x.yaml:1: got a list at the top, allowed: a mapping"),
        (b"hello\n", "x.yaml:1: got a single value at the top, allowed: a mapping"),
        (b"version: 1\n\tname: x\n", "x.yaml:2: not YAML: "),
        (b"version: 1\nname: \x00\n", "x.yaml:2: not YAML: the character U+0000 is not text"),
        (b"version: 1\nname: caf\xe9\n", "x.yaml:2: not UTF-8 text (byte 0xe9); save the file as UTF-8"),
        (b"a: [1\n", "x.yaml:2: not YAML: while parsing a flow sequence"),
        (b"a: 1\n---\nb: 2\n", "x.yaml:2: not YAML: expected a single document"),
        (b"a: *nobody\n", "x.yaml:1: not YAML: found undefined alias 'nobody'"),
        (b"a: " + b"[" * 5000, "x.yaml: nested too deeply"),
    ],
)
def test_not_a_mapping_of_yaml(lines: Lines, content: bytes, expected: str) -> None:
    found = lines(content)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_tabs_are_told_to_be_spaces(lines: Lines) -> None:
    assert lines(b"version: 1\n\tname: x\n")[0].endswith("indent with spaces")


@pytest.mark.slow
def test_aliases_of_aliases_do_not_fill_the_memory(lines: Lines) -> None:
    bomb = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
    assert lines(bomb.encode())[0].endswith("more than 100,000 values")


def test_files_that_cannot_be_read(load: Load, tmp_path: Path) -> None:
    load()
    for name, expected in [
        ("x.yml", "x.yml: no such file; did you mean 'x.yaml'?"),
        ("elsewhere/far.yaml", "elsewhere/far.yaml: no such file"),
        (".", ".: is a directory; name the YAML file in it"),
        ("a\0b", "a\0b: cannot be read: "),
    ]:
        with pytest.raises(SpecError) as caught:
            load_sweep(name)
        assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("metrc: fid\n", "x.yaml:7: metrc: unknown key; did you mean 'metric'?"),
        ("limits:\n  retries: 1\n  retires: 1\n", "x.yaml:9: limits.retires: unknown key; did you mean 'retries'?"),
        ("metric: fid\n", "x.yaml:7: metric: duplicate key, first on line 5"),
        (
            "config:\n  train.batch_size: 1\n  train.batch_size: 2\n",
            "x.yaml:9: config.train.batch_size: duplicate key, first on line 8",
        ),
        ("seeds: 3\n", "x.yaml:7: seeds: got 3 (int), allowed: a list of integers ≥ 0"),
        ("seeds:\n- 0\n- -1\n", "x.yaml:9: seeds[1]: got -1 (int), allowed: an integer ≥ 0"),
        ("seeds: [1, 1]\n", "x.yaml:7: seeds: got 1 more than once, allowed: distinct integers ≥ 0"),
        ("seeds: []\n", "x.yaml:7: seeds: got [], allowed: at least one integer ≥ 0"),
        ("searcher: {name: asha}\n", "x.yaml:7: searcher.name: got 'asha' (str), allowed: grid, random, optuna"),
        (
            "scheduler: {name: hyper}\n",
            "x.yaml:7: scheduler.name: got 'hyper' (str), allowed: fifo, asha, halving, hyperband, median, race",
        ),
        (
            "scheduler: fifo\n",
            "x.yaml:7: scheduler: got 'fifo' (str), allowed: a mapping {name: …, budget: …, rungs: …, divisor: …, ",
        ),
        ("description: 3\n", "x.yaml:7: description: got 3 (int), allowed: text"),
        ("config: [1]\n", "x.yaml:7: config: got [1] (list), allowed: a mapping of keys to values"),
        ("arms: {'': {}}\n", "x.yaml:7: arms.'': got '', allowed: text that is not empty"),
        ("arms: {a: 3}\n", "x.yaml:7: arms.a: got 3 (int), allowed: a mapping of keys to values"),
        (
            "parameters: {sample.steps: [1, 2]}\n",
            "x.yaml:7: parameters.sample.steps: got [1, 2] (list), allowed: a mapping {values: …, min: …",
        ),
        (
            "parameters: {sample.steps: {values: [1], partitions: {total: 9}}}\n",
            "x.yaml:7: parameters.sample.steps.partitions: unknown key; did you mean 'partition'?",
        ),
        (
            "parameters: {sample.steps: {values: []}}\n",
            "x.yaml:7: parameters.sample.steps.values: got [], allowed: at least one value",
        ),
        (
            "limits: {concurrent_trials: 0}\n",
            "x.yaml:7: limits.concurrent_trials: got 0 (int), allowed: an integer ≥ 1 or null",
        ),
        ("limits: {retries: true}\n", "x.yaml:7: limits.retries: got true (bool), allowed: an integer ≥ 0"),
        (
            "resources:\n  train:\n    workers: 2.5\n",
            "x.yaml:9: resources.train.workers: got 2.5 (float), allowed: an integer ≥ 1 or a list of 2 integers ≥ 1",
        ),
        (
            "resources:\n  train:\n    workers: [3, 1]\n",
            "x.yaml:9: resources.train.workers: got [3, 1], allowed: [min, max] with min ≤ max",
        ),
        (
            "resources: {sample: {actors: [4, 1]}}\n",
            "x.yaml:7: resources.sample.actors: got [4, 1], allowed: [min, max] with min ≤ max",
        ),
        (
            "resources: {sample: {actors: 4}}\n",
            "x.yaml:7: resources.sample.actors: got 4 (int), allowed: a list of 2 integers ≥ 1",
        ),
        (
            "resources: {sample: {gpus_per_actor: 2}}\n",
            "x.yaml:7: resources.sample.gpus_per_actor: got 2 (int), allowed: a number ≥ 0 and ≤ 1",
        ),
        (
            "resources: {reduce: {gpus: 1.5}}\n",
            "x.yaml:7: resources.reduce.gpus: got 1.5, allowed: a whole number, or a fraction below 1",
        ),
        (
            "reference: {rows: [{fid: good}]}\n",
            "x.yaml:7: reference.rows[0].fid: got 'good' (str), allowed: a number",
        ),
        (
            "report: {plots: [{kind: ber, x: a, y: b}]}\n",
            "x.yaml:7: report.plots[0].kind: unknown plot kind 'ber'; did you mean 'bar'? allowed: bar, line, scatter",
        ),
        (
            "report: {plots: [{kind: bar, x: a}]}\n",
            "x.yaml:7: report.plots[0].y: required, but missing; a bar plot takes x (a config path, arm, the "
            "scheduler's budget, a metric or a cost), y (a metric, or a list of them)",
        ),
        (
            "report:\n  plots:\n    - {kind: importance,\n       x: arm}\n",
            "x.yaml:10: report.plots[0].x: an importance plot has no x; an importance plot takes y (a metric, or a "
            "list of them; without it, the sweep's metric)",
        ),
        (
            "report: {plots: [{kind: contour, x: [arm], y: seed}]}\n",
            "x.yaml:7: report.plots[0].x: got a list, but x of a contour plot is a config path, or arm; list several",
        ),
        (
            "report: {plots: [{kind: contour, x: arm}]}\n",
            "x.yaml:7: report.plots[0].y: required, but missing; a contour plot takes x (a config path, or arm), y (a",
        ),
        (
            "report: {plots: [{kind: slice, z: fid}]}\n",
            "x.yaml:7: report.plots[0].z: a slice plot has no z; a slice plot takes x (a config path, arm, or a list "
            "of them; without it, all in which the trials differ), y (",
        ),
        (
            "report: {plots: [{kind: slice, x: []}]}\n",
            "x.yaml:7: report.plots[0].x: got [], allowed: at least one",
        ),
        (
            "report: {plots: [{kind: importance, log: [y]}]}\n",
            "x.yaml:7: report.plots[0].log: got y, which cannot be logarithmic in an importance plot; allowed: no axis",
        ),
        ("config: {train.learning_rate: .nan}\n", "x.yaml:7: config.train.learning_rate: got .nan, allowed: a finite"),
        ("description: !!python/name:os.system x\n", "x.yaml:7: description: got the tag !!python/name:os.system"),
        ("config: &a {sample.steps: *a}\n", "x.yaml:7: config.sample.steps: an alias inside its own anchor"),
        ('description: "\\ud800"\n', "x.yaml:7: description: got half of a surrogate pair"),
        ("config: {[1]: 2}\n", "x.yaml:7: config: got a list or a mapping as a key, allowed: text"),
        (
            "arms:\n  a: &a {model.norm: add}\n  b:\n    <<: *a\n    model.heads: 2\n",
            "x.yaml:10: arms.b.<<: merge keys are not part of YAML 1.2; write the keys out",
        ),
    ],
)
def test_one_wrong_thing_is_one_line(lines: Lines, body: str, expected: str) -> None:
    found = lines(body)
    assert len(found) == 1, found
    assert found[0].startswith(expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version: 1", "version: 2", "x.yaml:1: version: got 2 (int), allowed: 1"),
        ("version: 1", "version: '1'", "x.yaml:1: version: got '1' (str), allowed: 1"),
        ("version: 1", "version: true", "x.yaml:1: version: got true (bool), allowed: 1"),
        ("name: norms", "name: a/b", "x.yaml:2: name: got 'a/b', allowed: letters, digits, '-', '_' and '.'"),
        ("name: norms", "name: ..", "x.yaml:2: name: got '..', allowed: letters"),
        ("tiny", "tny", "x.yaml:3: workload: unknown workload 'tny'; did you mean 'tiny'?"),
        ("digits", "digit", "x.yaml:4: base: unknown preset 'digit'; did you mean 'digits'?"),
        ("digits", "lsun", "x.yaml:4: base: unknown preset 'lsun'; allowed: bare, digits"),
        ("metric: fid", "metric: fd", "x.yaml:5: metric: unknown metric 'fd'; did you mean 'fid'?"),
        ("mode: min", "mode: minimum", "x.yaml:6: mode: got 'minimum' (str), allowed: min, max; did you mean 'min'?"),
        ("mode: min\n", "", "x.yaml:1: mode: required, but missing; allowed: min, max"),
        ("metric: fid", "metric:", "x.yaml:5: metric: required, but missing; allowed: text"),
    ],
)
def test_the_head(lines: Lines, head: str, old: str, new: str, expected: str) -> None:
    found = lines(head.replace(old, new).encode())
    assert len(found) == 1, found
    assert found[0].startswith(expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "config:\n  train.batch_szie: 3\n",
            "x.yaml:8: config.train.batch_szie: unknown config path; did you mean 'train.batch_size'?",
        ),
        (
            "arms:\n  a: {}\n  b:\n    model.nrm: add\n",
            "x.yaml:10: arms.b.model.nrm: unknown config path; did you mean 'model.norm'?",
        ),
        (
            "parameters:\n  sample.step:\n    values: [1, 2]\n",
            "x.yaml:8: parameters.sample.step: unknown config path; did you mean 'sample.steps'?",
        ),
        (
            "reference:\n  rows:\n  - when:\n      model.nrm: add\n    fid: 1\n",
            "x.yaml:10: reference.rows[0].when.model.nrm: unknown config path; did you mean 'model.norm'?",
        ),
        (
            "config: {train: {batch_size: 3}}\n",
            "x.yaml:7: config.train: a section of the config; write its keys as dotted paths, as in train.",
        ),
        ("config: {model: 3}\n", "x.yaml:7: config.model: a section of the config, not a value; it has model.channels"),
        ("config: {model: null}\n", "x.yaml:7: config.model: got null, allowed: a mapping {norm: …"),
        ("config: {seed: 3}\n", "x.yaml:7: config.seed: replicate seeds set this path; write seeds: [...] instead"),
        (
            "config:\n  train.batch_size: many\n",
            "x.yaml:8: config.train.batch_size: got 'many' (str), allowed: an integer ≥ 1",
        ),
        (
            "config:\n  sample.steps:\n  - 3\n  - 0\n",
            "x.yaml:8: config.sample.steps: got [3, 0] (list), allowed: an integer ≥ 1, a list of integers ≥ 1 or text",
        ),
        (
            "arms:\n  a: {}\n  b: {model.norm: ad}\n",
            "x.yaml:9: arms.b.model.norm: got 'ad' (str), allowed: adagn, add; did you mean 'add'?",
        ),
        (
            "arms: {a: {}, b: {model.norm: add}}\nparameters:\n  train.batch_size:\n    values:\n    - 1\n    - 0\n",
            "x.yaml:12: parameters.train.batch_size.values[1]: got 0 (int), allowed: an integer ≥ 1",
        ),
        (
            "parameters:\n  train.batch_size:\n    values: [1,\n      2,\n      1]\n",
            "x.yaml:11: parameters.train.batch_size.values[2]: the same value as values[0]",
        ),
        (
            "arms: {a: {sample.steps: 3}}\nparameters: {sample.steps: {values: [1, 2]}}\n",
            "x.yaml:7: arms.a.sample.steps: parameters vary this path too; vary it in one place",
        ),
    ],
)
def test_config_paths_and_values(lines: Lines, body: str, expected: str) -> None:
    found = lines(body)
    assert len(found) == 1, found
    assert found[0].startswith(expected)


def test_two_arms_of_one_config_are_named_once(lines: Lines) -> None:
    found = lines(
        "arms:\n  a: {}\n  b: {model.norm: adagn}\n  c: {model.norm: add}\n"
        "parameters: {sample.steps: {values: [1, 2]}}\n"
    )
    assert found == [
        "x.yaml:9: arms.b: trial 'b, steps 1' resolves to the same config as 'a, steps 1' (line 8); "
        "every trial must differ"
    ]


def test_two_values_of_one_config(lines: Lines) -> None:
    found = lines("parameters:\n  sample.guidance_scale:\n    values:\n    - 1\n    - 1.0\n")
    assert found == [
        "x.yaml:11: parameters.sample.guidance_scale.values[1]: trial 'guidance_scale 1.0' resolves to the same config "
        "as 'guidance_scale 1' (line 10); every trial must differ"
    ]


def test_a_typo_is_not_also_called_a_twin(lines: Lines) -> None:
    assert len(lines("arms: {a: {}, b: {model.nrm: add}}\n")) == 1
    assert len(lines("config: {train.batch_sze: 9}\narms: {a: {}, b: {train.batch_size: 8}}\n")) == 1


CROSS = "config:\n  train.batch_size: 2\n  sample.guidance_scale: 1.0\n"
NEEDS = "sample.guidance_scale needs a classifier; this base has none"


def test_a_cross_field_error_goes_to_the_line_that_it_names(lines: Lines, head: str) -> None:
    bare = head.replace("digits", "bare")
    assert lines((bare + CROSS).encode()) == [f"x.yaml:9: config.sample.guidance_scale: {NEEDS}"]
    in_values = "parameters:\n  sample.guidance_scale:\n    values:\n    - 0.0\n    - 1.0\n"
    assert lines((bare + in_values).encode()) == [f"x.yaml:11: parameters.sample.guidance_scale.values[1]: {NEEDS}"]
    in_arm = "arms:\n  a: {}\n  b:\n    model.norm: add\n    sample.guidance_scale: 1.0\n"
    assert lines((bare + in_arm).encode()) == [f"x.yaml:11: arms.b.sample.guidance_scale: {NEEDS}"]


def test_a_cross_field_error_inside_a_section_goes_to_a_value_of_it(lines: Lines) -> None:
    assert lines("config: {train.batch_size: 3}\narms:\n  a: {}\n  b: {train.batch_size: 4, model.channels: 30}\n") == [
        "x.yaml:10: arms.b.model.channels: channels 30 is not a multiple of heads 4"
    ]


def test_arms_may_complete_a_config_that_does_not_hold_alone(load: Load, lines: Lines, head: str) -> None:
    bare = head.replace("digits", "bare") + CROSS
    both = bare + "arms:\n  a: {classifier: true}\n  b: {classifier: true, model.norm: add}\n"
    assert len(load(both.encode()).trials()) == 2
    one = bare + "arms:\n  a: {classifier: true}\n  b: {model.norm: add}\n"
    assert lines(one.encode()) == [f"x.yaml:9: config.sample.guidance_scale: {NEEDS} (in trial 'b')"]


def test_too_many_trials_are_not_resolved(lines: Lines) -> None:
    values = list(range(1, 300))
    body = f"parameters: {{sample.steps: {{values: {values}}}, train.batch_size: {{values: {values}}}}}\n"
    assert lines(body) == [
        "x.yaml:7: parameters.sample.steps: got 89,401 trials in all, allowed: at most 20,000; "
        "use searcher: {name: random, num_trials: …}"
    ]


def test_everything_at_once_in_the_order_of_the_file(lines: Lines) -> None:
    found = lines(
        b"version: 1\nname: a b\ndiscription: x\nworkload: tiny\nbase: digts\nmetric: fid\nmode: min\nmode: max\n"
        b"seeds: 3\nconfig: {train.batch_szie: 3}\nlimits: {retries: -1}\n"
    )
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in found] == [
        "x.yaml:2 name",
        "x.yaml:3 discription",
        "x.yaml:5 base",
        "x.yaml:8 mode",
        "x.yaml:9 seeds",
        "x.yaml:10 config.train.batch_szie",
        "x.yaml:11 limits.retries",
    ]


def test_a_problem_is_shown_at_a_line_it_is_about_whatever_its_words(lines: Lines) -> None:
    large = "  large:\n    model.heads: 2\n    train.batch_size: 64\n    sample.eta: 0.5\n"
    found = lines(f"config: {{train.schedule: odd}}\narms:\n  small: {{train.batch_size: 7}}\n{large}")
    assert found == ["x.yaml:12: arms.large.train.batch_size: 64 is even"]
