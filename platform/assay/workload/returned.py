"""Checks of what a stage's body returns: errors name the stage, the body, what it returned and what was expected.

The error fails the stage and the trials that read it, without a retry, which would return the same.
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
    """Around every call of a body: if it exits the process, only its stage fails."""
    try:
        yield
    except SystemExit as error:
        raise _broken(stage, body, f"called sys.exit({error.code!r})", "it to return, or to raise") from error


def load_body(stage: Stage, index: int) -> Callable[..., Any]:
    """Import one of a stage's bodies. Raises BodyError if it is not callable."""
    path = stage.body[index]
    with body_runs(stage, path):
        body = load_attribute(path)
    if not callable(body):
        raise _broken(stage, path, f"is {shown(body)}", "a function, or for a map stage a class")
    return body


def operator(stage: Stage, index: int, ctx: StageContext) -> Callable[[Batch], object]:
    """Construct one operator of a map stage's chain. Raises BodyError if it cannot be called with a batch."""
    path = stage.body[index]
    make = load_body(stage, index)
    with body_runs(stage, path):
        instance = make(ctx)
    if not callable(instance):
        raise _broken(stage, path, f"made {shown(instance)}", "a class whose instances are called with a batch")
    return instance


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

    Raises BodyError unless it is a mapping of columns with one row per id, in the order of ids, and with the same
    columns, types and shapes as before.
    """
    expected = 'a mapping of column names to NumPy arrays with one row per id, "id" among them'
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
    except Exception as error:  # Arrow raises various errors for values without an Arrow type
        raise _broken(stage, body, f"returned what cannot be stored: {error}", expected) from error
    if not table.column("id").equals(ids):
        raise _broken(stage, body, "returned other ids than it was given", "the same ids, in their order")
    if schema is not None and not table.schema.equals(schema):
        now, before = _differences(table.schema, schema)
        raise _broken(
            stage, body, f"returned {now} from id {ids[0].as_py():,} on, after {before}", "the same columns for all ids"
        )
    return table


def check_output(stage: Stage, output: Path) -> None:
    """Raise BodyError if the body wrote files that reports cannot read."""
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
    """A number, NumPy scalar or tensor of one element as a float; None for anything else."""
    if isinstance(value, (str, bytes, complex)) or value is None:
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return None


def _differences(now: pa.Schema, before: pa.Schema) -> tuple[str, str]:
    """Two schemas, each described by the columns that differ."""
    names = dict.fromkeys([*now.names, *before.names])
    differ = [n for n in names if n not in now.names or n not in before.names or now.field(n) != before.field(n)]

    def described(schema: pa.Schema) -> str:
        return ", ".join(f"{n} as {schema.field(n).type}" if n in schema.names else f"no {n}" for n in differ)

    return described(now), described(before)
