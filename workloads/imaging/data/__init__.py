"""Real images: uint8, each with a class, read by index. The order of training batches is a function of (seed, step).

No torch is imported here, so a sweep's data can be checked before any worker starts.
"""

from imaging.data.checks import check, check_with_accuracy
from imaging.data.model_range import to_model_range, to_uint8
from imaging.data.order import batch_indices, everything_held_out, nothing_held_out, split
from imaging.data.prefetch import Prefetch
from imaging.data.reference_order import images_of_rows, rows_of_sample
from imaging.data.sources import data_config, num_images, open_planned, open_source, planned_data
from imaging.data.training_images import TrainingImages, seed_of
from imaging.data.types import Crops, Examples, Images, Indices, Labels, Source

__all__ = [
    "Crops",
    "Examples",
    "Images",
    "Indices",
    "Labels",
    "Prefetch",
    "Source",
    "TrainingImages",
    "batch_indices",
    "check",
    "check_with_accuracy",
    "data_config",
    "everything_held_out",
    "images_of_rows",
    "nothing_held_out",
    "num_images",
    "open_planned",
    "open_source",
    "planned_data",
    "rows_of_sample",
    "seed_of",
    "split",
    "to_model_range",
    "to_uint8",
]
