"""Groups of resources: a stage names one, a sweep may add some, and what does not fit together is told before a run."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from assay.errors import SpecError, UserError
from assay.execution.requirements import Need, need
from assay.jobs.package import as_file
from assay.planning import Plan, checked, make_plan
from assay.sweep import Resources, Sweep, load_sweep
from assay.workload import Budget, ReportHints, Stage, TypedWorkload
from assay.workload.fields import Section

sizes: list[tuple[int, float]] = []


def group_check(config: Any, execution: Any, workers: int, gpus: float) -> None:
    sizes.append((workers, gpus))


class Config(Section):
    seed: int = 0
    train_on: str = "train"
    draw_on: str = "wide"


class Grouped(TypedWorkload[Config]):
    """train → draw → judge; the config names the groups of the first two."""

    name = "tiny"
    config_type = Config
    bases: ClassVar = {"digits": Config()}
    report = ReportHints(metrics=("fid",))

    def stages_of(self, config: Config) -> Sequence[Stage]:
        body, check = (f"{__name__}:group_check",), f"{__name__}:group_check"
        train = Stage("train", 1, "train", body, {}, resources=config.train_on, group_check=check)
        budget = Budget("n", 5000, "images")
        draw = Stage("draw", 1, "map", body, {}, {"model": train}, budget, resources=config.draw_on)
        return [Stage("judge", 1, "reduce", body, {}, {"rows": draw})]


Load = Callable[..., Sweep]
WIDE = "resources: {train: {workers: [1, 2]}, wide: {actors: [1, 8], gpus_per_actor: 0.5}}\n"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str) -> Load:
    monkeypatch.chdir(tmp_path)

    def load(body: str, **options: Any) -> Sweep:
        Path("x.yaml").write_text(head + body)
        return load_sweep("x.yaml", find_workload=lambda name: Grouped(), **options)

    return load


@pytest.fixture
def plan(load: Load) -> Callable[..., Plan]:
    return lambda body, **options: make_plan(load(body, **options))


def needs(made: Plan) -> dict[str, Need]:
    return {stage.name: need(stage, made.sweep.resources) for stage in made.stages.values()}


def test_a_stage_takes_what_its_group_says(plan: Callable[..., Plan]) -> None:
    assert needs(plan(WIDE)) == {
        "train": Need({"CPU": 1.0}, 1, 2),
        "draw": Need({"CPU": 1.0, "GPU": 0.5}, 1, 5),  # of 5,000 images, 1,024 a shard
        "judge": Need({"CPU": 1.0}),
    }
    more = "config: {train_on: large, draw_on: sample}\nresources: {large: {workers: 4, gpus_per_worker: 1}}\n"
    assert needs(plan(more))["train"] == Need({"CPU": 1.0, "GPU": 1.0}, 4, 4)
    assert needs(plan(more, sets=["resources.large.workers=2"]))["train"].least == 2


def test_a_training_is_checked_for_the_sizes_of_its_own_group(plan: Callable[..., Plan]) -> None:
    sizes.clear()
    body = "config: {train_on: large, draw_on: sample}\nresources: {large: {workers: [3, 4], gpus_per_worker: 2}}\n"
    checked(plan(body))
    assert sizes == [(3, 2), (4, 2)]


def test_a_need_says_how_many_threads_a_unit_has() -> None:
    assert [Need({"CPU": cpus}).threads for cpus in (0.1, 1.0, 3.5)] == [1, 1, 3]
    assert Need({}).threads == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "",
            "x.yaml:1: resources.wide: stage draw names this group, which the sweep does not define; it has: "
            "reduce, sample, train. Define it: for a map stage it takes actors, cpus_per_actor, gpus_per_actor, gpu",
        ),
        (
            "resources: {wide: {workers: 8}}\n",
            "x.yaml:7: resources.wide: got a group of workers, cpus_per_worker, gpus_per_worker, gpu, but stage draw, "
            "which names it, is a map stage; allowed: actors, cpus_per_actor, gpus_per_actor, gpu",
        ),
        (
            WIDE.replace("wide", "wide: {actors: [1, 2]}, trian"),
            "x.yaml:7: resources.trian: no stage names this group; groups that stages name: reduce, train, wide; did "
            "you mean 'train'?",
        ),
    ],
)
def test_groups_and_stages_that_do_not_fit_are_refused_when_planned(
    plan: Callable[..., Plan], body: str, said: str
) -> None:
    with pytest.raises(UserError) as refused:
        plan(body)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("group", "said"),
    [
        (
            "wide: {actors: 4}",
            "resources.wide.actors: got 4 (int), allowed: a list of 2 integers ≥ 1",
        ),
        ("wide: {actors: [1, 2], gpu_per_actor: 1}", "resources.wide.gpu_per_actor: unknown key; did you mean 'gpus_"),
        ("wide: 3", "resources.wide: got 3 (int), allowed: a mapping {"),
        ("copy: {cpus: 1}", "resources.copy: unknown key; allowed: reduce, sample, train"),
        ("'a b': {cpus: 1}", "resources.a b: unknown key; allowed: reduce, sample, train"),
    ],
)
def test_a_mistake_in_a_group_is_at_its_key(load: Load, group: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        load(f"resources: {{{group}}}\n")
    assert str(refused.value).startswith(f"x.yaml:7: {said}")


def test_a_job_takes_the_groups_along(load: Load, tmp_path: Path) -> None:
    here = load(WIDE)
    (tmp_path / "sent.yaml").write_text(as_file(here))
    there = load_sweep(tmp_path / "sent.yaml", find_workload=lambda name: Grouped())
    assert there.resources.model_dump() == here.resources.model_dump()
    assert needs(make_plan(there)) == needs(make_plan(here))


def test_what_a_worker_is_sent_has_no_model_that_was_made_for_a_sweep(plan: Callable[..., Plan]) -> None:
    assert pickle.loads(pickle.dumps(needs(plan(WIDE)))) == needs(plan(WIDE))
    assert Resources.reader({"train": {}}) is Resources
