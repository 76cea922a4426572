"""What the stages of a plan need of their devices' memory, beside what these have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.costs.devices import USABLE_MEMORY, memory_sizes
from assay.sweep import Resources
from assay.workload import Memory, Stage

GIB = 2**30


@dataclass(frozen=True)
class MemoryNeed:
    """What one worker of a stage needs, and how much of it each size of its device holds."""

    stage: Stage
    memory: Memory
    """The stage's, with that of the rows that are computed in the same process."""
    at_a_time: int
    """Items that it processes at a time; for "auto", as many as the smallest size that holds any."""
    bytes: int
    """Bytes for that many."""
    device: str
    """ "A100"."""
    most: Mapping[int, int]
    """Size of the device's memory in GiB, smallest first → the most items at a time that fit; 0 if not even one."""

    @property
    def holding(self) -> tuple[int, ...]:
        """The sizes that hold what is configured."""
        return tuple(size for size, most in self.most.items() if most >= self.at_a_time)


def memory_need(stage: Stage, resources: Resources, reference: str) -> MemoryNeed | None:
    """None for a stage that uses no GPU, or of unknown need, and for devices of unknown memory. `reference` is the
    device if the sweep's resources do not name the GPU."""
    memory, group = _of_process(stage), resources.group_of(stage)
    _, gpus = group.of_each
    device = group.gpu or reference
    sizes = memory_sizes(device) if device else ()
    if memory is None or not gpus or not sizes:
        return None
    # The fewest workers that the group may start with have the largest shares.
    workers = group.units[0] if stage.kind == "train" else 1
    share = memory.share(workers) or stage.shard_size
    room = {size: size * GIB * USABLE_MEMORY * min(1, gpus) for size in sizes}
    most = {size: min(memory.most(capacity, workers), share) for size, capacity in room.items()}
    if memory.at_a_time == "auto":
        at_a_time = next((count for count in most.values() if count), 1)
    else:
        at_a_time = min(memory.at_a_time, share) if isinstance(memory.at_a_time, int) else share
    return MemoryNeed(stage, memory, at_a_time, memory.of_worker(at_a_time, workers), device, most)


def _of_process(stage: Stage) -> Memory | None:
    """What the process of a stage needs, in which the rows that it reads are computed, too, unless they are stored by
    another group; None if that of the rows is unknown."""
    rows = stage.rows
    if rows is None or not (rows.streamed or rows.group == stage.group):
        return stage.memory
    if rows.memory is None or stage.memory is None:
        return rows.memory
    return rows.memory.beside(stage.memory)


def memory_in_words(need: MemoryNeed) -> str:
    """The need of a stage, whether its device holds it, and if not, what to set."""
    setting, sizes = need.memory.setting, tuple(need.most)
    needs = f"{need.stage.name} {need.bytes / GIB:.1f} GiB per worker at {setting}"
    if need.memory.at_a_time == "auto" and any(need.most.values()):
        counts = (f"{count} on {_named(need, (size,))}" for size, count in need.most.items() if count)
        return f"{needs} auto: {' or '.join(counts)}."
    needs = f"{needs} {need.at_a_time}"
    if need.holding == sizes:
        return f"{needs}; fits {_named(need, sizes)}."
    short = {size: count for size, count in need.most.items() if size not in need.holding}
    settings = [
        f"{setting} {count}" + (f" for {size} GB" if len(sizes) > 1 else "") for size, count in short.items() if count
    ]
    advice = f"set {' or '.join(changes)}" if (changes := [*settings, *need.memory.remedies]) else "use a larger device"
    if need.holding:
        return f"{needs}; fits {_named(need, need.holding)}, not of {' or '.join(map(str, short))}: {advice}."
    has = f"{needs}; more than {_named(need, sizes)} has"
    if not settings:
        return f"{has}, even one at a time: {advice}."
    return f"{has}: {advice}." if need.stage.kind == "reduce" else f"{has}: {advice}; else it is halved by itself."


def _named(need: MemoryNeed, sizes: Sequence[int]) -> str:
    """The device with these sizes, unless its name has the size: "an A100 of 40 or 80 GB", "an A100-40GB"."""
    has_size = len(need.most) == 1 and re.search(r"\d ?GB", need.device, re.IGNORECASE)
    article = "an" if need.device[0].upper() in "AEFHILMNORSX" else "a"  # as letters are said: an A100, an L4, a B200
    return f"{article} {need.device}" + ("" if has_size else f" of {' or '.join(map(str, sizes))} GB")
