"""What the paper measures besides the quality of samples: throughput, compute, neighbours, diversity, interpolations.

Each is a stage whose metrics and pictures are a trial's: `measure` chooses. No torch is imported here.
"""
