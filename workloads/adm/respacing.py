"""Which of the trained steps a shorter sampling run visits (appendix L). No torch: configs are checked with it."""

from __future__ import annotations

from collections.abc import Sequence

from adm.registries import SPACINGS, spacing_of
from assay.text import shorten

Sections = str | int | Sequence[int]
MOST_DIGITS = 18
"""Digits of a count that are read: Python refuses thousands of them in words of its own."""


def space_timesteps(num_timesteps: int, sections: Sections) -> list[int]:
    """The steps of a `num_timesteps` process to keep, ascending and unique.

    `sections` is one of
      a list or "90,60,60,20,20": the process is cut into as many equal sections (the remainder goes to the first
        ones, one step each) and each is strided evenly, ends included, to its count. The first section is nearest
        the data. A count of 0 skips a section;
      an int: one section;
      a name of adm.registries.SPACINGS and a count, such as "ddim25": N steps at the smallest integer stride that
        gives exactly N, as DDIM's authors space them;
      "": every step.

    ValueError names the section that asks for more steps than it holds.
    """
    if num_timesteps < 1:
        raise ValueError(f"a process needs at least 1 step to respace, got {num_timesteps}")
    counts = section_counts(num_timesteps, sections)
    return _sections(num_timesteps, counts) if counts is not None else _named(num_timesteps, str(sections).strip())


def section_counts(num_timesteps: int, sections: Sections) -> list[int] | None:
    """Steps to take in each section, as `space_timesteps` reads it; None for a spacing by name, which has none."""
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


def _named(num_timesteps: int, sections: str) -> list[int]:
    name = spacing_of(sections)
    assert name is not None
    digits = sections.removeprefix(name)
    if not digits.isdecimal():
        raise ValueError(f"respacing {_shown(sections)} is not {name!r} and a count, such as '{name}25'")
    count = int(digits[:MOST_DIGITS])
    try:
        kept: list[int] = SPACINGS[name].load()(num_timesteps, count)
    except ValueError as error:
        raise ValueError(f"respacing {_shown(sections)}: {error}") from error
    if kept != sorted(set(kept)) or len(kept) != count or not kept or kept[0] < 0 or kept[-1] >= num_timesteps:
        raise ValueError(
            f"respacing {_shown(sections)}: {SPACINGS[name].path} gave {shorten(str(kept))}; allowed: {count} of the "
            f"steps 0 to {num_timesteps - 1}, ascending, none twice"
        )
    return kept


def ddim_stride(num_timesteps: int, wanted: int) -> list[int]:
    """`wanted` steps at the smallest integer stride that gives exactly so many. ValueError where none does."""
    for stride in range(1, num_timesteps):
        if _visited(num_timesteps, stride) == wanted:
            return list(range(0, num_timesteps, stride))
    there_are = {_visited(num_timesteps, stride) for stride in range(1, num_timesteps)}
    nearest = sorted(there_are, key=lambda count: abs(count - wanted))[:2]
    named = f"; near to it are {' and '.join(f'ddim{count}' for count in sorted(nearest))}" if nearest else ""
    plain = f"; {wanted} as plain section counts does without an integer stride" if 1 <= wanted <= num_timesteps else ""
    raise ValueError(f"no integer stride visits exactly {shorten(str(wanted))} of {num_timesteps} steps{named}{plain}")


def _visited(num_timesteps: int, stride: int) -> int:
    return len(range(0, num_timesteps, stride))


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
        # Summed, not multiplied, and rounded half to even: published figures depend on both.
        stride = (length - 1) / (count - 1) if count > 1 else 1.0
        offset = 0.0
        for _ in range(count):
            kept.append(start + round(offset))
            offset += stride
        start += length
    return kept
