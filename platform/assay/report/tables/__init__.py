"""Tables in every format: terminal, JSON, CSV, Markdown."""
