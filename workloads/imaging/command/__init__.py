"""The command `adm-evaluate`."""
