"""The stages that evaluate samples: the reference, its statistics, and the metrics."""
