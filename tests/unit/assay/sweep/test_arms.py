"""Arms with a base or a workload of their own, and parameters of some arms alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from assay.errors import SpecError, UserError
from assay.sweep import Sweep, load_sweep
from assay.sweep.search import Settings, Space, Values
from assay.workload import Budget, ReportHints, Stage, TypedWorkload, Workload
from assay.workload.fields import PositiveInt, Section

# HEAD of conftest takes lines 1 to 6: what a test writes begins on line 7.


class Latent(Section):
    size: PositiveInt = 64
    truncation: float = 1.0


class Evaluate(Section):
    num_samples: PositiveInt = 10_000


class Config(Section):
    noise_seed: int = 0
    latent: Latent = Latent()
    evaluate: Evaluate = Evaluate()


class Gan(TypedWorkload[Config]):
    """A rival of `tiny`: of its paths it has evaluate.num_samples alone."""

    name = "gan"
    config_type = Config
    bases: ClassVar = {"digits_gan": Config(), "deep": Config(latent=Latent(size=128))}
    report = ReportHints(metrics=("fid",))
    seed_path = "noise_seed"

    def stages_of(self, config: Config) -> Sequence[Stage]:
        budget = Budget("evaluate.num_samples", config.evaluate.num_samples, "images")
        body = ("nothing:nothing",)
        return [Stage("rate", 1, "reduce", body, config=config.model_dump(mode="json"), budget=budget)]


Load = Callable[..., Sweep]
Lines = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str, find_workload: Callable[[str], Workload]) -> Load:
    """As conftest's, with the gan beside tiny."""
    monkeypatch.chdir(tmp_path)

    def load(body: str, **options: Any) -> Sweep:
        Path("x.yaml").write_text(head + body)
        return load_sweep("x.yaml", find_workload=lambda n: Gan() if n == "gan" else find_workload(n), **options)

    return load


@pytest.fixture
def lines(load: Load) -> Lines:
    def lines(*args: Any, **options: Any) -> list[str]:
        with pytest.raises(SpecError) as caught:
            load(*args, **options)
        return str(caught.value).splitlines()

    return lines


RIVALS = "arms: {tiny: {}, rival: {workload: gan, base: digits_gan, latent.size: 32}}\n"


def test_an_arm_starts_from_the_base_and_the_workload_that_it_names(load: Load) -> None:
    sweep = load(
        "arms:\n  guided: {}\n  bare: {base: bare, sample.steps: 9}\n"
        "  gan: {workload: gan, base: digits_gan}\n  deep: {workload: gan, base: deep}\nseeds: [3]\n"
    )
    trials = sweep.trials()
    assert [(t.name, t.base.workload.name, t.base.name) for t in trials] == [
        ("guided", "tiny", "digits"),
        ("bare", "tiny", "bare"),
        ("gan", "gan", "digits_gan"),
        ("deep", "gan", "deep"),
    ]
    assert [t.config.get("classifier") for t in trials] == [True, False, None, None]
    assert [t.config.get("latent", {}).get("size") for t in trials] == [None, None, 64, 128]
    assert [t.config["noise_seed" if t.base.workload.name == "gan" else "seed"] for t in trials] == [3, 3, 3, 3]
    assert all(t.base.resolve(t.overrides) == t.config for t in trials)
    assert sweep.workloads == ["tiny", "gan"]
    assert sweep.subject == "tiny digits, tiny bare, gan digits_gan, gan deep"


def test_what_trials_start_from_is_part_of_what_varies(load: Load) -> None:
    assert [t.varied for t in load("arms: {a: {}, b: {base: bare}}\n").trials()] == [
        {"base": "digits"},
        {"base": "bare"},
    ]
    varied = [dict(t.varied) for t in load(RIVALS).trials()]
    assert [(v["workload"], v["base"], v["latent.size"]) for v in varied] == [
        ("tiny", "digits", None),
        ("gan", "digits_gan", 32),
    ]


def test_config_is_set_in_every_trial_whose_workload_has_the_path(load: Load, lines: Lines) -> None:
    config = "config: {evaluate.num_samples: 50, sample.steps: 9, latent.truncation: 0.5}\n"
    tiny, rival = load(config + RIVALS).trials()
    assert (tiny.config["evaluate"], tiny.config["sample"]["steps"]) == ({"num_samples": 50}, 9)
    assert rival.config["evaluate"] == {"num_samples": 50}
    assert rival.config["latent"] == {"size": 32, "truncation": 0.5}
    assert lines("config: {latent.truncaton: 0.5}\n" + RIVALS) == [
        "x.yaml:7: config.latent.truncaton: unknown config path; did you mean 'latent.truncation'?"
    ]
    (wrong,) = lines("config: {latent.size: 0}\n" + RIVALS.replace(", latent.size: 32", ""))
    assert wrong.startswith("x.yaml:7: config.latent.size: got 0 (int), allowed: an integer ≥ 1")


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("{workload: gna}", "rival.workload: unknown workload 'gna'"),
        ("{workload: 3}", "rival.workload: got 3 (int), allowed: text, the name of a workload"),
        ("{base: null}", "rival.base: got null, allowed: text, the name of a base"),
        ("{base: bear}", "rival.base: workload tiny has no preset 'bear'; did you mean 'bare'?"),
        (
            "{workload: gan, base: digits}",
            "rival.base: workload gan has no preset 'digits'; did you mean 'digits_gan'?",
        ),
        (
            "{workload: gan}",
            "rival.workload: workload gan has no preset 'digits', the sweep's base; name a base in the arm, too; "
            "allowed: digits_gan, deep",
        ),
        (
            "{workload: gan, base: deep, sample.steps: 9}",
            "rival.sample.steps: unknown config path; allowed: ",
        ),
        (
            "{workload: gan, base: deep, latent.size: small}",
            "rival.latent.size: got 'small' (str), allowed: an integer ≥ 1",
        ),
        ("{workload: gan, base: deep, noise_seed: 3}", "rival.noise_seed: replicate seeds set this path"),
    ],
)
def test_a_mistake_is_at_the_arm_that_has_it_and_the_others_are_checked(lines: Lines, arm: str, said: str) -> None:
    found = lines(f"arms:\n  good: {{}}\n  rival: {arm}\n  bad: {{model.nrm: add}}\n")
    assert len(found) == 2, found
    assert found[0].startswith(f"x.yaml:9: arms.{said}")
    assert found[1].startswith("x.yaml:10: arms.bad.model.nrm: unknown config path; did you mean 'model.norm'?")


def test_paths_of_a_workload_that_is_not_found_are_no_further_mistakes(lines: Lines) -> None:
    rest = "config: {latent.size: 9}\nparameters: {latent.truncation: {values: [0.5, 1.0], when: {arm: rival}}}\n"
    assert lines("arms: {tiny: {}, rival: {workload: gan, base: depe}}\n" + rest) == [
        "x.yaml:7: arms.rival.base: workload gan has no preset 'depe'; did you mean 'deep'?"
    ]


def test_arms_of_another_workload_combine_with_no_other_and_bases_do(load: Load, lines: Lines) -> None:
    assert lines(RIVALS + "arms_mode: cumulative\n") == [
        "x.yaml:7: arms.rival.workload: an arm of another workload cannot be combined: got arms_mode cumulative, "
        "allowed: each"
    ]
    arms = "arms: {a: {model.norm: add}, bare: {base: bare}, c: {sample.steps: 9}}\n"
    trials = load(arms + "arms_mode: cumulative\n").trials()
    assert [(t.name, t.base.name) for t in trials] == [("a", "digits"), ("a + bare", "bare"), ("a + bare + c", "bare")]
    grid = "arms: {a: {base: bare}, b: {base: bare, sample.steps: 9}}\narms_mode: grid\n"
    assert "x.yaml:7: arms.b.base: arm 'a' sets this path too; a grid of arms needs one of the two" in lines(grid)


def test_every_trial_reports_the_metric_and_has_the_budget(lines: Lines) -> None:
    assert lines(RIVALS, sets=["metric=recall"]) == [
        "--set metric=recall: metric: trial 'rival' does not report 'recall'; allowed: fid"
    ]
    rungs = "scheduler: {name: halving, budget: %s, rungs: [5, 50]}\n"
    assert lines(RIVALS + rungs % "sample.steps")[0].startswith(
        "x.yaml:8: scheduler.budget: got 'sample.steps', which no stage has as its budget"
    )


GUIDED = "parameters: {sample.steps: {values: [5, 9], when: {arm: %s}}}\n"


def test_a_parameter_is_set_in_the_arms_that_its_condition_names(load: Load) -> None:
    names = [t.name for t in load(RIVALS + GUIDED % "tiny").trials()]
    assert names == ["tiny, steps 5", "tiny, steps 9", "rival"]
    three = "arms: {a: {}, b: {model.norm: add}, c: {base: bare}}\n"
    sweep = load(three + GUIDED % "[a, c]")
    assert [t.name for t in sweep.trials()] == ["a, steps 5", "a, steps 9", "b", "c, steps 5", "c, steps 9"]
    assert sweep.num_trials() == 5


def test_a_condition_on_an_arm_holds_in_its_combinations(load: Load) -> None:
    body = "arms: {a: {model.norm: add}, b: {model.heads: 2}}\narms_mode: cumulative\n" + GUIDED % "b"
    assert [t.name for t in load(body).trials()] == ["a", "a + b, steps 5", "a + b, steps 9"]


def test_each_arm_may_have_parameters_of_its_own_and_settings_where_others_vary(load: Load) -> None:
    sweep = load(
        "arms: {tiny: {}, fast: {sample.steps: 3}, rival: {workload: gan, base: deep}}\n"
        "parameters:\n"
        "  sample.steps: {values: [5, 9], when: {arm: tiny}}\n"
        "  latent.truncation: {values: [0.5, 1.0], when: {arm: rival}}\n"
        "  sample.guidance_scale: {values: [0.0, 1.0], when: {arm: [tiny, fast]}}\n"
    )
    assert [(t.arm, sum(other.arm == t.arm for other in sweep.trials())) for t in sweep.trials()][::4] == [
        ("tiny", 4),
        ("fast", 2),
    ]
    assert sweep.num_trials() == len(sweep.trials()) == 8


def test_draws_are_set_where_their_arm_is(load: Load) -> None:
    body = (
        RIVALS + "parameters:\n  sample.guidance_scale: {min: 0.0, max: 4.0, when: {arm: tiny}}\n"
        "  latent.truncation: {min: 0.1, max: 1.0, when: {arm: rival}}\n"
        "searcher: {name: random, num_trials: 3}\n"
    )
    trials = load(body).trials()
    assert [t.arm for t in trials] == ["tiny", "rival"] * 3
    for trial in trials:
        own = "sample.guidance_scale" if trial.arm == "tiny" else "latent.truncation"
        assert trial.overrides.keys() - {"seed", "noise_seed", "latent.size"} == {own}


def test_a_space_sees_whose_settings_it_is_asked_for() -> None:
    space = Space({"x": Values((1, 2)), "y": Values((3, 4))}, {"x": {"arm": ["a", "b"]}, "y": {"arm": "c", "x": 1}})
    assert space.count(Settings({}, arms=("a",))) == 2
    assert list(space.grid(Settings({}, arms=("c",)))) == [{}]
    assert list(space.grid(Settings({}, arms=("b", "c")))) == [{"x": 1, "y": 3}, {"x": 1, "y": 4}, {"x": 2}]
    assert next(space.draws(0, [Settings({}, arms=("c",))])) == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            RIVALS + GUIDED % "tny",
            "parameters.sample.steps.when.arm: got 'tny' (str), allowed: the name of an arm, or a list of names; did "
            "you mean 'tiny'?",
        ),
        (
            RIVALS + GUIDED % "[tiny, 3]",
            "parameters.sample.steps.when.arm: got 3 (int), allowed: the name of an arm, or a list of names; allowed: "
            "rival, tiny",
        ),
        (
            "\n" + GUIDED % "[]",
            "parameters.sample.steps.when.arm: got [] (list), allowed: the name of an arm, or a list of names; the "
            "sweep has no arms",
        ),
        (
            RIVALS + "parameters: {sample.steps: {values: [5, 9]}}\n",
            "parameters.sample.steps: arm 'rival' has no such config path; limit it to other arms, as in when: "
            "{arm: [tiny]}",
        ),
        (
            "arms: {a: {sample.steps: 3}, b: {}}\n" + GUIDED % "a",
            "arms.a.sample.steps: parameters vary this path too; vary it in one place",
        ),
    ],
)
def test_conditions_on_arms_that_cannot_be(lines: Lines, body: str, said: str) -> None:
    found = lines(body)
    assert [line.partition(": ")[2] for line in found] == [said]


def test_a_condition_that_an_arm_cannot_meet_leaves_its_parameter_out_there(load: Load) -> None:
    body = "parameters: {sample.eta: {values: [0.0, 1.0], when: {sample.sampler: ddim}}}\n"
    arms = "arms: {ddim: {sample.sampler: ddim}, rival: {workload: gan, base: deep}}\n"
    assert [t.name for t in load(arms + body).trials()] == ["ddim, eta 0.0", "ddim, eta 1.0", "rival"]


def test_a_workload_that_does_not_import_is_told_at_its_arm(
    tmp_path: Path, head: str, find_workload: Callable[[str], Workload]
) -> None:
    def find(name: str) -> Workload:
        if name == "gan":
            raise UserError("workload 'gan' (gan:workload) cannot be imported: ModuleNotFoundError: No module 'gan'")
        return find_workload(name)

    (tmp_path / "x.yaml").write_text(head + RIVALS)
    with pytest.raises(SpecError, match=r"x\.yaml:7: arms\.rival\.workload: workload 'gan' .* cannot be imported"):
        load_sweep(tmp_path / "x.yaml", find_workload=find)
