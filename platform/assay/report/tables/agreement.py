"""Where two metrics order arms differently, as a sentence and a table."""

from __future__ import annotations

from assay.report.tables.columns import gap
from assay.report.tables.listing import Column, Listing
from assay.results.agreement import Agreement, Disagreement
from assay.results.intervals import Difference
from assay.text import decimals, metric, plural

CERTAINTY = ("within noise", "one exceeds its noise", "both exceed their noise")


def agreement_in_words(found: Agreement) -> str:
    """How many pairs of arms two metrics order alike."""
    certain = sum(each.certainty == 2 for each in found.disagreements)
    beyond = f", {certain} of the others beyond noise in both" if certain else ""
    return (
        f"{found.first} and {found.second} order {found.alike} of {plural(found.num_pairs, 'pair')} of arms alike"
        f"{beyond} (Kendall's τ {found.tau:.2f})"
    )


def disagreements_listing(found: Agreement, most: int) -> Listing[Disagreement]:
    """The pairs of arms that two metrics order differently, the most certain first; at most `most`."""
    rows = found.disagreements[:most]
    places = [decimals(getattr(row, side).value for row in rows) for side in ("by_first", "by_second")]
    return Listing(
        None,
        [
            Column(f"better by {found.first}", lambda r: r.better),
            Column(f"better by {found.second}", lambda r: r.worse),
            Column(f"difference in {found.first}", lambda r: _interval(r.by_first, places[0]), is_number=True),
            Column(f"difference in {found.second}", lambda r: _interval(r.by_second, places[1]), is_number=True),
            Column("certainty", lambda r: CERTAINTY[r.certainty]),
        ],
        rows,
    )


def _interval(difference: Difference, places: int) -> str:
    """A difference with its 95% interval, and its mark: -1.000 ± 0.020 *"""
    value, _, mark = gap(difference, places).partition(" ")
    return value if difference.noise is None else f"{value} ± {metric(difference.noise, places)} {mark}"
