from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adm.config import DiffusionConfig
from adm.diffusion import Diffusion, space_timesteps


def lengths(num_timesteps: int, parts: int) -> list[int]:
    return [len(part) for part in np.array_split(np.arange(num_timesteps), parts)]


@st.composite
def valid(draw: st.DrawFn) -> tuple[int, list[int]]:
    num_timesteps = draw(st.integers(1, 1500))
    parts = draw(st.integers(1, min(num_timesteps, 12)))
    counts = [draw(st.integers(0, length)) for length in lengths(num_timesteps, parts)]
    if not any(counts):
        counts[0] = 1
    return num_timesteps, counts


@given(valid())
def test_sections_keep_their_counts(case: tuple[int, list[int]]) -> None:
    num_timesteps, counts = case
    kept = space_timesteps(num_timesteps, counts)
    assert len(kept) == sum(counts)
    assert kept == sorted(set(kept))
    assert kept[0] >= 0
    assert kept[-1] < num_timesteps
    # Each section has its own steps, and both of its ends where it keeps more than one.
    start = 0
    for length, count in zip(lengths(num_timesteps, len(counts)), counts, strict=True):
        inside = [step for step in kept if start <= step < start + length]
        assert len(inside) == count
        if count:
            assert inside[0] == start
        if count > 1:
            assert inside[-1] == start + length - 1
        start += length
    assert space_timesteps(num_timesteps, ",".join(map(str, counts))) == kept


@given(valid(), st.data())
def test_an_impossible_section_is_named(case: tuple[int, list[int]], data: st.DataObject) -> None:
    num_timesteps, counts = case
    index = data.draw(st.integers(0, len(counts) - 1))
    length = lengths(num_timesteps, len(counts))[index]
    counts[index] = data.draw(st.one_of(st.integers(length + 1, length + 1000), st.integers(-1000, -1)))
    message = f"section {index + 1} of {counts} asks for {counts[index]} steps"
    with pytest.raises(ValueError, match=re.escape(message)):
        space_timesteps(num_timesteps, counts)


@given(st.integers(2, 2000), st.integers(1, 2000))
def test_ddim_spacing_is_the_smallest_exact_stride(num_timesteps: int, wanted: int) -> None:
    strides = [s for s in range(1, num_timesteps) if -(-num_timesteps // s) == wanted]
    if strides:
        assert space_timesteps(num_timesteps, f"ddim{wanted}") == list(range(0, num_timesteps, strides[0]))
    else:
        with pytest.raises(ValueError, match=rf"'ddim{wanted}': no integer stride"):
            space_timesteps(num_timesteps, f"ddim{wanted}")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ("ten", "cannot read 'ten' in respacing 'ten'"),
        ("10,,10", "cannot read '' in respacing '10,,10'"),
        ("ddim", "respacing 'ddim' is not"),
        ("ddim-5", "respacing 'ddim-5' is not"),
        ("ddim25x", "respacing 'ddim25x' is not"),
        ([], "0 sections do not fit"),
        ("0,0", "keep no step at all"),
        ("250,0,0,0,0", "section 1 of [250, 0, 0, 0, 0] asks for 250 steps, but it spans steps 0 to 199"),
    ],
)
def test_unreadable_sections(sections: str | list[int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        space_timesteps(1000, sections)


def test_an_int_is_one_section_and_nothing_is_everything() -> None:
    assert space_timesteps(1000, 250) == space_timesteps(1000, "250") == space_timesteps(1000, [250])
    assert space_timesteps(7, "") == list(range(7))
    assert space_timesteps(1000, "ddim25")[-1] == 960


@pytest.mark.parametrize("sections", ["", "50", "ddim25", [90, 60, 60, 20, 20], 1])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_respaced_process_passes_through_the_same_noise_levels(schedule: str, sections: str | list[int]) -> None:
    full = Diffusion(schedule=schedule)
    short = Diffusion(schedule=schedule, respacing=sections)
    np.testing.assert_allclose(short.alphas_cumprod, full.alphas_cumprod[short.timestep_map], rtol=0, atol=1e-12)
    assert short.betas.dtype == np.float64
    assert ((short.betas > 0) & (short.betas < 1)).all()


@pytest.mark.parametrize("steps", [None, 50, (10, 0, 5), "ddim25"])
def test_from_config(steps: int | tuple[int, ...] | str | None) -> None:
    config = DiffusionConfig(schedule="cosine", steps=600, mean="x0", variance="fixed_small", loss="kl")
    diffusion = Diffusion.from_config(config, steps)
    assert diffusion.num_timesteps == {None: 600, 50: 50, (10, 0, 5): 15, "ddim25": 25}[steps]
    assert (diffusion.schedule, diffusion.mean, diffusion.variance, diffusion.loss) == (
        "cosine",
        "x0",
        "fixed_small",
        "kl",
    )
