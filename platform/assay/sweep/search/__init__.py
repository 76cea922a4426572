"""Search spaces: what a sweep's parameters may be, all of it, at random, or as Optuna suggests."""

from assay.sweep.search.axes import Axis, Floats, Integers, Partitions, Values
from assay.sweep.search.settings import Settings, at_path, same
from assay.sweep.search.space import Point, Space
from assay.sweep.search.suggest import Told, suggest

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
