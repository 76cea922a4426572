"""Ranges, partitions, conditions, combined arms and searchers, as a sweep file says them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assay.sweep import Sweep
from assay.sweep.search import Observation, suggest

Lines = Callable[..., list[str]]
Load = Callable[..., Sweep]
# HEAD of conftest takes lines 1 to 6: what a test writes begins on line 7.


def names(sweep: Sweep) -> list[str]:
    return [trial.name for trial in sweep.trials()]


def test_ranges_in_a_grid(load: Load) -> None:
    sweep = load(
        "parameters:\n"
        "  train.learning_rate: {min: 1.0e-5, max: 1.0e-3, log: true, num: 3}\n"
        "  model.heads: {min: 2, max: 8, int: true, step: 2}\n"
        "config: {model.channels: 48}\n"
        "arms: {a: {}}\n",
        sets=["model.channels=24"],
    )
    assert names(sweep) == [
        f"a, learning_rate {r}, heads {h}" for r in ("1e-05", "0.0001", "0.001") for h in (2, 4, 6, 8)
    ]
    assert sweep.trials()[5].config["train"]["learning_rate"] == 1e-4


def test_a_partition_in_a_grid(load: Load) -> None:
    sweep = load("parameters: {sample.steps: {partition: {total: 250, parts: 5, step: 50, min: 50}}}\n")
    assert names(sweep) == ["steps [50, 50, 50, 50, 50]"]
    sweep = load("parameters: {sample.steps: {partition: {total: 6, parts: 2, step: 2, min: 2}}}\n")
    assert names(sweep) == ["steps [2, 4]", "steps [4, 2]"]
    assert [trial.config["sample"]["steps"] for trial in sweep.trials()] == [[2, 4], [4, 2]]
    assert sweep.num_trials() == 2


def test_draws_begin_with_the_values_that_come_first(load: Load) -> None:
    written = "parameters: {sample.steps: {partition: {total: 250, parts: 5, step: 10, min: 10}%s}}\n%s"
    searcher = "searcher: {name: random, num_trials: 4}\n"
    sweep = load(written % (", first: [[90, 60, 60, 20, 20], [50, 50, 50, 50, 50]]", searcher))
    without = load(written % ("", searcher))
    assert names(sweep)[:2] == ["steps [90, 60, 60, 20, 20]", "steps [50, 50, 50, 50, 50]"]
    assert names(sweep)[2:] == names(without)[:2], "then as without them"


def test_a_conditional_parameter(load: Load) -> None:
    sweep = load(
        "parameters:\n"
        "  sample.sampler: {values: [ddpm, ddim]}\n"
        "  sample.eta: {values: [0.5, 1.0], when: {sample.sampler: ddim}}\n"
        "  sample.steps: {values: [5, 9], when: {sample.eta: 0.5}}\n"
    )
    assert names(sweep) == [
        "sampler ddpm",
        "sampler ddim, eta 0.5, steps 5",
        "sampler ddim, eta 0.5, steps 9",
        "sampler ddim, eta 1.0",
    ]
    assert sweep.num_trials() == 4
    assert "sample.eta" not in sweep.trials()[0].overrides
    assert sweep.trials()[0].varied == {"sample.sampler": "ddpm", "sample.eta": 0.0, "sample.steps": 250}


def test_a_condition_on_an_arm_or_on_the_base(load: Load) -> None:
    sweep = load(
        "arms: {ancestral: {}, implicit: {sample.sampler: ddim}}\n"
        "parameters: {sample.eta: {values: [0.5, 1.0], when: {sample.sampler: ddim, classifier: true}}}\n"
    )
    assert names(sweep) == ["ancestral", "implicit, eta 0.5", "implicit, eta 1.0"]


ARMS = "arms: {base: {}, AdaGN: {model.norm: add}, heads: {model.heads: 2}, wide: {model.channels: 64}}\n"


def test_arms_on_top_of_each_other(load: Load) -> None:
    sweep = load(ARMS + "arms_mode: cumulative\n")
    assert names(sweep) == ["base", "AdaGN", "AdaGN + heads", "AdaGN + heads + wide"]
    assert sweep.trials()[3].overrides == {"model.norm": "add", "model.heads": 2, "model.channels": 64, "seed": 0}
    twice = load("arms: {a: {model.heads: 2}, b: {model.heads: 1, model.norm: add}}\narms_mode: cumulative\n")
    assert [trial.config["model"]["heads"] for trial in twice.trials()] == [2, 1]


def test_every_subset_of_the_arms(load: Load) -> None:
    assert names(load(ARMS + "arms_mode: grid\n")) == [
        "base",
        "AdaGN",
        "heads",
        "wide",
        "AdaGN + heads",
        "AdaGN + wide",
        "heads + wide",
        "AdaGN + heads + wide",
    ]
    unnamed = load("arms: {a: {model.heads: 2}, b: {model.norm: add}}\narms_mode: grid\n")
    assert [(trial.name, trial.arm) for trial in unnamed.trials()] == [(n, n) for n in ("digits", "a", "b", "a + b")]
    assert names(load(ARMS, sets=["arms_mode=cumulative"]))[-1] == "AdaGN + heads + wide"


RANDOM = """\
parameters:
  train.learning_rate: {min: 1.0e-5, max: 1.0e-3, log: true}
  sample.sampler: {values: [ddpm, ddim]}
  sample.eta: {min: 0, max: 1, when: {sample.sampler: ddim}}
"""


def test_random_draws_are_the_same_again_and_more_are_added_at_the_end(load: Load) -> None:
    body = RANDOM + "arms: {a: {}, b: {model.norm: add}}\nseeds: [0, 1]\nsearcher: {name: random, num_trials: 3}\n"
    few = load(body).trials()
    more = load(body, sets=["searcher.num_trials=7"]).trials()
    assert (len(few), len(more)) == (12, 28)
    assert [(t.name, t.overrides, t.draw) for t in more[:12]] == [(t.name, t.overrides, t.draw) for t in few]
    assert [(t.draw, t.arm, t.seed) for t in few[:5]] == [
        *((0, arm, seed) for arm in "ab" for seed in (0, 1)),
        (1, "a", 0),
    ]
    other = load(body, sets=["searcher.seed=1"]).trials()
    assert not {t.overrides["train.learning_rate"] for t in other} & {t.overrides["train.learning_rate"] for t in few}
    for trial in more:
        assert ("sample.eta" in trial.overrides) == (trial.overrides["sample.sampler"] == "ddim")
        assert set(trial.varied) >= {"train.learning_rate", "sample.sampler", "sample.eta"}
    short = f"{few[0].overrides['train.learning_rate']:.4g}"
    assert few[0].name.startswith(f"a, learning_rate {short}, sampler ")


def test_names_of_draws_are_told_apart(load: Load) -> None:
    sweep = load(
        "parameters: {train.learning_rate: {min: 1.0, max: 1.0001}}\nsearcher: {name: random, num_trials: 5}\n"
    )
    assert len(set(names(sweep))) == 5


def test_draws_that_the_workload_sees_as_one_are_one_trial(load: Load) -> None:
    sweep = load(
        "parameters: {sample.guidance_scale: {values: [1, 1.0, 2]}}\nsearcher: {name: random, num_trials: 3}\n"
    )
    assert sorted(trial.config["sample"]["guidance_scale"] for trial in sweep.trials()) == [1.0, 2.0]


OPTUNA = RANDOM + "arms: {a: {}, b: {model.norm: add}}\nsearcher: {name: optuna, num_trials: 6, batch: 2}\n"


def test_suggestions_become_trials_of_every_arm(load: Load) -> None:
    sweep = load(OPTUNA)
    assert sweep.trials() == []
    assert sweep.num_trials() == 12
    first = suggest(sweep, [], sweep.searcher.batch)
    trials = sweep.trials(first)
    assert [(trial.draw, trial.arm) for trial in trials] == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    told = [Observation(values, objective=float(i)) for i, values in enumerate(first)]
    more = suggest(sweep, told, sweep.searcher.batch)
    assert more == suggest(load(OPTUNA), told, 2)
    assert sweep.trials([*first, *more])[:4] == trials


def test_a_space_of_optuna_is_checked_at_its_corners(lines: Lines, load: Load) -> None:
    assert lines(OPTUNA.replace("max: 1,", "max: 2,")) == [
        "x.yaml:10: parameters.sample.eta.max: got 2.0 (float), allowed: a number ≥ 0 and ≤ 1"
    ]
    assert lines(OPTUNA.replace("values: [ddpm, ddim]", "values: [ddpm, ddim, dim]")) == [
        "x.yaml:9: parameters.sample.sampler.values[2]: got 'dim' (str), allowed: ddpm, ddim; did you mean 'ddim'?"
    ]


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (
            "{}",
            ": got none of them, allowed: one of values: […]; min: … and max: …; or partition: {total: …, parts: …}",
        ),
        ("{min: 1}", ": got min, allowed: one of values: […]; min: … and max: …; or partition:"),
        ("{values: [1], min: 1, max: 2}", ": got values and min and max, allowed: one of values"),
        ("{values: [1], log: true}", ": got log with values; these go with min and max"),
        ("{min: 3, max: 1, num: 2}", ": got min 3 and max 1, allowed: min < max"),
        ("{min: 0, max: 1, log: true, num: 2}", ": got min 0 with log: true, allowed: > 0"),
        ("{min: 0.5, max: 2, int: true}", ": got min 0.5 and max 2 with int: true, allowed: integers"),
        ("{min: 1, max: 2, step: 1}", ": step goes with int: true; give num, the number of points, instead"),
        ("{min: 1, max: 9, step: 2, int: true, log: true}", ": got step 2 with log: true, allowed: one of them"),
        ("{min: 1, max: 2, num: 1}", ".num: got 1 (int), allowed: an integer ≥ 2 and ≤ 20000 or null"),
        (
            "{min: 1, max: 1.0e+9, int: true, num: 500000000}",
            ".num: got 500000000 (int), allowed: an integer ≥ 2 and ≤ 20000 or null",
        ),
        ("{min: a, max: 2}", ".min: got 'a' (str), allowed: a number or null"),
        ("{min: 1, max: 2}", ": a grid needs num, the number of points; or searcher: random or optuna"),
        ("{partition: {total: 25, parts: 2, step: 10}}", ".partition: no 2 parts, each a multiple of 10, add up to 25"),
        (
            "{partition: {total: 9, parts: 2, min: 1, max: 4}}",
            ".partition: no 2 parts, each 1 plus a multiple of 1, at most 4, add up to 9",
        ),
        ("{partition: {total: 9}}", ".partition.parts: required, but missing; allowed: an integer ≥ 1"),
        ("{partition: {total: 9, parts: 2, stp: 1}}", ".partition.stp: unknown key; did you mean 'step'?"),
        (
            "{values: [1, 2], when: {sample.eta: 0.5}}",
            ".when.sample.eta: got 0.5 (float), which no trial has; allowed: 0.0",
        ),
        (
            "{values: [1, 2], when: {sample.smpler: ddim}}",
            ".when.sample.smpler: unknown config path; did you mean 'sample.sampler'?",
        ),
        ("{values: [1, 2], when: {sample: 1}}", ".when.sample: a section of the config, not a value; it has sample."),
        ("{values: [1, 2], when: {seed: 1}}", ".when.seed: replicate seeds set this path; write seeds: [...] instead"),
        ("{values: [1, 2], when: {sample.steps: 1}}", ".when.sample.steps: a parameter cannot depend on itself"),
        (
            "{partition: {total: 9, parts: 2}, first: [[4, 5], [1, 2]]}",
            ": got first[1]: [1, 2], allowed there: what the",
        ),
        ("{values: [1, 2], first: [2]}", ".first: has no effect with searcher grid; allowed with: random, optuna"),
        ("{values: [1], when: 3}", ".when: got 3 (int), allowed: a mapping of keys to values"),
    ],
)
def test_wrong_parameters(lines: Lines, space: str, expected: str) -> None:
    found = lines(f"parameters:\n  sample.steps: {space}\n")
    assert len(found) == 1, found
    assert found[0].startswith(f"x.yaml:8: parameters.sample.steps{expected}")


def test_a_condition_on_itself_is_refused_with_any_searcher(lines: Lines) -> None:
    body = "parameters:\n  sample.steps: {values: [1, 2], when: {sample.steps: 1}}\n"
    assert lines(body + "searcher: {name: optuna, num_trials: 2}\n") == [
        "x.yaml:8: parameters.sample.steps.when.sample.steps: a parameter cannot depend on itself"
    ]


def test_a_condition_looks_up_the_file(lines: Lines) -> None:
    first = "parameters:\n  sample.eta: {values: [1.0], when: {sample.sampler: %s}}\n"
    second = "  sample.sampler: {values: [ddpm, ddim]}\n"
    assert lines(first % "ddim" + second) == [
        "x.yaml:8: parameters.sample.eta.when.sample.sampler: the parameter sample.sampler comes later; "
        "write it above sample.eta"
    ]
    assert lines("parameters:\n" + second + (first % "dim").removeprefix("parameters:\n")) == [
        "x.yaml:9: parameters.sample.eta.when.sample.sampler: got 'dim' (str), which no trial has; did you mean 'ddim'?"
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "searcher: {name: random, num_trials: 3}\n",
            "searcher.name: got random, but the sweep has no parameters: there",
        ),
        (
            "searcher: {name: optuna}\n",
            "searcher.num_trials: required with searcher optuna, but missing; allowed: an int",
        ),
        (
            "searcher: {num_trials: 3}\n",
            "searcher.num_trials: has no effect with searcher grid; allowed with: random, opt",
        ),
        ("arms_mode: grid\n", "arms_mode: has no effect: the sweep has no arms"),
        ("arms_mode: all\n", "arms_mode: got 'all' (str), allowed: each, cumulative, grid"),
        (
            "arms: {a: {model.norm: add}, b: {model.norm: add}}\narms_mode: grid\n",
            "arms.b.model.norm: arm 'a' sets this path too; a grid of arms needs one of the two",
        ),
        (
            "arms: {a: {model.norm: add}, b: {model.heads: 2}, a + b: {model.channels: 8}}\narms_mode: grid\n",
            "arms.b: a combination of arms is called 'a + b'; rename an arm",
        ),
        (
            "arms: {a: {model.norm: add}, b: {model.norm: adagn}}\narms_mode: cumulative\nseeds: [0, 1]\n"
            "config: {model.heads: 0}\n",
            "config.model.heads: got 0 (int), allowed: an integer ≥ 1",
        ),
        (
            "arms: {a: {model.norm: add}, b: {model.norm: add}}\narms_mode: cumulative\n",
            "arms.b: trial 'a + b' resolves to the same config as 'a' (line 7); every trial must differ",
        ),
        (
            f"arms: {{{', '.join(f'a{i}: {{train.batch_size: {i + 1}}}' for i in range(40))}}}\narms_mode: grid\n",
            "arms_mode: got 1,099,511,627,776 trials in all, allowed: at most 20,000",
        ),
        (
            "parameters: {sample.steps: {partition: {total: 250, parts: 5, step: 5}}}\n",
            "parameters.sample.steps: got 316,251 trials in all, allowed: at most 20,000; use a larger step in the "
            "partition, or searcher: {name: random, num_trials: …}",
        ),
        (
            "parameters: {train.learning_rate: {min: 1, max: 2}}\nsearcher: {name: random, num_trials: 20001}\n",
            "searcher.num_trials: got 20,001 trials in all, allowed: at most 20,000",
        ),
        (
            "parameters: {sample.steps: {values: [1, 2]}}\nsearcher: {name: random, num_trials: 5}\n",
            "searcher.num_trials: got 5, allowed: at most 2: random draws find no others",
        ),
    ],
)
def test_wrong_searches(lines: Lines, body: str, expected: str) -> None:
    found = lines(body)
    assert len(found) == 1, found
    assert found[0].split(": ", 1)[1].startswith(expected)


def test_a_search_survives_json(load: Load) -> None:
    for body in (
        OPTUNA,
        RANDOM.replace("max: 1.0e-3, log", "max: 1.0e-3, num: 2, log").replace("max: 1,", "max: 1, num: 2,"),
    ):
        written: dict[str, Any] = load(body).model_dump(mode="json")
        assert Sweep.model_validate(written).model_dump(mode="json") == written
