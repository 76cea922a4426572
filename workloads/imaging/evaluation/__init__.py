"""The stages that judge samples: the reference, its statistics, and the metrics."""
