"""The table of devices: what costs on different machines are added up by, and how much memory each has.

A workload names a reference device, in whose days its field publishes costs. Days on other devices are converted by
published ratios if there are any, else by the ratio of the vendors' dense half-precision peaks. That ratio compares
what devices can do, not what they did: see the ledger's utilisation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from assay.errors import UserError

SECONDS_PER_DAY = 86_400
UTILISATION = 0.36
"""Share of the peak that well-tuned trainings reach: published values range from 29% to 41%."""


@dataclass(frozen=True)
class Device:
    """A kind of device. `pattern` is a regular expression to find in device names, ignoring case."""

    pattern: str
    peak_flops: float | None
    """Dense half-precision FLOP/s with float32 accumulation that count as a utilisation of 100%; None if unknown."""
    speed: float
    """TFLOP/s by its data sheet, by which its days are converted to days of other devices."""
    source: str
    memory_gib: tuple[int, ...] = ()
    """The sizes of memory it is sold with, smallest first; data sheets say GB and mean 2³⁰ bytes. Empty if unknown.
    Most are also listed at https://docs.rapids.ai/deployment/stable/cloud/aws and
    https://docs.runpod.io/references/gpu-types."""


def _by_peak(pattern: str, peak_tflops: float, data_sheet: str, *memory_gib: int) -> Device:
    source = f"{data_sheet}: {peak_tflops:g} TFLOP/s, {' or '.join(map(str, memory_gib))} GB"
    return Device(pattern, peak_tflops * 1e12, peak_tflops, source, memory_gib)


USABLE_MEMORY = 0.94
"""Share of a device's memory that tensors can have: CUDA's context, cuDNN's workspaces, and gaps between blocks take
the rest."""

DEVICES: tuple[Device, ...] = (
    Device(r"\bv100", 120e12, 125, "V100 data sheet: 125 TFLOP/s; published utilisations are shares of 120", (16, 32)),
    Device(r"\btpu[- ]?v3\b", None, 62.5, "arXiv:2105.05233, appendix B.3: 2 TPU-v3-days = 1 V100-day"),
    _by_peak(r"\bp100\b", 18.7, "P100 (PCIe) data sheet, float16 without tensor cores", 12, 16),
    _by_peak(r"\bt4\b", 65, "T4 data sheet", 16),
    _by_peak(r"\ba100\b", 312, "A100 data sheet", 40, 80),
    _by_peak(r"\ba10g\b", 70, "A10G data sheet", 24),
    _by_peak(r"\ba10\b", 125, "A10 data sheet", 24),
    _by_peak(r"\ba30\b", 165, "A30 data sheet", 24),
    _by_peak(r"\ba40\b", 149.7, "A40 data sheet", 48),
    _by_peak(r"\ba6000\b", 154.8, "RTX A6000 data sheet", 48),
    _by_peak(r"\bl4\b", 121, "L4 data sheet", 24),
    _by_peak(r"\bl40\b", 181, "L40 data sheet", 48),
    _by_peak(r"\bl40s\b", 362, "L40S data sheet", 48),
    _by_peak(r"\bh100 pcie\b", 756, "H100 data sheet, PCIe", 80),
    _by_peak(r"\bh100 nvl\b", 835, "H100 data sheet, NVL", 94),
    _by_peak(r"\bh100\b", 989, "H100 data sheet, SXM", 80),
    _by_peak(r"\bg?h200\b", 989, "H200 and GH200 data sheets", 96, 141, 144),
    _by_peak(r"\bb200\b", 2250, "B200 data sheet", 180),
    _by_peak(r"\brtx 3090$", 71, "GA102 white paper, GeForce RTX 3090", 24),
    _by_peak(r"\brtx 4090$", 165.2, "AD102 white paper, GeForce RTX 4090", 24),
)
"""The first match counts."""

PART_OF_A_DEVICE = re.compile(r"\bmig\b|\blaptop\b|\bmax-q\b", re.IGNORECASE)
"""Names of slices and of slower variants, which contain the name of the whole."""


def find_device(name: str) -> Device | None:
    """The entry for a device by its reported name; None if it is not declared, like any CPU.

    Also None for a mixture of kinds, as in "NVIDIA A100-SXM4-40GB, Tesla T4".

    >>> find_device("NVIDIA A100-SXM4-40GB").speed
    312
    >>> find_device("cpu (x86_64)") is None
    True
    """
    kinds = {_find(part, DEVICES) for part in name.split(", ")}
    return kinds.pop() if len(kinds) == 1 else None


def memory_sizes(name: str) -> tuple[int, ...]:
    """The sizes in GiB that a device of this name may have: the one in its name, else all that it is sold with.
    Empty if it is not declared, like any CPU.

    >>> memory_sizes("V100"), memory_sizes("Tesla V100-SXM2-32GB"), memory_sizes("cpu (x86_64)")
    ((16, 32), (32,), ())
    """
    device = find_device(name)
    if device is None:
        return ()
    written = {int(size) for size in re.findall(r"(\d+) ?GB\b", name, re.IGNORECASE)}
    # Only sizes it is sold with: a GH200's name has the size of its CPU's memory.
    return tuple(size for size in device.memory_gib if size in written) or device.memory_gib


@cache
def _find(name: str, devices: tuple[Device, ...]) -> Device | None:
    if PART_OF_A_DEVICE.search(name):
        return None
    return next((device for device in devices if re.search(device.pattern, name, re.IGNORECASE)), None)


@dataclass(frozen=True)
class DeviceDays:
    """The unit of costs: days of a reference device. Raises UserError for a device that is not declared.

    >>> DeviceDays("A100").name, DeviceDays("A100").field, DeviceDays().name
    ('A100-days', 'a100_days', 'device-days')
    """

    reference: str = ""
    """A declared device, such as "A100". Empty: days of any device, without conversion."""

    def __post_init__(self) -> None:
        if self.reference and self._known is None:
            raise UserError(f"device {self.reference!r} is not declared; declare it in {__name__}.DEVICES")

    @classmethod
    def of_field(cls, field: str) -> DeviceDays:
        """The unit whose `field` this is."""
        device = field.removesuffix("_days").replace("_", " ")
        return cls("" if device == cls().device else device.upper())

    @property
    def device(self) -> str:
        return self.reference or "device"

    @property
    def name(self) -> str:
        return f"{self.device}-days"

    @property
    def field(self) -> str:
        """Its key in sweep files, JSON and CSV."""
        return re.sub(r"\W", "_", self.name.lower())

    @property
    def _known(self) -> Device | None:
        return find_device(self.reference)

    def of(self, device: str, count: int, seconds: float) -> float | None:
        """Device-days of `count` devices for these seconds; None if the device is not declared."""
        days, known = count * seconds / SECONDS_PER_DAY, find_device(device)
        if not self.reference:
            return days
        return None if known is None else days * self.worth(known)

    def worth(self, device: Device) -> float:
        """How many reference devices are as fast as one of these."""
        return device.speed / self._known.speed if self._known is not None else 1.0

    def of_flops(self, flops: float) -> float | None:
        """Device-days of these operations at the usual utilisation; None if the reference device has no known peak.

        >>> round(DeviceDays("A100").of_flops(1e20), 2)
        10.3
        """
        if self._known is None or self._known.peak_flops is None:
            return None
        return flops / (self._known.peak_flops * UTILISATION * SECONDS_PER_DAY)
