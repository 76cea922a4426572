"""Reads and writes reference files in the published evaluator's layout."""
