"""Which of the trained steps a shorter sampling run visits (appendix L). Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, log
from typing import TYPE_CHECKING, TypeVar

from adm.registries import SPACINGS, spacing_of
from assay.text import shorten

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

Sections = str | int | Sequence[int]
Real = TypeVar("Real", float, "npt.NDArray[np.float64]", "Tensor")
MOST_DIGITS = 18
"""Digits of a count that are read: for thousands of digits, int() raises an error of its own."""
MIN_WEIGHTS = 2
MIN_FRACTIONAL = 2
"""Both ends are kept."""
KARRAS_RHO = 7.0
"""ρ of Karras et al. 2022, table 1: the larger, the denser near the data."""


def space_timesteps(num_timesteps: int, sections: Sections) -> list[int]:
    """The steps of a `num_timesteps` process to keep, ascending and unique.

    `sections` is one of
      a list or "90,60,60,20,20": the process is divided into that many equal sections (the remainder goes to the
        first ones, one step each), and each keeps its count of evenly spaced steps, ends included. The first section is
        nearest the data. A count of 0 skips a section;
      an int: one section;
      a name in adm.registries.SPACINGS and a count, such as "ddim25": 25 steps at the smallest integer stride that
        gives exactly 25, as DDIM's authors space them;
      "": every step.

    Raises ValueError, naming the section, if a count is larger than its section; and for a fractional spacing, such as
    "karras25", which visits none of the steps themselves: see fractional_spacing.
    """
    if num_timesteps < 1:
        raise ValueError(f"a process needs at least 1 step to respace, got {num_timesteps}")
    if fractional_spacing(num_timesteps, sections) is not None:
        raise ValueError(f"respacing {_shown(str(sections))} goes between the steps: it keeps none of them")
    counts = section_counts(num_timesteps, sections)
    return _sections(num_timesteps, counts) if counts is not None else _named(num_timesteps, str(sections).strip())


def count_steps(num_timesteps: int, sections: Sections) -> int:
    """The number of steps of a run, fractional spacings included. Raises ValueError where there can be no such run."""
    fractional = fractional_spacing(num_timesteps, sections)
    return len(space_timesteps(num_timesteps, sections)) if fractional is None else fractional.count


@dataclass(frozen=True)
class FractionalSpacing:
    """A spacing that chooses noise levels, as "karras25" or "spline25:3,2,1" spell it."""

    name: str
    count: int
    weights: tuple[int, ...] = ()

    @property
    def spelled(self) -> str:
        """The simplest spelling of the same: without a common factor of the weights."""
        factor = gcd(*self.weights) or 1
        weights = ",".join(str(weight // factor) for weight in self.weights)
        return f"{self.name}{self.count}" + (f":{weights}" if weights else "")

    def sigmas(self, sigma_min: float, sigma_max: float) -> list[float]:
        """The noise levels σ = √(1−ᾱ)/√ᾱ, ascending, from the first to the last."""
        spacing = SPACINGS[self.name]
        weights = (self.weights,) if spacing.takes_weights else ()
        sigmas: list[float] = spacing.load()(sigma_min, sigma_max, self.count, *weights)
        return sigmas


def fractional_spacing(num_timesteps: int, sections: Sections) -> FractionalSpacing | None:
    """The spacing that `sections` names, if it is one that chooses noise levels; else None. Raises ValueError for a
    count that is not from 2 to `num_timesteps`, and for weights that are missing or not meant."""
    name = spacing_of(sections)
    if name is None or not SPACINGS[name].is_fractional:
        return None
    text = str(sections).strip()
    spelled, _, weights = text.partition(":")
    count = _named_count(name, spelled)
    if not MIN_FRACTIONAL <= count <= num_timesteps:
        raise ValueError(
            f"respacing {_shown(text)} takes {shorten(str(count))} steps, allowed: {MIN_FRACTIONAL} to {num_timesteps}"
        )
    return FractionalSpacing(name, count, _weights(name, text, weights))


def _weights(name: str, text: str, weights: str) -> tuple[int, ...]:
    parts = [part.strip() for part in weights.split(",")] if ":" in text else []
    if not SPACINGS[name].takes_weights:
        if parts:
            raise ValueError(f"respacing {_shown(text)} has weights, which {name!r} does not take")
        return ()
    if len(parts) < MIN_WEIGHTS or not all(part.isdecimal() and int(part[:MOST_DIGITS]) > 0 for part in parts):
        raise ValueError(
            f"respacing {_shown(text)} needs {MIN_WEIGHTS} weights or more, integers above 0: such as '{name}25:3,2,1'"
        )
    return tuple(int(part[:MOST_DIGITS]) for part in parts)


def section_counts(num_timesteps: int, sections: Sections) -> list[int] | None:
    """The count of each section, as `space_timesteps` reads them; None for a named spacing."""
    if not isinstance(sections, str):
        return [sections] if isinstance(sections, int) else [int(count) for count in sections]
    text = sections.strip()
    if not text:
        return [num_timesteps]
    return None if spacing_of(text) else [_count(part, sections) for part in text.split(",")]


def _count(part: str, sections: str) -> int:
    try:
        return int(part)
    except ValueError:
        raise ValueError(
            f"cannot read {_shown(part.strip())} in respacing {_shown(sections)}: use counts per section (such as "
            f"'90,60,60,20,20') or {' or '.join(repr(f'{name}N') for name in SPACINGS)} (such as 'ddim25')"
        ) from None


def _shown(sections: str) -> str:
    return repr(shorten(sections))


def _named_count(name: str, sections: str) -> int:
    digits = sections.removeprefix(name)
    if not digits.isdecimal():
        raise ValueError(f"respacing {_shown(sections)} is not {name!r} and a count, such as '{name}25'")
    return int(digits[:MOST_DIGITS])


def _named(num_timesteps: int, sections: str) -> list[int]:
    name = spacing_of(sections)
    assert name is not None
    count = _named_count(name, sections)
    try:
        kept: list[int] = SPACINGS[name].load()(num_timesteps, count)
    except ValueError as error:
        raise ValueError(f"respacing {_shown(sections)}: {error}") from error
    if kept != sorted(set(kept)) or len(kept) != count or not kept or kept[0] < 0 or kept[-1] >= num_timesteps:
        raise ValueError(
            f"respacing {_shown(sections)}: {SPACINGS[name].path} returned {shorten(str(kept))}; allowed: {count} of "
            f"the steps 0 to {num_timesteps - 1}, ascending and distinct"
        )
    return kept


def ddim_stride(num_timesteps: int, count: int) -> list[int]:
    """`count` steps at the smallest integer stride that gives exactly that many. Raises ValueError if none does."""
    stride_of: dict[int, int] = {}
    for stride in range(1, num_timesteps):
        stride_of.setdefault(len(range(0, num_timesteps, stride)), stride)
    if count in stride_of:
        return list(range(0, num_timesteps, stride_of[count]))
    nearest = sorted(stride_of, key=lambda other: abs(other - count))[:2]
    named = f"; the nearest are {' and '.join(f'ddim{other}' for other in sorted(nearest))}" if nearest else ""
    plain = f"; {count} as a plain count needs no integer stride" if 1 <= count <= num_timesteps else ""
    raise ValueError(f"no integer stride visits exactly {shorten(str(count))} of {num_timesteps} steps{named}{plain}")


def karras_sigma(share: Real, sigma_min: float, sigma_max: float) -> Real:
    """σ at a share of the way from σ_min to σ_max: (σ_min^{1/ρ} + share (σ_max^{1/ρ} − σ_min^{1/ρ}))^ρ. EDM, arXiv
    2206.00364, equation 5, where the share is i/(N−1)."""
    low, high = sigma_min ** (1 / KARRAS_RHO), sigma_max ** (1 / KARRAS_RHO)
    return (low + share * (high - low)) ** KARRAS_RHO


def karras_share(sigma: Real, sigma_min: float, sigma_max: float) -> Real:
    """The share at which karras_sigma is σ."""
    low, high = sigma_min ** (1 / KARRAS_RHO), sigma_max ** (1 / KARRAS_RHO)
    return (sigma ** (1 / KARRAS_RHO) - low) / (high - low)


def karras_sigmas(sigma_min: float, sigma_max: float, count: int) -> list[float]:
    """`count` noise levels of karras_sigma, ascending."""
    between = [karras_sigma(i / (count - 1), sigma_min, sigma_max) for i in range(1, count - 1)]
    return [sigma_min, *between, sigma_max]


def spline_sigmas(sigma_min: float, sigma_max: float, count: int, weights: Sequence[int]) -> list[float]:
    """`count` noise levels of which each of len(weights) equal parts of the range of log σ gets a share as large as its
    weight, the first one nearest the data. Between the parts the density changes smoothly: log σ is a monotone cubic
    spline (Fritsch & Butland 1984) of the share of steps. Equal weights: levels evenly spaced in λ = −log σ."""
    import numpy as np
    from scipy.interpolate import PchipInterpolator

    low, high = log(sigma_min), log(sigma_max)
    shares = np.concatenate([[0.0], np.cumsum(weights) / sum(weights)])
    spline = PchipInterpolator(shares, np.linspace(low, high, len(weights) + 1))
    between = np.exp(spline(np.linspace(0, 1, count)[1:-1])).tolist()
    return [sigma_min, *between, sigma_max]


def _sections(num_timesteps: int, counts: Sequence[int]) -> list[int]:
    if not counts or len(counts) > num_timesteps:
        raise ValueError(f"{len(counts)} sections do not fit {num_timesteps} steps: use 1 to {num_timesteps}")
    if all(count == 0 for count in counts):
        raise ValueError(f"sections {list(counts)} keep no step at all: at least one count must be positive")
    size, remainder = divmod(num_timesteps, len(counts))
    kept: list[int] = []
    start = 0
    for index, count in enumerate(counts):
        length = size + (1 if index < remainder else 0)
        if not 0 <= count <= length:
            raise ValueError(
                f"section {index + 1} of {list(counts)} asks for {count} steps, but it spans steps {start} to "
                f"{start + length - 1} of {num_timesteps} and so takes 0 to {length}"
            )
        # Summed, not multiplied, and rounded half to even: the published results depend on both.
        stride = (length - 1) / (count - 1) if count > 1 else 1.0
        offset = 0.0
        for _ in range(count):
            kept.append(start + round(offset))
            offset += stride
        start += length
    return kept
