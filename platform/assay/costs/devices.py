"""What devices are worth: the one table by which costs on different machines are added up.

A device-day on anything else becomes V100-days, the unit that the costs of published trainings are given in: by what
is published where something is, and by the ratio of the vendors' dense half-precision peaks otherwise. That ratio says
what a device could do, not what it did: the ledger's utilisation says that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

V100_PEAK_FLOPS = 120e12
"""FLOP/s that utilisation takes for 100% of a V100: what published figures do, a little under its data sheet's."""
V100_DATA_SHEET_FLOPS = 125e12
"""What its data sheet says: what other data sheets are compared with."""


@dataclass(frozen=True)
class Device:
    """A kind of device. `pattern` is a regular expression, looked for in the device's name whatever the case."""

    pattern: str
    peak_flops: float | None
    """Half-precision FLOP/s, dense, with float32 accumulation; None when nothing is declared."""
    v100s: float
    """V100-days a device-day."""
    source: str


def _by_peak(pattern: str, peak_tflops: float, data_sheet: str) -> Device:
    peak = peak_tflops * 1e12
    return Device(pattern, peak, peak / V100_DATA_SHEET_FLOPS, f"{data_sheet}: {peak_tflops:g} TFLOP/s, V100: 125")


DEVICES: tuple[Device, ...] = (
    Device(r"\bv100", V100_PEAK_FLOPS, 1.0, "the unit; its peak as published utilisations take it"),
    Device(r"\btpu[- ]?v3\b", None, 0.5, "arXiv:2105.05233, appendix B.3: 2 TPU-v3-days = 1 V100-day"),
    _by_peak(r"\bp100\b", 18.7, "P100 (PCIe) data sheet, float16 without tensor cores"),
    _by_peak(r"\bt4\b", 65, "T4 data sheet"),
    _by_peak(r"\ba100\b", 312, "A100 data sheet"),
    _by_peak(r"\ba10g\b", 70, "A10G data sheet"),
    _by_peak(r"\ba10\b", 125, "A10 data sheet"),
    _by_peak(r"\ba30\b", 165, "A30 data sheet"),
    _by_peak(r"\ba40\b", 149.7, "A40 data sheet"),
    _by_peak(r"\ba6000\b", 154.8, "RTX A6000 data sheet"),
    _by_peak(r"\bl4\b", 121, "L4 data sheet"),
    _by_peak(r"\bl40\b", 181, "L40 data sheet"),
    _by_peak(r"\bl40s\b", 362, "L40S data sheet"),
    _by_peak(r"\bh100 pcie\b", 756, "H100 data sheet, PCIe"),
    _by_peak(r"\bh100 nvl\b", 835, "H100 data sheet, NVL"),
    _by_peak(r"\bh100\b", 989, "H100 data sheet, SXM"),
    _by_peak(r"\bg?h200\b", 989, "H200 data sheet"),
    _by_peak(r"\bb200\b", 2250, "B200 data sheet"),
    _by_peak(r"\brtx 3090$", 71, "GA102 white paper, GeForce RTX 3090"),
    _by_peak(r"\brtx 4090$", 165.2, "AD102 white paper, GeForce RTX 4090"),
)
"""The first whose pattern is found counts."""

PART_OF_A_DEVICE = re.compile(r"\bmig\b|\blaptop\b|\bmax-q\b", re.IGNORECASE)
"""Names of slices and of slower variants, which contain the name of the whole."""


def find_device(name: str) -> Device | None:
    """The entry for a device by the name it gives itself; None when nobody has declared it, as for any CPU.

    Of several kinds, as in "NVIDIA A100-SXM4-40GB, Tesla T4", it is not known how much each did: None.

    >>> find_device("Tesla V100-SXM2-16GB").v100s
    1.0
    >>> find_device("cpu (x86_64)") is None
    True
    """
    kinds = {_find(part, DEVICES) for part in name.split(", ")}
    return kinds.pop() if len(kinds) == 1 else None


@cache
def _find(name: str, devices: tuple[Device, ...]) -> Device | None:
    if PART_OF_A_DEVICE.search(name):
        return None
    return next((device for device in devices if re.search(device.pattern, name, re.IGNORECASE)), None)
