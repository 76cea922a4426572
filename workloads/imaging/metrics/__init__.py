"""Metrics of generated images, as functions on arrays of features (N, D)."""
