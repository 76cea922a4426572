"""What anything costs: devices, the ledger of finished stages, prices, estimates, and the sheet of a study."""
