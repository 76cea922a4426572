"""Tables for terminals, and as JSON, CSV and Markdown."""
