"""Costs: devices, the ledger of finished stages, prices, estimates, and a study's cost sheet."""
