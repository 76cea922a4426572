"""What notebooks show of sweeps, plans, outcomes and tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial, singledispatch

from assay.planning import Plan, PlannedTrial
from assay.planning.labels import serves
from assay.report.html.elements import escape, listed
from assay.report.html.table import table as html_table
from assay.report.tables.columns import arms_listing, trials_listing
from assay.report.tables.formats import failure_lines
from assay.report.tables.listing import Column, Listing, R
from assay.results import Outcome, Table
from assay.results import table as table_of
from assay.sweep import Sweep
from assay.sweep.expansion import in_words
from assay.sweep.search.parameter import Parameter
from assay.text import listed as in_a_line
from assay.text import plural, shorten, took
from assay.workload import Stage

MOST_ROWS = 60
"""Longer tables end with how many rows are left out."""
MOST_NAMES = 12
CSS = """
.assay-shown table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .3em 0; }
.assay-shown.assay-shown th, .assay-shown.assay-shown td { text-align: left; vertical-align: top; padding: .25em .7em;
  white-space: normal; }
.assay-shown.assay-shown .num { text-align: right; white-space: nowrap; }
.assay-shown tr.best td { font-weight: 600; }
.assay-shown tr.best td:first-child { color: #0a7a3d; }
.assay-shown tr.bad td { color: #b42318; }
.assay-shown tr.faint td, .assay-shown .dim, .assay-shown ul { opacity: .7; font-size: .92em; }
.assay-shown .wide { overflow-x: auto; }
.assay-shown .facts thead { display: none; }
.assay-shown.assay-shown .facts td:first-child { opacity: .7; white-space: nowrap; }
.assay-shown ul { margin: .2em 0 .6em; padding-left: 1.2em; }
"""
"""Colors besides are the notebook's own, light or dark."""


@singledispatch
def as_html(shown: object) -> str:
    """What a notebook shows of an object. Raises TypeError for one that it has no table for."""
    raise TypeError(f"no HTML for {type(shown).__name__}")


@as_html.register
def _(sweep: Sweep) -> str:
    return facts_html(sweep.name, sweep.description, _facts_of(sweep))


@as_html.register
def _(plan: Plan) -> str:
    varied = list(dict.fromkeys(path for trial in plan.trials for path in trial.trial.varied))
    trials: list[Column[PlannedTrial]] = [Column("trial", lambda trial: trial.name)]
    trials += [Column(path, partial(_value, path)) for path in varied]
    stages: list[Column[Stage]] = [
        Column("stage", lambda stage: stage.name),
        Column("kind", lambda stage: stage.kind),
        Column("for", lambda stage: serves(plan, stage.key)),
        Column("budget", lambda stage: f"{stage.amount:,} {stage.unit}" if stage.budget else "", is_number=True),
    ]
    return _block(
        _head(plan.sweep.name, f"{plural(len(plan.trials), 'trial')}, {plural(len(plan.stages), 'stage')}"),
        _table(Listing(None, trials, plan.trials), "trial"),
        _table(Listing(None, stages, list(plan.stages.values())), "for"),
        listed(f"Warning: {message}" for message in plan.warnings),
    )


@as_html.register
def _(table: Table) -> str:
    return _block(*_ranking(table))


@as_html.register
def _(outcome: Outcome) -> str:
    done = f"computed {len(outcome.computed)} of {plural(len(outcome.plan.stages), 'stage')} in {took(outcome.seconds)}"
    paused = f"paused: {outcome.paused}; the same call resumes" if outcome.paused else ""
    return _block(*_ranking(table_of(outcome.plan, outcome.trials)), _dim(done), _dim(paused))


def facts_html(name: str, words: str, facts: Mapping[str, str]) -> str:
    """A name, a sentence, and a row per fact that is known."""
    rows = [(fact, value) for fact, value in facts.items() if value]
    columns: list[Column[tuple[str, str]]] = [Column("", lambda row: row[0]), Column("", lambda row: row[1])]
    table = f'<div class="facts">{_table(Listing(None, columns, rows), "")}</div>' if rows else ""
    return _block(_head(name, words), table)


def _facts_of(sweep: Sweep) -> dict[str, str]:
    return {
        "of": sweep.subject,
        **{path: in_words(value) for path, value in sweep.config.items()},
        "arms": in_a_line(list(sweep.arms), MOST_NAMES),
        **{path: _values(parameter) for path, parameter in sweep.parameters.items()},
        "by": ", ".join(f"{objective.name} ({objective.mode})" for objective in sweep.objectives),
        "seeds": ", ".join(map(str, sweep.seeds)) if len(sweep.seeds) > 1 else "",
        "profiles": in_a_line(list(sweep.profiles), MOST_NAMES),
        "trials": f"{sweep.num_trials():,}",
    }


def _values(parameter: Parameter) -> str:
    """As in the file."""
    given = parameter.model_dump(mode="json", exclude_defaults=True)
    return in_words(given["values"]) if [*given] == ["values"] else shorten(json.dumps(given))


def _value(path: str, trial: PlannedTrial) -> str:
    return in_words(trial.trial.varied.get(path))


def _ranking(table: Table) -> Iterator[str]:
    if table.arms:
        yield _table(arms_listing(table), "arm")
    yield _table(trials_listing(table), "trial")
    yield listed([*failure_lines(table), *table.notes])


def _table(listing: Listing[R], pinned: str) -> str:
    title = "" if listing.title is None else f"<b>{escape(listing.title)}</b>"
    first = Listing(None, listing.columns, listing.rows[:MOST_ROWS], listing.style)
    left_out = len(listing.rows) - len(first.rows)
    return title + html_table(first, pinned) + _dim(f"… and {left_out:,} more" if left_out else "")


def _head(name: str, words: str) -> str:
    return f"<b>{escape(name)}</b> {_dim(words)}"


def _dim(words: str) -> str:
    return f'<span class="dim">{escape(words)}</span>' if words else ""


def _block(*parts: str) -> str:
    inner = "\n".join(part for part in parts if part)
    return f'<div class="assay-shown"><style>{CSS}</style>{inner}</div>'
