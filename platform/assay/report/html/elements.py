"""HTML elements of the page, such as figures, lists and folded text. All text is escaped here."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape as escape_html
from pathlib import Path

from assay.redaction import printable
from assay.report.html.style import CSS

KEPT_BYTES = 250_000
"""Larger pictures are shrunk."""
MOST_PIXELS = 1000
"""The longer side of a shrunk picture."""
PANELS_WIDTH = 1200
"""Pixels: wider pictures take the page's full width, and scroll on a phone."""
JPEG_QUALITY = 85


def escape(text: str) -> str:
    """The text escaped for HTML content and attributes, without control characters."""
    return escape_html(printable(text))


def document(title: str, lead: str, sections: Sequence[str], footer: str = "") -> str:
    """A whole page: its title, HTML below the title, and the sections."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{CSS}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
{lead}
</header>
<main>
{chr(10).join(sections)}
</main>
{footer}
</body>
</html>
"""


def section(anchor: str, title: str, *parts: str) -> str:
    """A section of the page; empty without content."""
    inner = "\n".join(part for part in parts if part)
    return f'<section id="{anchor}">\n<h2>{escape(title)}</h2>\n{inner}\n</section>' if inner else ""


def listed(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def code(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def folded(summary: str, *parts: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>\n{''.join(parts)}\n</details>"


def figure(picture: Path, caption: str = "", note: str = "", *, is_best: bool = False) -> str:
    """An embedded picture; screen readers read its `caption`."""
    source, width, height = _embedded(picture)
    shape = ' class="panels"' if width > PANELS_WIDTH else ""
    size = f' width="{width}" height="{height}"' + (' class="large"' if width > MOST_PIXELS // 2 else "")
    mark = '<span class="best-mark">best</span> · ' if is_best else ""
    small = f'<br><span class="dim">{escape(note)}</span>' if note else ""
    below = f"<figcaption>{mark}{escape(caption)}{small}</figcaption>" if caption else ""
    alt = escape(caption or picture.stem)
    return f'<figure{shape}><img src="{source}" alt="{alt}"{size} loading="lazy">{below}</figure>'


def _embedded(picture: Path) -> tuple[str, int, int]:
    """A data URL and the size in pixels. A large picture is shrunk, so that the page can be sent by mail."""
    from PIL import Image

    content, kind = picture.read_bytes(), "png"
    with Image.open(picture) as image:
        width, height = image.size
        if len(content) > KEPT_BYTES:
            small = image.convert("RGB")
            small.thumbnail((MOST_PIXELS, MOST_PIXELS))
            buffer = io.BytesIO()
            small.save(buffer, "JPEG", quality=JPEG_QUALITY)
            if buffer.tell() < len(content):
                content, kind, (width, height) = buffer.getvalue(), "jpeg", small.size
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}", width, height
