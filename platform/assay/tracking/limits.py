"""MLflow's limits, and how names and texts are made to fit: the only module that knows them.

Taken from MLflow 3.17 (utils/validation.py, and its tables' columns, which PostgreSQL enforces). Values keep to the
limits of earlier servers too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from assay.redaction import printable
from assay.text import shorten

T = TypeVar("T")

KEY = 250
"""Characters in the name of a parameter, a metric or a tag."""
RUN_NAME = 250
PARAMETER = TAG = 5000
"""Characters in a value; by now 6000 and 8000. Recorded parameters cannot be changed, so this stays."""
EXPERIMENT_TAG = 5000
METRICS_A_REQUEST = 1000
NAMED_A_REQUEST = 100
"""Parameters or tags per request."""
BYTES_A_REQUEST = 900_000
LARGEST_STEP = 2**63 - 1

MARK = 9
"""Characters of the mark that keeps shortened or cleaned names distinct."""
CUT = " … (shortened)"


def key(name: str) -> str:
    """The name of a parameter, a metric or a tag, unchanged if MLflow accepts it.

    Others are cleaned, with a hash of the original appended: no two names become one.
    """
    cleaned = re.sub(r"[^/\w.\- :]", "_", name)
    cleaned = "/".join(part for part in cleaned.split("/") if part not in ("", ".", ".."))
    if name and cleaned == name and len(name) <= KEY:
        return name
    mark = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[: MARK - 1]
    return f"{cleaned[: KEY - MARK] or 'unnamed'}_{mark}"


def image_key(name: str) -> str:
    """The name of a picture that has steps."""
    return re.sub(r"[^a-zA-Z0-9_\-./ ]", "_", name) or "image"


def run_name(name: str) -> str:
    """One line, without characters that terminals and databases reject. Runs are identified by tags, not by names."""
    return shorten(printable(name, is_line=True), RUN_NAME)


def step(number: int) -> int:
    return max(-LARGEST_STEP, min(number, LARGEST_STEP))


def text(value: str, most: int) -> str:
    """A value or a description, likewise."""
    return shorten(printable(value), most, CUT)


def batches(items: Iterable[T], most: int, as_sent: Callable[[T], object]) -> Iterator[list[T]]:
    """At most `most` items per request, and no request larger than a server accepts."""
    batch: list[T] = []
    room = BYTES_A_REQUEST
    for item in items:
        size = len(json.dumps(as_sent(item)))
        if batch and (len(batch) == most or size > room):
            yield batch
            batch, room = [], BYTES_A_REQUEST
        batch.append(item)
        room -= size
    if batch:
        yield batch
