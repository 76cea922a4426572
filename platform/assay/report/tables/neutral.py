"""Text from elsewhere in CSV and in Markdown: a name is a name there, whatever it begins with or has in it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay.redaction import printable
from assay.report.tables.listing import Listing, R

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the beginning of a formula."""
_MARKS = re.compile(r"[\\`*\[\]<>|&~#@]|(?<!\w)_|_(?!\w)")
_ADDRESS = re.compile(r"\b(https?|ftp|mailto|www)([:.])", re.IGNORECASE)


def csv_text(headers: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """One header line, then the lines; of those, what the headers name."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_cell(header) for header in headers])
    writer.writerows([csv_cell(line.get(header)) for header in headers] for line in lines)
    return out.getvalue()


def csv_of(listings: Sequence[tuple[str, Listing[R]]]) -> str:
    """The values of all listings, with one header line; of several, the first column has the name of each."""
    headers = ["sweep"] if len(listings) > 1 else []
    headers += dict.fromkeys(column.header for _, listing in listings for column in listing.columns)
    lines: list[dict[str, object]] = []
    for name, listing in listings:
        for row in listing.rows:
            lines.append({"sweep": name} | {c.header: (c.value or c.shown)(row) for c in listing.columns})
    return csv_text(headers, lines)


def csv_cell(value: object) -> object:
    """A value as it stands in a cell. Text that a spreadsheet would compute, spaces before it or not, begins with an
    apostrophe; numbers do not, negative ones neither."""
    if not isinstance(value, str):
        return value
    text = printable(value, is_line=True)
    return f"'{text}" if text.lstrip().startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def markdown(text: str) -> str:
    """Text that is shown letter by letter: no table, no code, no emphasis, no link, no HTML is made of it."""
    return _ADDRESS.sub(r"\1\\\2", _MARKS.sub(r"\\\g<0>", printable(text, is_line=True)))


def markdown_table(listing: Listing[Any]) -> list[str]:
    """Its lines."""
    return [
        markdown_row([column.header for column in listing.columns]),
        _line(["---:" if column.is_number else "---" for column in listing.columns]),
        *(markdown_row(listing.cells(row)) for row in listing.rows),
    ]


def markdown_row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return _line([markdown(cell) for cell in cells])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
