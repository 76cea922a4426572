"""What a user sees while a sweep runs: a live board on a terminal, plain lines elsewhere."""

from assay.cli.display.live import LiveDisplay
from assay.cli.display.plain import PlainDisplay

__all__ = ["LiveDisplay", "PlainDisplay"]
