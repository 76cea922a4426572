"""Which number format a stage computes in, and what it says of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

import adm.training.precision
from adm.training.precision import choose
from assay.errors import AssayWarning, UserError


def context(said: dict[str, Any], device: str = "cpu") -> Any:
    return SimpleNamespace(device=device, note=said.__setitem__)


@pytest.mark.parametrize(("has_instructions", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_on_a_cpu_is_bf16_where_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, has_instructions: bool, chosen: str
) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: has_instructions)
    said: dict[str, Any] = {}
    assert choose(context(said), "train.precision", "auto") == chosen
    assert said == {"train.precision": chosen}, "under the path of the config that it answers"


@pytest.mark.parametrize(
    ("capability", "chosen"),
    [((6, 1), "fp32"), ((7, 0), "fp16"), ((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")],
)
def test_auto_is_fp16_from_a_v100_on_and_bf16_on_newer_gpus(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose(context({}, "cuda:0"), "sample.precision", "auto") == chosen


@pytest.mark.parametrize(
    ("ours", "theirs", "chosen"),
    [((8, 0), (7, 0), "fp16"), ((7, 0), (8, 0), "fp16"), ((7, 0), (6, 1), "fp32"), ((6, 1), (9, 0), "fp32")],
)
def test_auto_on_different_gpus_is_what_all_are_good_at_and_said(
    monkeypatch: pytest.MonkeyPatch, ours: tuple[int, int], theirs: tuple[int, int], chosen: str
) -> None:
    capabilities = {"cuda:0": ours, "another": theirs}
    monkeypatch.setattr(torch.cuda, "get_device_capability", capabilities.get)
    monkeypatch.setattr(adm.training.precision, "gather", lambda own: [own, adm.training.precision.fast_on("another")])
    said: dict[str, Any] = {}
    with pytest.warns(AssayWarning, match=f"train.precision auto: .* of all workers; all compute in {chosen}"):
        assert choose(context(said, "cuda:0"), "train.precision", "auto") == chosen
    assert said == {"train.precision": chosen}


def test_what_is_asked_for_is_taken_and_said_too() -> None:
    said: dict[str, Any] = {}
    assert choose(context(said), "sample.precision", "bf16") == "bf16"
    assert said == {"sample.precision": "bf16"}


def test_fp16_on_a_cpu_is_refused_by_the_name_it_was_asked_by() -> None:
    with pytest.raises(UserError, match=r"sample\.precision fp16 is for GPUs; on a CPU use auto, bf16 or fp32"):
        choose(context({}), "sample.precision", "fp16")
