"""Sheets of sample grids, and of other pictures that stages commit."""
