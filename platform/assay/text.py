"""Format durations, rates, sizes, counts, errors and values for messages and tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from types import MappingProxyType

from assay.redaction import hide_secrets

LONGEST_LINE = 300
"""Most characters of an error that a message quotes."""
LONGEST_VALUE = 60
"""Most characters of a value that a message quotes."""
SHORT_UNITS = {"iterations": "it"}
"""Abbreviations in rates; workloads add their own."""
FAR = 100
"""A metric that is more than this many times the median has diverged."""
PLACE = "at "
"""Prefix of the note below a traceback that locates it: "at step 12", "at the ids 0 to 5"."""
OWN_ERROR = re.compile(r"^assay\.errors\.\w+: (?=.)")
ERROR_LINE = re.compile(r"^[\w.]*(Error|Exception|Failed|Failure|Interrupt|Exit|Warning)\b.*")


def shorten(text: str, most: int = LONGEST_VALUE, mark: str = "…") -> str:
    """The text cut to `most` characters, ending with the mark if it was cut."""
    return text if len(text) <= most else text[: max(0, most - len(mark))] + mark


def first_line(error: BaseException, *, with_type: bool = False) -> str:
    """The first line of an error's message, without secrets, optionally after its type; the type if it has none."""
    text = hide_secrets(str(error)).strip().partition("\n")[0]  # hide before cutting: half a URL is not recognised
    name = type(error).__name__
    return (f"{name}: " if with_type and text else "") + (text[:LONGEST_LINE] or name)


def clock(seconds: float) -> str:
    """A duration that keeps growing: 0:25, 1:02:03, 2d 3h."""
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{days}d {hours}h"
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def took(seconds: float) -> str:
    """A final duration: 0.4 s, 34 s, 2:05."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 100 else clock(seconds)


def rate(per_second: float, unit: str, short_units: Mapping[str, str] = MappingProxyType({})) -> str:
    """12.3 it/s, 140 tokens/s; below one per second inverted: 4.1 s/it."""
    short = {**SHORT_UNITS, **short_units}.get(unit, unit)
    if 0 < per_second < 1:
        return f"{_three_digits(1 / per_second)} s/{short}"
    return f"{_three_digits(per_second)} {short}/s"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def size(num_bytes: float) -> str:
    """512 B, 1.3 MB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if num_bytes < 1000 or unit == "TB":
            return f"{num_bytes:.0f} {unit}" if unit == "B" or num_bytes >= 100 else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    raise AssertionError


def age(seconds: float) -> str:
    """12 s ago, 5 min ago, 3 h ago, 12 days ago."""
    for limit, divisor, unit in ((60, 1, "s"), (3600, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{max(0, seconds) // divisor:.0f} {unit} ago"
    return f"{seconds // 86_400:.0f} days ago"


def days(device_days: float) -> str:
    """Device-days: 3.1e-05, 0.012, 5.3, 1,914."""
    if device_days == 0:
        return "0"
    return f"{device_days:,.0f}" if device_days >= 100 else f"{device_days:.2g}"


def usd(dollars: float) -> str:
    """An amount of money: $0, $0.0042, $3.06, $1,914; below a hundredth of a cent <$0.0001."""
    if 0 < dollars < 1e-4:
        return "<$0.0001"
    if dollars == 0 or dollars >= 100:
        return f"${dollars:,.0f}"
    return f"${dollars:.2f}" if dollars >= 0.995 else f"${float(f'{dollars:.2g}'):f}".rstrip("0")


def decimals(values: Iterable[float]) -> int:
    """How many decimals a column of metrics needs for three or four significant digits in its largest value.

    A value that diverged does not hide the digits of the others: these keep up to four decimals, and as many as it
    takes to tell two values apart.
    """
    finite = sorted({abs(v) for v in values if math.isfinite(v)})
    if not finite:
        return 3
    usual = [v for v in finite if v <= FAR * median_low(finite)]
    places = max(_decimals_of(finite[-1]), min(4, _decimals_of(usual[-1])))
    for lower, higher in pairwise(finite):
        while places < _decimals_of(lower) and f"{lower:.{places}f}" == f"{higher:.{places}f}":
            places += 1
    return places


def _decimals_of(value: float) -> int:
    if value == 0:
        return 3
    return min(8, max(1, 3 - math.floor(math.log10(value)))) if value < 1000 else 1


def metric(value: float, places: int) -> str:
    return f"{value:.{places}f}" if math.isfinite(value) else str(value)


def json_number(value: float) -> float | str:
    """A metric for JSON, which has no NaN or infinity: these become text that `float` reads."""
    return value if math.isfinite(value) else str(value)


def devices(count: int, device: str) -> str:
    """Tesla T4, 4 × Tesla T4."""
    return f"{count} × {device}" if count > 1 else device


def value_in_words(value: object) -> str:
    """A condition's value: 50,000; bfloat16; unknown."""
    if value is None:
        return "unknown"
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return f"{value:,g}" if value != int(value) else f"{int(value):,}"
    return str(value)


def plural(count: int, noun: str, several: str = "") -> str:
    """1 trial, 4 trials."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {several or f'{noun}s'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few names: a, b, c and 4 more."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def counted(names: Sequence[str]) -> str:
    """reference, train ×2"""
    unique = dict.fromkeys(names)
    return ", ".join(f"{n} ×{names.count(n)}" if names.count(n) > 1 else n for n in unique)


def one_line(trace: str) -> str:
    """The last "SomethingError: …" of a traceback, else its last line; for assay's own errors without the type."""
    lines = [line.strip() for line in trace.strip().splitlines() if line.strip() and not line.startswith(PLACE)]
    named = [line for line in lines if ERROR_LINE.match(line)]
    return OWN_ERROR.sub("", (named or lines or ["unknown cause"])[-1])


def relative(path: Path) -> str:
    """The path relative to the current folder if it is below it, else the absolute path."""
    absolute, current = path.absolute(), Path.cwd()
    return str(absolute.relative_to(current)) if absolute.is_relative_to(current) else str(absolute)


def with_article(noun: str) -> str:
    """a bar, an importance"""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
