"""The base class of workloads: presets, dotted paths, overrides, sections that may be null, and refusals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest

from assay.errors import ConfigError, ConfigProblem, UserError
from assay.workload import ReportHints, Stage, TypedWorkload
from assay.workload.fields import PositiveInt, Section


class Critic(Section):
    width: PositiveInt = 8


class Cosine(Section):
    warmup: PositiveInt = 10


class Step(Section):
    every: PositiveInt = 5


class Config(Section):
    seed: int = 0
    width: PositiveInt = 16
    critic: Critic | None = None
    schedule: Cosine | Step = Cosine()
    blocks: tuple[Critic, ...] = ()


class Gan(TypedWorkload[Config]):
    name = "gan"
    config_type = Config
    bases: ClassVar = {"plain": Config(), "with_critic": Config(critic=Critic())}
    report = ReportHints(metrics=("fid",))

    def problems_of(self, config: Config) -> Iterator[ConfigProblem]:
        if config.width == 13:
            yield ConfigProblem("width", "got 13, allowed: a lucky number")

    def stages_of(self, config: Config) -> Sequence[Stage]:
        return [Stage("gan", 1, "reduce", ("gan:make",), config.model_dump(mode="json"))]


GAN = Gan()


def refused(base: str, **overrides: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        GAN.resolve(base, {path.replace("__", "."): value for path, value in overrides.items()})
    return [f"{problem.path}: {problem.message}" for problem in error.value.problems]


def test_presets_and_paths() -> None:
    assert GAN.presets() == ["plain", "with_critic"]
    assert GAN.paths("plain") == ["seed", "width", "critic.width", "schedule.warmup", "schedule.every", "blocks"]


def test_a_config_is_the_preset_with_overrides_as_plain_json() -> None:
    resolved = GAN.resolve("with_critic", {"critic.width": 4, "blocks": [{"width": 2}]})
    assert resolved == {
        "seed": 0,
        "width": 16,
        "critic": {"width": 4},
        "schedule": {"warmup": 10},
        "blocks": [{"width": 2}],
    }
    assert GAN.resolve("with_critic", {})["critic"] == {"width": 8}, "a preset is as it was"
    assert GAN.stages(resolved)[0].config == resolved
    assert GAN.metrics(resolved) == ("fid",)


def test_null_takes_a_section_away_where_the_model_has_a_null() -> None:
    assert GAN.resolve("with_critic", {"critic": None})["critic"] is None
    assert refused("plain", critic__width=4) == ["critic.width: this base has no critic; use a base that has one"]
    assert refused("plain", schedule=None) != []


def test_every_refusal_names_its_path() -> None:
    assert refused("plain", widht=3, critic__wdth=1) == [
        "widht: unknown config path; did you mean 'width'?",
        "critic.wdth: unknown config path; did you mean 'critic.width'?",
    ]
    assert refused("plain", seed="x", width=0) == [
        "seed: got 'x' (str), allowed: an integer",
        "width: got 0 (int), allowed: an integer ≥ 1 and ≤ 2147483647",
    ]
    assert refused("plain", width=13) == ["width: got 13, allowed: a lucky number"]
    with pytest.raises(UserError, match=r"^unknown preset 'plian'; did you mean 'plain'\?"):
        GAN.resolve("plian", {})
