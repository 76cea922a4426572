"""Sheets of sample grids, and the other pictures that stages commit."""
