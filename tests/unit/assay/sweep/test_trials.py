"""A sweep's trials: their order, their names, and what they say varies."""

from __future__ import annotations

from collections.abc import Callable

from assay.sweep import Sweep
from assay.sweep.expansion import short_names

Load = Callable[..., Sweep]


def names(sweep: Sweep) -> list[str]:
    return [trial.name for trial in sweep.trials()]


def test_arms_then_parameters_then_seeds(load: Load) -> None:
    sweep = load(
        "arms: {AdaGN: {}, add: {model.norm: add}}\n"
        "parameters: {sample.guidance_scale: {values: [0.0, 1.0]}}\n"
        "seeds: [4, 7]\n"
    )
    trials = sweep.trials()
    assert [trial.index for trial in trials] == list(range(8))
    assert [(trial.arm, trial.overrides["sample.guidance_scale"], trial.seed) for trial in trials] == [
        (arm, scale, seed) for arm in ("AdaGN", "add") for scale in (0.0, 1.0) for seed in (4, 7)
    ]
    assert trials[2].name == "AdaGN, guidance_scale 1.0, seed 4"
    assert trials[2].config["seed"] == 4
    assert trials[2].config["sample"]["guidance_scale"] == 1.0


def test_names(load: Load) -> None:
    assert names(load()) == ["digits"]
    assert names(load("seeds: [0, 1]\n")) == ["digits, seed 0", "digits, seed 1"]
    assert names(load("arms: {AdaGN: {}}\n")) == ["AdaGN"]
    assert names(load("parameters: {sample.guidance_scale: {values: [1.0]}}\n")) == ["guidance_scale 1.0"]
    assert names(load("arms: {AdaGN: {}}\nparameters: {sample.guidance_scale: {values: [1.0]}}\n")) == [
        "AdaGN, guidance_scale 1.0"
    ]


def test_values_in_names(load: Load) -> None:
    sweep = load("parameters: {sample.steps: {values: [5, '5', ddim25, [3, 4]]}, classifier: {values: [true]}}\n")
    assert names(sweep) == [f"steps {value}, classifier true" for value in ("5", '"5"', "ddim25", "[3, 4]")]


def test_a_shared_last_segment_takes_as_much_path_as_it_needs() -> None:
    assert short_names(["train.steps", "sample.steps", "train.rate"]) == {
        "train.steps": "train.steps",
        "sample.steps": "sample.steps",
        "train.rate": "rate",
    }
    deep = ["classifier.train.rate", "train.rate", "a.b.rate"]
    assert short_names(deep) == {
        "classifier.train.rate": "classifier.train.rate",
        "train.rate": "train.rate",
        "a.b.rate": "b.rate",
    }


def test_overrides_on_top_of_config_give_the_config_again(load: Load) -> None:
    sweep = load("config: {train.batch_size: 2}\narms: {a: {}, b: {model.norm: add}}\nseeds: [3]\n")
    for trial in sweep.trials():
        again = sweep.find_workload().resolve(sweep.base, {**sweep.config, **trial.overrides})
        assert again == trial.config
    assert "train.batch_size" not in sweep.trials()[0].overrides


def test_varied_is_what_differs_with_every_trials_own_value(load: Load) -> None:
    sweep = load(
        "config: {train.batch_size: 2}\n"
        "arms: {a: {model.heads: 4}, b: {model.norm: add}}\n"
        "parameters: {sample.steps: {values: [1, 2]}}\n"
    )
    assert [dict(trial.varied) for trial in sweep.trials()] == [
        {"model.norm": norm, "sample.steps": steps} for norm in ("adagn", "add") for steps in (1, 2)
    ]  # model.heads: 4 is what b has too


def test_one_trial_varies_nothing_and_seeds_vary_the_seed(load: Load) -> None:
    assert load("arms: {a: {model.norm: add}}\n").trials()[0].varied == {}
    assert [trial.varied for trial in load("seeds: [1, 2]\n").trials()] == [{"seed": 1}, {"seed": 2}]
