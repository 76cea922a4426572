"""Search spaces of a sweep's parameters: grids, random draws, and Optuna's suggestions."""

from assay.sweep.search.axes import Axis, Floats, Integers, Partitions, Values
from assay.sweep.search.observation import Observation
from assay.sweep.search.settings import ARM, Settings, is_for_arms, same
from assay.sweep.search.space import Point, Space
from assay.sweep.search.suggest import suggest

__all__ = [
    "ARM",
    "Axis",
    "Floats",
    "Integers",
    "Observation",
    "Partitions",
    "Point",
    "Settings",
    "Space",
    "Values",
    "is_for_arms",
    "same",
    "suggest",
]
