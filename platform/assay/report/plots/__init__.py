"""The plots that a sweep requests, and learning curves."""
