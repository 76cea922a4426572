"""What a stage's body may return, held to: an error names the stage, the body, what came and what is expected.

Such a body fails its own stage and the trials that read it, and is not tried again: it would do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assay.errors import BodyError
from assay.workload import JACKKNIFE, Batch, Stage, StageContext, load_attribute
from assay.workload.columns import to_arrow
from assay.workload.contract import replicates
from assay.workload.stage import shown


@contextmanager
def body_runs(stage: Stage, body: str) -> Iterator[None]:
    """Around every call of a body: one that ends its process ends its stage instead, and no other trial."""
    try:
        yield
    except SystemExit as error:
        raise _broken(stage, body, f"called sys.exit({error.code!r})", "it to return, or to raise") from error


def load_body(stage: Stage, index: int) -> Callable[..., Any]:
    """One of a stage's bodies, imported. Raises BodyError for what cannot be called."""
    path = stage.body[index]
    with body_runs(stage, path):
        body = load_attribute(path)
    if not callable(body):
        raise _broken(stage, path, f"is {shown(body)}", "a function, or for a map stage a class")
    return body


def operator(stage: Stage, index: int, ctx: StageContext) -> Callable[[Batch], object]:
    """One operator of a map stage's chain, constructed. Raises BodyError for what cannot be called with a batch."""
    path = stage.body[index]
    make = load_body(stage, index)
    with body_runs(stage, path):
        made = make(ctx)
    if not callable(made):
        raise _broken(stage, path, f"made {shown(made)}", "a class whose objects are called with a batch")
    return made


def returned_metrics(stage: Stage, returned: object) -> dict[str, float]:
    """What the body of a train or reduce stage returned, as numbers. Raises BodyError."""
    (body,) = stage.body
    expected = "a mapping of metric names to numbers, which may be empty"
    if not isinstance(returned, Mapping):
        raise _broken(stage, body, f"returned {shown(returned)}", expected)
    metrics = {}
    for name, value in returned.items():
        if not isinstance(name, str) or not name:
            raise _broken(stage, body, f"returned a metric called {shown(name)}", expected)
        number = _number(value)
        if number is None:
            raise _broken(stage, body, f"returned {shown(value)} for the metric {name!r}", "one number")
        metrics[name] = number
    if stage.promise is not None and stage.promise.metric not in metrics:
        promised = f"{stage.promise.metric}, which workload {stage.promise.workload} reports and the sweep ranks by"
        raise _broken(stage, body, f"returned the metrics {', '.join(metrics) or 'none'}", promised)
    return metrics


def returned_columns(
    stage: Stage, body: str, ids: pa.ChunkedArray, returned: object, schema: pa.Schema | None
) -> pa.Table:
    """What an operator of a map stage returned for these ids, as a table; `schema` is that of its earlier batches.

    Raises BodyError for what is no mapping of columns, has not one row an id in their order, or has other columns,
    types or shapes than before.
    """
    expected = 'a mapping of column names to NumPy arrays of one row an id, "id" among them'
    if not isinstance(returned, Mapping):
        raise _broken(stage, body, f"returned {shown(returned)}", expected)
    if "id" not in returned:
        raise _broken(stage, body, f"returned the columns {', '.join(map(str, returned)) or 'none'}", expected)
    for name, column in returned.items():
        if not isinstance(name, str) or not isinstance(column, np.ndarray) or not column.ndim:
            raise _broken(stage, body, f"returned {shown(column)} for the column {name!r}", expected)
        if len(column) != len(ids):
            raise _broken(stage, body, f"returned {len(column):,} rows of {name!r} for {len(ids):,} ids", expected)
    try:
        table = to_arrow(returned)
    except Exception as error:  # whatever Arrow raises for values it has no type for
        raise _broken(stage, body, f"returned what cannot be stored: {error}", expected) from error
    if not table.column("id").equals(ids):
        raise _broken(stage, body, "returned other ids than it was given", "the same ids, in their order")
    if schema is not None and not table.schema.equals(schema):
        now, before = _told_apart(table.schema, schema)
        raise _broken(
            stage, body, f"returned {now} from id {ids[0].as_py():,} on, after {before}", "the same columns for all ids"
        )
    return table


def check_output(stage: Stage, output: Path) -> None:
    """Raise BodyError for files of a body's that reports could not read."""
    file = output / JACKKNIFE
    if file.exists():
        try:
            replicates(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            expected = '{metric: {"value": v, "replicates": [numbers], "sizes": [as many counts]}}'
            raise _broken(stage, stage.body[-1], f"left a {JACKKNIFE} in which {error}", expected) from error


def _broken(stage: Stage, body: str, what: str, expected: str) -> BodyError:
    return BodyError(f"stage {stage.name}: its body {body} {what}; expected {expected}")


def _number(value: object) -> float | None:
    """A number of Python's or NumPy's, or a tensor of one element; None for anything else."""
    if isinstance(value, (str, bytes, complex)) or value is None:
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return None


def _told_apart(now: pa.Schema, before: pa.Schema) -> tuple[str, str]:
    """Two schemas that differ, each by the columns in which it does."""
    names = dict.fromkeys([*now.names, *before.names])
    differ = [n for n in names if n not in now.names or n not in before.names or now.field(n) != before.field(n)]

    def told(schema: pa.Schema) -> str:
        return ", ".join(f"{n} as {schema.field(n).type}" if n in schema.names else f"no {n}" for n in differ)

    return told(now), told(before)
