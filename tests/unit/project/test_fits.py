"""Every preset and every shipped sweep fits a GPU of the two clusters in infra/: a V100 of 16 GB or of 32 GB."""

from __future__ import annotations

from pathlib import Path

import pytest

from adm import presets
from adm.compute.memory import sampling_memory, training_memory
from assay.costs.devices import USABLE_MEMORY
from assay.costs.memory import GIB, memory_in_words, memory_need
from assay.planning import make_plan
from assay.sweep import load_sweep
from repository import ROOT

LARGEST = 32
GPUS_PER_MACHINE = 8
SWEEPS = sorted(ROOT.glob("sweeps/*.yaml"))


@pytest.mark.parametrize("name", presets.names())
def test_a_machine_of_eight_trains_and_samples_every_preset(name: str) -> None:
    c, room = presets.load(name), LARGEST * GIB * USABLE_MEMORY
    networks = [(c.model, c.train), *((part.model, part.train) for part in (c.classifier, c.upsampler) if part)]
    for model, train in networks:
        memory = training_memory(model, train, "train", "model")
        assert memory is not None
        assert memory.most(room, GPUS_PER_MACHINE) >= 1
    sampling = sampling_memory(c)
    assert sampling is not None
    assert sampling.most(room) >= 1


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_sweep_fits_one_of_the_two_as_it_is_written(path: Path) -> None:
    for profile in [None, *load_sweep(path).profiles]:
        plan = make_plan(load_sweep(path, profile=profile))
        for stage in plan.stages.values():
            need = memory_need(stage, plan.sweep.resources, plan.hints.days.reference)
            assert need is None or need.holding, memory_in_words(need)
            on_gpus = plan.sweep.resources.group_of(stage).of_each[1] > 0
            assert need is not None or not on_gpus, f"a plan does not say what {stage.name} needs"
