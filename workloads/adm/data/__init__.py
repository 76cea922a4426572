"""Real images: uint8, with a class each, read by index. What to read in which order is a function of (seed, step).

No torch is imported here, so a sweep's data can be checked before any worker starts.
"""

from adm.data.checks import check
from adm.data.model_range import to_model_range
from adm.data.order import batch_indices, split
from adm.data.prefetch import Prefetch
from adm.data.reference_order import images_of_rows, rows_of_sample
from adm.data.sources import data_config, num_images, open_source
from adm.data.types import Crops, Examples, Images, Indices, Labels, Source

__all__ = [
    "Crops",
    "Examples",
    "Images",
    "Indices",
    "Labels",
    "Prefetch",
    "Source",
    "batch_indices",
    "check",
    "data_config",
    "images_of_rows",
    "num_images",
    "open_source",
    "rows_of_sample",
    "split",
    "to_model_range",
]
