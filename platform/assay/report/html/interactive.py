"""The interactive page: a table that sorts, a scatter of any two columns, and parallel coordinates to brush.

One file that loads nothing: Plotly is inside, so that it opens wherever it is copied to, without a network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from assay.planning import Plan
from assay.report.figures import COLORS
from assay.report.html.elements import escape
from assay.report.html.style import CSS
from assay.report.tables.columns import FRONT, known_days, on_front, ranked_by, trials_listing
from assay.report.tables.neutral import json_in_html
from assay.results import Table, TrialOutcome
from assay.results.rows import Row
from assay.sweep.expansion import in_words
from assay.sweep.search import ARM
from assay.sweep.search.parameter import part_of
from assay.text import plural
from assay.workload import JSON

INTERACTIVE = "interactive.html"
MOST_UPRIGHT = 12
"""Most axes of the parallel coordinates."""
MOST_COLOURS = 12
"""Most names that colours tell apart."""
SECURITY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""The browser refuses to load anything. Plotly makes functions of texts for WebGL."""
OWN_CSS = """
html { scrollbar-gutter: stable; }
.tools { display: flex; flex-wrap: wrap; gap: .5rem 1.2rem; align-items: center; margin: 0 0 .6rem; font-size: .9rem; }
.tools label { display: inline-flex; gap: .4rem; align-items: center; }
.tools select { max-width: 16rem; font: inherit; color: inherit; background: var(--soft);
  border: 1px solid var(--line); border-radius: 4px; padding: .15rem .3rem; }
.tools button { font: inherit; color: var(--link); background: none; border: 1px solid var(--line); border-radius: 4px;
  padding: .15rem .7rem; cursor: pointer; }
#trials th { padding: 0; }
#trials th button { font: inherit; color: inherit; background: none; border: 0; cursor: pointer; padding: .4rem .65rem;
  width: 100%; text-align: inherit; white-space: nowrap; }
#trials th[aria-sort=ascending] button::after { content: " ▲"; }
#trials th[aria-sort=descending] button::after { content: " ▼"; }
#trials td { white-space: nowrap; }
#trials td.name { white-space: normal; }
#trials-frame { max-height: 34rem; overflow: auto; }
#trials thead th { position: sticky; top: 0; z-index: 1; }
#trials thead th.pin { z-index: 2; }
#parallel .axis path, #parallel .axis line { stroke: var(--dim) !important; }
#parallel text { text-shadow: none !important; }
.frame { border: 1px solid var(--line); border-radius: 6px; overflow-x: auto; }
"""


@dataclass(frozen=True)
class _Column:
    name: str
    values: Sequence[JSON]
    """Numbers, or texts; None where a trial has none."""
    is_setting: bool = False
    is_hovered: bool = True
    is_log: bool = False
    is_listed: bool = False
    """Its numbers are those that the sweep lists."""

    @property
    def is_number(self) -> bool:
        known = [value for value in self.values if value is not None]
        return bool(known) and all(_is_number(value) for value in known)

    @property
    def as_json(self) -> JSON:
        kind = "number" if self.is_number else "text"
        facts: dict[str, JSON] = {"is_hovered": self.is_hovered, "is_log": self.is_log, "is_listed": self.is_listed}
        return {"name": self.name, "kind": kind, **facts}

    @property
    def shown(self) -> list[JSON]:
        """Its values as they are written into the page."""
        if self.is_number:
            return [value if _is_number(value) else None for value in self.values]
        return [None if value is None else in_words(value) for value in self.values]


def interactive(plan: Plan, trials: Sequence[TrialOutcome], table: Table) -> str:
    """The page of all trials, also of those that are not ranked."""
    from plotly.offline import get_plotlyjs  # lazy, as it takes a twentieth of a second

    sweep = plan.sweep
    name = f"{sweep.name} ({sweep.profile})" if sweep.profile else sweep.name
    lead = f'<p class="lead">{escape(sweep.description)}</p>\n' if sweep.description else ""
    about = f"{plural(len(table.rows), 'trial')} of {sweep.subject} · {ranked_by(table)}"
    unranked = any(row.unranked for row in table.rows)
    hollow = '<p class="dim">Hollow: not ranked, since it was measured under other conditions.</p>' if unranked else ""
    columns = list(_columns(plan, {trial.planned.name: trial for trial in trials}, table))
    upright = _upright(plan, columns, table)
    index = {trial.planned.name: trial.planned.trial.index for trial in trials}
    data = json_in_html(_data(plan, columns, upright, table, index))
    script = files("assay.report.html").joinpath("interactive.js").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{SECURITY}">
<title>{escape(name)}: interactive</title>
<style>{CSS}{OWN_CSS}</style>
</head>
<body>
<header>
<h1>{escape(name)}</h1>
{lead}<p class="dim">{escape(about)}</p>
<noscript><p>This page needs JavaScript; report.html beside it does not.</p></noscript>
</header>
<main>
<section id="parallel-section">
<h2>Settings and results</h2>
<p class="dim">A line per trial with a result. Drag along an axis to choose trials, here and below; click it to show
all.</p>
<div class="frame"><div id="parallel" style="min-width: {110 * len(upright)}px"></div></div>
</section>
<section>
<h2>Any two</h2>
<div class="tools">
<label>across <select id="x"></select></label> <label><input type="checkbox" id="log-x"> logarithmic</label>
<label>up <select id="y"></select></label> <label><input type="checkbox" id="log-y"> logarithmic</label>
<label>colour <select id="colour"></select></label>
</div>
<div class="frame"><div id="scatter"></div></div>
{hollow}
</section>
<section>
<h2>Trials</h2>
<div class="tools"><span id="count" class="dim"></span> <button type="button" id="reset">Show all</button></div>
<div class="wide" id="trials-frame"><table id="trials"><tbody></tbody></table></div>
</section>
</main>
<script type="application/json" id="data">{data}</script>
<script>{get_plotlyjs()}</script>
<script>{script}</script>
</body>
</html>
"""


def _data(
    plan: Plan, columns: Sequence[_Column], upright: Sequence[_Column], table: Table, index: Mapping[str, int]
) -> JSON:
    style = trials_listing(table).style
    values = list(zip(*(column.shown for column in columns), strict=True))
    return {
        "columns": [column.as_json for column in columns],
        "rows": [
            {
                "values": list(line),
                "index": index[row.trial],
                "is_ranked": row.rank is not None,
                "style": style(row),
            }
            for row, line in zip(table.rows, values, strict=True)
        ],
        "metric": table.metric,
        "is_reversed": table.mode == "max",
        "palette": list(COLORS),
        "parallel": [column.name for column in upright],
        "scatter": _first_scatter(plan, columns, table),
    }


def _upright(plan: Plan, columns: Sequence[_Column], table: Table) -> list[_Column]:
    """The axes of the parallel coordinates: settings in which trials with a result differ, then the objectives."""
    measured = [number for number, row in enumerate(table.rows) if table.metric in row.metrics]
    settings = [one for one in columns if one.is_setting and len({str(one.values[i]) for i in measured}) > 1]
    named = {column.name: column for column in columns}
    objectives = [named[one.name] for one in plan.sweep.objectives if one.name in named]
    return [*settings[: MOST_UPRIGHT - len(objectives)], *objectives]


def _first_scatter(plan: Plan, columns: Sequence[_Column], table: Table) -> JSON:
    """What the scatter shows at first: the metric over the next objective, with their front, or else over the first
    setting with numbers, parameters before arms'."""
    parameters = plan.sweep.parameters
    settings = sorted((one for one in columns if one.is_setting), key=lambda one: one.name not in parameters)
    numbers = [column for column in settings if column.is_number]
    arms = next((column for column in columns if column.name == ARM), None)
    is_few = arms is not None and 1 < len(set(arms.values)) <= MOST_COLOURS
    names = {column.name for column in columns}
    metric = table.metric if table.metric in names else columns[0].name
    if others := [one.name for one in table.objectives[1:] if one.name in names]:
        return {"x": others[0], "y": metric, "colour": FRONT}
    return {"x": [*numbers, *settings, columns[0]][0].name, "y": metric, "colour": ARM if is_few else metric}


def _columns(plan: Plan, trials: Mapping[str, TrialOutcome], table: Table) -> Iterator[_Column]:
    rows = table.rows
    yield _Column("trial", [row.trial for row in rows], is_hovered=False)
    yield _Column("rank", [row.rank for row in rows])
    if table.front is not None:
        yield _Column(FRONT, [on_front(table.front.has(row)) or "others" for row in rows])
    if any(row.arm is not None for row in rows):
        yield _Column(ARM, [row.arm for row in rows], is_hovered=False)
    for path in dict.fromkeys(path for row in rows for path in row.varied):
        yield from _settings(plan, path, [row.varied.get(path) for row in rows])
    if plan.sweep.scheduler.budget is not None:
        reached = [_reached(trials[row.trial]) for row in rows]
        yield _Column(plan.sweep.scheduler.budget, reached, is_setting=True, is_listed=True)
    metrics = dict.fromkeys([*table.metrics, *sorted({name for row in rows for name in row.estimates})])
    for name in metrics:
        yield _Column(name, [row.metrics.get(name) for row in rows], is_hovered=name in table.metrics)
    costs: dict[str, Callable[[Row], float | None]] = {
        "seconds": lambda row: row.seconds,
        table.days.field: lambda row: known_days(row.cost) if row.cost.stages else None,
    }
    for name, cost in costs.items():
        if name not in metrics and any(cost(row) is not None for row in rows):
            yield _Column(name, [cost(row) for row in rows])
    for name in (one.name for one in table.objectives if one.name not in (*metrics, *costs)):
        yield _Column(name, [row.objectives.get(name) for row in rows])
    yield _Column("state", [row.status for row in rows])


def _reached(trial: TrialOutcome) -> int | None:
    """The amount of the scheduler's budget at which it was measured."""
    reached = trial.planned.reached(trial.results)
    return None if reached is None else reached[0].amount


def _settings(plan: Plan, path: str, values: Sequence[JSON]) -> Iterator[_Column]:
    """The column of a path; of a partition, a column per part."""
    parameter = plan.sweep.parameters.get(path)
    if parameter is not None and parameter.partition is not None:
        for number, name in enumerate(parameter.parts_of(path)):
            parts = [part_of(value, number) for value in values]
            yield _Column(name, parts, is_setting=True, is_listed=True)
        return
    is_range = parameter is not None and parameter.min is not None
    is_log = parameter is not None and parameter.log
    yield _Column(path, values, is_setting=True, is_log=is_log, is_listed=not is_range)


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
