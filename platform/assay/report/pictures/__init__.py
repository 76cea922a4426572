"""Sheets of sample images, and the other pictures that stages commit."""
