"""The page, section by section.

It depends on the results alone, not on the date or on which run computed them, so that MLflow gets it again only if it
has changed.
"""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from assay.costs.savings import CostSheet
from assay.planning import Plan
from assay.report.html.elements import code, document, escape, figure, folded, listed, section
from assay.report.html.table import table
from assay.report.tables.agreement import agreement_in_words, disagreements_listing
from assay.report.tables.columns import arms_listing, ranked_by, trials_listing
from assay.report.tables.costs import charges_listing, cost_lines
from assay.report.tables.formats import failure_lines
from assay.report.tables.listing import Column, Listing
from assay.results import Table, TrialOutcome
from assay.results.agreement import agreements
from assay.results.rows import Row
from assay.sweep import Trial
from assay.sweep.config_text import as_yaml
from assay.sweep.expansion import in_words
from assay.text import decimals, metric, plural

MOST_GRIDS = 24
MOST_DISAGREEMENTS = 20
PACKAGES = ("assay", "ray", "torch", "deepspeed", "mlflow", "numpy", "scipy")
USUAL = ("cached", "computed")
"""States that are not shown."""


@dataclass(frozen=True)
class Contents:
    """The content of the page."""

    plan: Plan
    trials: Sequence[TrialOutcome]
    table: Table
    cost: CostSheet
    plots: Sequence[Path]
    """In order: plots, curves, sheets of pictures."""
    grids: Mapping[str, Path]
    """Trial → its sample grid."""
    beside: str | None = None
    """The file of the interactive page, if there is one."""


def page(contents: Contents) -> str:
    sweep = contents.plan.sweep
    name = f"{sweep.name} ({sweep.profile})" if sweep.profile else sweep.name
    sections = [
        section("result", "Result", *_result(contents.table, contents.plan.warnings)),
        section("agreement", "Agreement between metrics", *_agreement(contents.table)),
        section("plots", "Plots", _plots(contents.plots)),
        section("samples", "Samples", _samples(contents)),
        section("configs", "What differs", *_configs(contents)),
        section("cost", "Cost", *_cost(contents.cost)),
        section("reproduce", "How to reproduce", *_reproduce(contents)),
    ]
    shown = [text for text in sections if text]
    nav = f"<nav>{''.join(_link(text) for text in shown)}{_interactive(contents.beside)}</nav>"
    return document(name, f"{_lead(contents)}\n{nav}", shown, f"<footer>{escape(_as_of(contents))}</footer>")


def _link(text: str) -> str:
    anchor = text.split('"', 2)[1]
    title = text.split("<h2>", 1)[1].split("</h2>", 1)[0]
    return f'<a href="#{anchor}">{title}</a>'


def _interactive(file: str | None) -> str:
    return f'<a href="{escape(file)}">Interactive</a>' if file else ""


def _lead(contents: Contents) -> str:
    sweep, rows = contents.plan.sweep, contents.table.rows
    done = sum(bool(row.estimates) for row in rows)
    about = [
        f"{plural(len(rows), 'trial')} of {sweep.subject}" + (f", {done:,} with a result" if done < len(rows) else ""),
        ranked_by(contents.table),
    ]
    if len(sweep.seeds) > 1:
        about.append(f"seeds {', '.join(map(str, sweep.seeds))}")
    lead = f'<p class="lead">{escape(sweep.description)}</p>\n' if sweep.description else ""
    return f'{lead}<p class="dim">{escape(" · ".join(about))}</p>'


def _result(ranking: Table, warned: Sequence[str]) -> Iterator[str]:
    if ranking.arms:
        yield table(arms_listing(ranking), pinned="arm")
    listing = trials_listing(ranking)
    columns = [replace(column, shown=_state) if column.header == "state" else column for column in listing.columns]
    shown = [column for column in columns if column.header != "state" or any(map(_state, ranking.rows))]
    trials = table(replace(listing, columns=shown), pinned="trial")
    yield folded(f"Each of {plural(len(ranking.rows), 'trial')}", trials) if ranking.arms else trials
    source = [f"paper's: {ranking.reference_source}"] if ranking.reference_source and ranking.reference_metrics else []
    yield listed([*source, *failure_lines(ranking), *ranking.notes, *(f"Warning: {message}" for message in warned)])


def _agreement(ranking: Table) -> Iterator[str]:
    """How much alike the objectives order the arms, and which pairs they order differently."""
    for found in agreements(ranking):
        yield listed([agreement_in_words(found)])
        if found.disagreements:
            yield table(disagreements_listing(found, MOST_DISAGREEMENTS), pinned=f"better by {found.first}")


def _state(row: Row) -> str:
    return "" if row.status.split(":")[0] in USUAL else row.status


def _plots(pictures: Sequence[Path]) -> str:
    return f'<div class="plots">{"".join(figure(picture) for picture in pictures)}</div>' if pictures else ""


def _samples(contents: Contents) -> str:
    ranking, name = contents.table, contents.table.metric
    rows = _one_per_arm(ranking, [row for row in ranking.rows if row.trial in contents.grids])
    places = decimals(row.metrics[name] for row in rows if name in row.metrics)
    figures = []
    for row in rows[:MOST_GRIDS]:
        value = f"{name} {metric(row.metrics[name], places)}" if name in row.metrics else ""
        is_best = ranking.best in (row.trial, row.arm_name)
        figures.append(figure(contents.grids[row.trial], row.trial, value, is_best=is_best))
    if not figures:
        return ""
    notes = ["One seed per arm."] if ranking.arms else []
    notes += [f"The first {MOST_GRIDS} of {len(rows)}."] if len(rows) > MOST_GRIDS else []
    more = f'<p class="dim">{" ".join(notes)}</p>' if notes else ""
    return f'<div class="samples">{"".join(figures)}</div>{more}'


def _one_per_arm(ranking: Table, rows: Sequence[Row]) -> list[Row]:
    """The first seed of each arm, the best arm first; all rows if the sweep has one seed."""
    if not ranking.arms:
        return list(rows)
    first = {row.arm_name: row for row in sorted(rows, key=lambda row: -row.seed)}
    order = {arm.name: arm.rank for arm in ranking.arms}
    return sorted(first.values(), key=lambda row: order.get(row.arm_name, len(order) + 1))


def _configs(contents: Contents) -> Iterator[str]:
    trials = [trial.planned.trial for trial in contents.trials]
    paths = list(dict.fromkeys(path for trial in trials for path in trial.varied))
    if paths:
        varied = [Column[Trial](path, partial(_setting, path)) for path in paths]
        yield table(Listing(None, [Column("trial", lambda trial: trial.name), *varied], trials), pinned="trial")
    first = next((row.trial for row in contents.table.rows if row.rank is not None), trials[0].name)
    shown = next(trial for trial in trials if trial.name == first)
    yield folded(f"The whole config of {shown.name}", code(as_yaml(shown.config)))


def _setting(path: str, trial: Trial) -> str:
    return in_words(trial.varied.get(path))


def _cost(sheet: CostSheet) -> Iterator[str]:
    if not sheet.charges:
        return
    yield listed(f"{name}: {words}" for name, words in cost_lines(sheet))
    yield folded(plural(len(sheet.charges), "stage"), table(charges_listing(sheet), pinned="stage"))


def _reproduce(contents: Contents) -> Iterator[str]:
    sweep = contents.plan.sweep
    yield code(run_command(contents.plan))
    file = Path(sweep.file) if sweep.file else None
    if file is not None and file.is_file():
        yield folded(f"The sweep file, {file.name}", code(file.read_text(encoding="utf-8", errors="replace")))
    yield folded("Versions this report was written with", listed(_versions()))


def run_command(plan: Plan) -> str:
    """The command that reproduces the sweep."""
    sweep = plan.sweep
    profile = ["--profile", sweep.profile] if sweep.profile else []
    sets = [part for setting in sweep.sets for part in ("--set", setting)]
    return shlex.join(["assay", "run", _portable_path(sweep.file) or sweep.name, *profile, *sets])


def _portable_path(file: str) -> str:
    """The path of a sweep file without the folders of this machine."""
    path = Path(file)
    return f"sweeps/{path.name}" if path.parent.name == "sweeps" else path.name


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()}"
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue


def _as_of(contents: Contents) -> str:
    dates = [result.created for trial in contents.trials for result in trial.results.values()]
    latest = f"Results up to {max(dates).replace('T', ' ').split('+')[0]} UTC. " if dates else ""
    return f"{latest}Written by assay from stored results; this page loads nothing from elsewhere."
