"""The published implementation's figures on a toy model (oracle/golden.*): processes to 1e-5, schedules to 1e-12."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adm.diffusion import Diffusion, beta_schedule, space_timesteps

ORACLE = Path(__file__).parent / "oracle"
CASES = {
    "linear/full": ("linear", ""),
    "linear/ddim25": ("linear", "ddim25"),
    "cosine/50": ("cosine", "50"),
}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray[Any, Any]]:
    with np.load(ORACLE / "golden.npz") as file:
        return {key: file[key] for key in file}


@pytest.fixture(scope="module")
def respacings() -> dict[str, Any]:
    return json.loads((ORACLE / "golden.json").read_text())


def rnd(name: str) -> Tensor:
    """The oracle's input rule."""
    return torch.randn((2, 3, 8, 8), generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))


def toy_model(x: Tensor, t: Tensor) -> Tensor:
    t = t.view(-1, 1, 1, 1)
    return torch.cat([0.7 * x + 0.1 * torch.sin(t / 100), 0.5 * torch.cos(x + t / 1000)], dim=1)


def toy_gradient(x: Tensor, t: Tensor) -> Tensor:
    return 0.3 * torch.sin(x) + t.view(-1, 1, 1, 1) / 1000


def build(case: str, **options: Any) -> tuple[Diffusion, Tensor]:
    schedule, respacing = CASES[case]
    diffusion = Diffusion(schedule=schedule, respacing=respacing, **options)
    return diffusion, torch.tensor([0, diffusion.num_timesteps // 2])


def close(ours: Tensor, theirs: np.ndarray[Any, Any], relative: float = 1e-5) -> None:
    torch.testing.assert_close(ours, torch.from_numpy(theirs), atol=1e-5, rtol=relative)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_betas(golden: dict[str, Any], schedule: str) -> None:
    np.testing.assert_allclose(beta_schedule(schedule, 1000), golden[f"betas/{schedule}/1000"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_timestep_map(golden: dict[str, Any], case: str) -> None:
    np.testing.assert_array_equal(build(case)[0].timestep_map, golden[f"diff/{case}/timestep_map"])


@pytest.mark.parametrize("case", CASES)
def test_p_mean_variance(golden: dict[str, Any], case: str) -> None:
    diffusion, t = build(case)
    out = diffusion.p_mean_variance(toy_model, rnd("xt"), t)
    for name in ("mean", "variance", "log_variance", "pred_xstart"):
        close(out[name], golden[f"diff/{case}/pmv/{name}"])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("cond_fn", [None, toy_gradient])
def test_p_sample(golden: dict[str, Any], case: str, cond_fn: Any) -> None:
    diffusion, t = build(case)
    out = diffusion.p_sample(toy_model, rnd("xt"), t, cond_fn=cond_fn, noise=rnd("step"))
    close(out.sample, golden[f"diff/{case}/p_sample" + ("_guided" if cond_fn else "")])


@pytest.mark.parametrize("case", CASES)
def test_ddim(golden: dict[str, Any], case: str) -> None:
    diffusion, t = build(case)
    x, noise = rnd("xt"), rnd("step")
    close(diffusion.ddim_sample(toy_model, x, t).sample, golden[f"diff/{case}/ddim0"])
    guided = diffusion.ddim_sample(toy_model, x, t, cond_fn=toy_gradient)
    close(guided.sample, golden[f"diff/{case}/ddim0_guided"])
    close(diffusion.ddim_sample(toy_model, x, t, eta=0.7, noise=noise).sample, golden[f"diff/{case}/ddim.7"])
    close(diffusion.ddim_reverse(toy_model, x, t).sample, golden[f"diff/{case}/ddim_reverse"])


@pytest.mark.parametrize("case", CASES)
def test_q_sample_and_vlb(golden: dict[str, Any], case: str) -> None:
    diffusion, t = build(case)
    x0, noise = rnd("x0").clamp(-1, 1), rnd("noise")
    x_t = diffusion.q_sample(x0, t, noise)
    close(x_t, golden[f"diff/{case}/q_sample"])
    close(diffusion.vlb_terms(toy_model, x0, x_t, t).output, golden[f"diff/{case}/vlb"])


@pytest.mark.parametrize(("case", "loss"), [*((case, "mse") for case in CASES), ("linear/full", "rescaled_mse")])
def test_losses(golden: dict[str, Any], case: str, loss: Any) -> None:
    diffusion, t = build(case, loss=loss)
    terms = diffusion.losses(toy_model, rnd("x0").clamp(-1, 1), t, rnd("noise"))
    for name in ("loss", "mse", "vb"):
        close(terms[name], golden[f"diff/{case}/loss_{loss}/{name}"])


def test_rescaled_kl(golden: dict[str, Any]) -> None:
    diffusion, t = build("linear/full", loss="rescaled_kl")
    terms = diffusion.losses(toy_model, rnd("x0").clamp(-1, 1), t, rnd("noise"))
    close(terms["loss"], golden["diff/linear/full/loss_rescaled_kl"])


def test_guided_ddim_loop(golden: dict[str, Any]) -> None:
    diffusion, _ = build("linear/ddim25")
    images = diffusion.ddim_loop(toy_model, noise=rnd("xt"), cond_fn=toy_gradient)
    close(images, golden["diff/linear/ddim25/ddim_loop_guided"])


def test_respacing(respacings: dict[str, Any]) -> None:
    for sections, kept in respacings["respacing_T1000"].items():
        assert space_timesteps(1000, sections) == kept, sections
    for sections in respacings["respacing_errors_T1000"]:
        with pytest.raises(ValueError, match=sections if "ddim" in sections else "section 1 of"):
            space_timesteps(1000, sections)
