"""One listing, and what each format makes of it."""

from __future__ import annotations

import io

from assay.report.html.table import table
from assay.report.tables.grids import Grid, Terminal
from assay.report.tables.listing import Column, Listing
from assay.report.tables.neutral import csv_of, markdown_table

COLUMNS = (
    Column[tuple[str, float]]("arm", lambda row: row[0], title=""),
    Column[tuple[str, float]]("long_name", lambda row: f"{row[1]:.1f} ± 0.2", lambda row: row[1], is_number=True),
    Column[tuple[str, float]]("N", lambda row: "1,000", lambda row: 1000, is_number=True, is_spare=True),
)
ARMS = Listing("arms", COLUMNS, [("A", 1.25), ("B|C", 2.5)], lambda row: "best" if row[0] == "A" else "faint")


def test_text_formats_show_what_is_shown() -> None:
    assert markdown_table(ARMS) == [
        "| arm | long_name | N |",
        "| --- | ---: | ---: |",
        "| A | 1.2 ± 0.2 | 1,000 |",
        "| B\\|C | 2.5 ± 0.2 | 1,000 |",
    ]
    page = table(ARMS, pinned="arm")
    assert '<tr class="best"><td class="name pin">A</td><td class="num">1.2 ± 0.2</td>' in page
    assert '<th class="name pin">arm</th>' in page
    assert on_terminal(60)[0].split() == ["arms"]
    assert on_terminal(60)[3].split() == ["A", "1.2", "±", "0.2", "1,000"]


def test_csv_has_the_values() -> None:
    assert csv_of([("s", ARMS)]) == "arm,long_name,N\nA,1.25,1000\nB|C,2.5,1000\n"
    both = csv_of([("s", ARMS), ("t", Listing(None, COLUMNS[:1], [("D", 0.0)]))])
    assert both.splitlines() == ["sweep,arm,long_name,N", "s,A,1.25,1000", "s,B|C,2.5,1000", "t,D,,"]


def test_a_narrow_terminal_breaks_lines_then_leaves_columns_out() -> None:
    assert [line.split() for line in on_terminal(18)[-4:-2]] == [["A", "1.2", "1,000"], ["±0.2"]]
    least = on_terminal(10, may_shrink=True)
    assert "the same in every row: N 1,000" in " ".join(line.strip() for line in least)
    assert not any("1,000" in line for line in least[:6])


def on_terminal(width: int, may_shrink: bool = False) -> list[str]:
    out = io.StringIO()
    listing = Listing(ARMS.title, ARMS.columns, ARMS.rows, ARMS.style, may_shrink)
    Terminal(file=out, width=width, color_system=None).print(Grid(listing), crop=False)
    return out.getvalue().splitlines()
