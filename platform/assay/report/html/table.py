"""Render a Listing as an HTML table."""

from __future__ import annotations

from assay.report.html.elements import escape
from assay.report.tables.listing import Listing, R


def table(listing: Listing[R], pinned: str) -> str:
    """The column with the `pinned` header stays visible when the table scrolls."""
    columns = listing.columns
    classes = ["name pin" if column.header == pinned else "num" if column.is_number else "" for column in columns]
    headers = [column.title or column.header for column in columns]
    head = "".join(_cell("th", name, header) for name, header in zip(classes, headers, strict=True))
    body = "\n".join(
        f'<tr class="{listing.style(row)}">'
        + "".join(_cell("td", name, text) for name, text in zip(classes, listing.cells(row), strict=True))
        + "</tr>"
        for row in listing.rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _cell(tag: str, name: str, text: str) -> str:
    return f'<{tag} class="{name}">{escape(text)}</{tag}>' if name else f"<{tag}>{escape(text)}</{tag}>"
