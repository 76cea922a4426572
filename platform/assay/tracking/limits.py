"""What MLflow refuses, and how names and texts are made to fit: the one place that knows.

Read in MLflow 3.17 (utils/validation.py, and the columns of its tables, which PostgreSQL insists on). Values are kept
to what the servers of earlier years took as well.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from assay.text import printable, shorten

T = TypeVar("T")

KEY = 250
"""Characters of the name of a parameter, a metric or a tag."""
RUN_NAME = 250
PARAMETER = TAG = 5000
"""Characters of a value; 6000 and 8000 by now. A parameter that is recorded cannot be changed, so this stays."""
EXPERIMENT_TAG = 5000
METRICS_A_REQUEST = 1000
NAMED_A_REQUEST = 100
"""Parameters, or tags."""
BYTES_A_REQUEST = 900_000
LARGEST_STEP = 2**63 - 1

MARK = 9
"""Characters that tell a name which was changed from others that would now be called the same."""
CUT = " … (shortened)"


def key(name: str) -> str:
    """The name of a parameter, a metric or a tag, as it is where MLflow takes it.

    Another is cleaned, and gets a mark that depends on all of it: no two names become one.
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
    """One line, without what terminals and databases do not take. Runs are told apart by tags, not by their names."""
    return shorten(printable(name, is_line=True), RUN_NAME)


def step(number: int) -> int:
    return max(-LARGEST_STEP, min(number, LARGEST_STEP))


def text(value: str, most: int) -> str:
    """A value or a description, likewise."""
    return shorten(printable(value), most, CUT)


def batches(items: Iterable[T], most: int, as_sent: Callable[[T], object]) -> Iterator[list[T]]:
    """So many a request at most, and none of more bytes than a server takes."""
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
