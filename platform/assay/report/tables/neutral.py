"""Escape foreign text in CSV, Markdown and scripts, so that names are neither formulas nor markup."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay.redaction import printable
from assay.report.tables.listing import Listing, R
from assay.workload import JSON

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""Characters that begin a formula in spreadsheets."""
_MARKS = re.compile(r"[\\`*\[\]<>|&~#@]|(?<!\w)_|_(?!\w)")
_ADDRESS = re.compile(r"\b(https?|ftp|mailto|www)([:.])", re.IGNORECASE)


def csv_text(headers: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """One header line, then the lines, with the columns that the headers name."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_cell(header) for header in headers])
    writer.writerows([csv_cell(line.get(header)) for header in headers] for line in lines)
    return out.getvalue()


def csv_of(listings: Sequence[tuple[str, Listing[R]]]) -> str:
    """The values of all listings, with one header line; with several, the first column is the listing's name."""
    headers = ["sweep"] if len(listings) > 1 else []
    headers += dict.fromkeys(column.header for _, listing in listings for column in listing.columns)
    lines: list[dict[str, object]] = []
    for name, listing in listings:
        for row in listing.rows:
            lines.append({"sweep": name} | {c.header: (c.value or c.shown)(row) for c in listing.columns})
    return csv_text(headers, lines)


def csv_cell(value: object) -> object:
    """A value for a cell. Text that a spreadsheet would take for a formula, possibly after spaces, gets a leading
    apostrophe; numbers, also negative ones, do not."""
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


def json_in_html(value: JSON) -> str:
    """The value as JSON inside a page's script element, which none of its texts can end, without control characters."""
    text = json.dumps(_printable(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return "".join(f"\\u{ord(character):04x}" if character in "<>&\u2028\u2029" else character for character in text)


def _printable(value: JSON) -> JSON:
    match value:
        case str():
            return printable(value, is_line=True)
        case list():
            return [_printable(one) for one in value]
        case dict():
            return {name: _printable(one) for name, one in value.items()}
    return value


def markdown(text: str) -> str:
    """The text escaped, so that no part of it is markup, a link or HTML."""
    return _ADDRESS.sub(r"\1\\\2", _MARKS.sub(r"\\\g<0>", printable(text, is_line=True)))


def markdown_table(listing: Listing[Any]) -> list[str]:
    return [
        markdown_row([column.header for column in listing.columns]),
        _line(["---:" if column.is_number else "---" for column in listing.columns]),
        *(markdown_row(listing.cells(row)) for row in listing.rows),
    ]


def markdown_row(cells: Sequence[str]) -> str:
    return _line([markdown(cell) for cell in cells])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
