"""Search spaces: what a sweep's parameters may be, all of it, at random, or as Optuna suggests."""

from assay.space.axes import Axis, Floats, Integers, Partitions, Values
from assay.space.settings import Settings, at_path, same
from assay.space.space import Point, Space
from assay.space.suggest import Told, suggest

__all__ = [
    "Axis",
    "Floats",
    "Integers",
    "Partitions",
    "Point",
    "Settings",
    "Space",
    "Told",
    "Values",
    "at_path",
    "same",
    "suggest",
]
