"""Results as data frames: the rows of a job's log, and the final table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from assay.results.log_rows import LogRow

if TYPE_CHECKING:
    import pandas as pd

    from assay.results.table import Table

FIRST = ("trial", "arm", "seed")
LAST = ("key", "stages", "failure")
LEDGER = (
    *("stage", "key", "serves", "amount", "unit"),
    *("device", "count", "seconds", "done", "items", "flops"),
)
MAY_BE_UNKNOWN = ("amount", "items", "flops")


def results(rows: Iterable[LogRow]) -> pd.DataFrame:
    """One row per trial and rung, in the order of the log, without repetitions."""
    import pandas as pd

    lines = {(row["trial"], row["key"]): _flat(row) for row in rows if row["row"] in ("result", "failure")}
    between = dict.fromkeys(name for line in lines.values() for name in line if name not in (*FIRST, *LAST))
    table = pd.DataFrame(list(lines.values()), columns=[*FIRST, *between, *LAST])
    # The type is object, since pandas turns None among strings into NaN.
    return table.assign(failure=pd.Series([line["failure"] for line in lines.values()], dtype=object))


def indexed(table: pd.DataFrame, base: str, paths: Sequence[str], *, has_seeds: bool) -> pd.DataFrame:
    """The results with arm, the paths and perhaps the seed as their index. An arm without a name is the base, and a
    list becomes a tuple, since an index needs values that can be hashed."""
    present = [path for path in dict.fromkeys(paths) if path in table]
    named = table.assign(arm=[base if arm is None else arm for arm in table["arm"]])
    for path in present:
        if table[path].dtype == object:
            named[path] = [_hashable(value) for value in table[path]]
    return named.set_index(["arm", *present, *(["seed"] if has_seeds else [])])


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value


def ledger(rows: Iterable[LogRow]) -> pd.DataFrame:
    """One row per stage, in the order of the log. If there are rows, the last column is the device-days, named by their
    unit."""
    import pandas as pd

    lines = {row["key"]: row for row in rows if row["row"] == "stage"}
    days = dict.fromkeys(name for row in lines.values() for name in row if name.endswith("_days"))
    table = pd.DataFrame(list(lines.values()), columns=[*LEDGER, *days])
    return table.astype(dict.fromkeys((*MAY_BE_UNKNOWN, *days), "float64"))


def ranking(table: Table) -> pd.DataFrame:
    """A row per trial, best first."""
    import pandas as pd

    varied = dict.fromkeys(path for row in table.rows for path in row.varied)
    metrics = dict.fromkeys([*table.metrics, *(name for row in table.rows for name in row.estimates)])
    front, costs = table.front, [o.name for o in table.objectives if o.name not in metrics]
    lines = [
        {
            "rank": row.rank,
            "trial": row.trial,
            "arm": row.arm,
            "seed": row.seed,
            **row.varied,
            **row.metrics,
            **{name: row.objectives.get(name) for name in costs},
            "pareto": None if front is None else front.has(row),
            "half_width": row.estimates[table.metric].half_width if table.metric in row.estimates else None,
            "from_best": None if row.from_best is None else row.from_best.value,
            "noise": None if row.from_best is None else row.from_best.noise,
            "seconds": row.seconds,
            "state": row.status,
        }
        for row in table.rows
    ]
    last = ("half_width", "from_best", "noise", "seconds", "state")
    pareto = [] if front is None else ["pareto"]
    frame = pd.DataFrame(
        lines, columns=list(dict.fromkeys(["rank", *FIRST, *pareto, *varied, *metrics, *costs, *last]))
    )
    numbers = dict.fromkeys((*metrics, *costs, *last[:-1]), "float64")
    # Nullable types: a trial without a rank has <NA>.
    return frame.astype({"rank": "Int64", **dict.fromkeys(pareto, "boolean"), **numbers})


def _flat(row: LogRow) -> dict[str, Any]:
    line: dict[str, Any] = {name: row[name] for name in FIRST} | dict(row["varied"])
    if row.get("budget") is not None:
        line[row["budget"]] = row["amount"]
    line |= {name: float(value) for name, value in row.get("metrics", {}).items()}
    failure = f"{row['stage']}: {row['cause']}" if row["row"] == "failure" else None
    return line | {"key": row["key"], "stages": row.get("stages"), "failure": failure}
