"""What the paper measures besides sample quality: throughput, compute, neighbours, diversity, interpolations.

Each is a stage that gives a trial its metrics and pictures, selected by `measure`. Imports no torch.
"""
