"""Real images: uint8, with a class each, read by index. What to read in which order is a function of (seed, step)."""

from adm.data.order import batch_indices
from adm.data.sources import Indices, Source, data_config, open_source, split, to_model_range

__all__ = ["Indices", "Source", "batch_indices", "data_config", "open_source", "split", "to_model_range"]
