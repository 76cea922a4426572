"""Which of the trained steps a shorter sampling run visits (appendix L). No torch: configs are checked with it."""

from __future__ import annotations

from collections.abc import Sequence

Sections = str | int | Sequence[int]


def space_timesteps(num_timesteps: int, sections: Sections) -> list[int]:
    """The steps of a `num_timesteps` process to keep, ascending and unique.

    `sections` is one of
      a list or "90,60,60,20,20": the process is cut into as many equal sections (the remainder goes to the first
        ones, one step each) and each is strided evenly, ends included, to its count. The first section is nearest
        the data. A count of 0 skips a section;
      an int: one section;
      "ddimN": N steps at the smallest integer stride that gives exactly N, as DDIM's authors space them;
      "": every step.

    ValueError names the section that asks for more steps than it holds.
    """
    if num_timesteps < 1:
        raise ValueError(f"a process needs at least 1 step to respace, got {num_timesteps}")
    if isinstance(sections, str):
        text = sections.strip()
        if not text:
            return list(range(num_timesteps))
        if text.startswith("ddim"):
            return _ddim_stride(num_timesteps, text)
        counts = [_count(part, sections) for part in text.split(",")]
    else:
        counts = [sections] if isinstance(sections, int) else [int(count) for count in sections]
    return _sections(num_timesteps, counts)


def _count(part: str, sections: str) -> int:
    try:
        return int(part)
    except ValueError:
        raise ValueError(
            f"cannot read {part.strip()!r} in respacing {sections!r}: use counts a section (such as '90,60,60,20,20') "
            "or 'ddimN' (such as 'ddim25')"
        ) from None


def _ddim_stride(num_timesteps: int, sections: str) -> list[int]:
    digits = sections.removeprefix("ddim")
    if not digits.isdecimal():
        raise ValueError(f"respacing {sections!r} is not 'ddim' and a count, such as 'ddim25'")
    wanted = int(digits)
    for stride in range(1, num_timesteps):
        if len(range(0, num_timesteps, stride)) == wanted:
            return list(range(0, num_timesteps, stride))
    raise ValueError(
        f"respacing {sections!r}: no integer stride visits exactly {wanted} of {num_timesteps} steps; "
        f"{wanted} as plain section counts does without an integer stride"
    )


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
