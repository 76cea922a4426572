"""The plots that a sweep asks for, and learning curves."""
