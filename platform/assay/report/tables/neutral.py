"""Text from elsewhere in CSV and in Markdown: a name is a name there, whatever it begins with or has in it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from assay.text import printable

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


def markdown_row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return markdown_rule([markdown(cell) for cell in cells])


def markdown_rule(cells: Sequence[str]) -> str:
    """The same of what is Markdown already, as the line below the headers is."""
    return f"| {' | '.join(cells)} |"
