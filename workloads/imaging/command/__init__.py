"""The command `adm-evaluate`."""

COMMANDS = {"evaluate": "imaging.command.cli:evaluate"}
"""What image workloads add to `assay`: name → import path."""
