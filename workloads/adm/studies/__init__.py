"""What the paper measures besides sample quality: throughput, compute, neighbours, diversity, interpolations.

Each is a stage with the metrics and pictures of a trial, selected by `measure`. No torch is imported here.
"""
