"""What a worker and its machine use, for MLflow's charts of system metrics."""

from __future__ import annotations

import os
import socket
import time

from assay.home import Home

GIB = 1 << 30


class SystemMeter:
    """Measures this process, its machine and its GPU, once per interval; an interval of 0 measures nothing.

    `cpu_percent` counts 100 per core that this process kept busy since the last measurement; `gpu_percent` is the share
    of the last moment in which its GPU worked, for whomever.
    """

    def __init__(self, device: str, interval_s: float | None = None) -> None:
        self._device, self._knows_gpu = device, device != "cpu"
        self._interval_s = Home.system_interval_s() if interval_s is None else interval_s
        self._due = time.monotonic() + self._interval_s
        if self._interval_s:
            import psutil

            self._psutil, self._process = psutil, psutil.Process()
            self._process.cpu_percent()  # the first call only begins to count
            psutil.cpu_percent()

    def measure(self) -> dict[str, float]:
        """Metric → value; empty until the interval is over."""
        if not self._interval_s or time.monotonic() < self._due:
            return {}
        self._due = time.monotonic() + self._interval_s
        return {
            "cpu_percent": self._process.cpu_percent(),
            "memory_gib": self._process.memory_info().rss / GIB,
            "machine_cpu_percent": self._psutil.cpu_percent(),
            "machine_memory_percent": self._psutil.virtual_memory().percent,
            **self._of_gpu(),
        }

    def _of_gpu(self) -> dict[str, float]:
        """Empty without a GPU, and where NVML cannot be asked: in some containers, about a slice of a GPU. Its errors
        have no class in common but Exception, and none of them may end a stage."""
        if not self._knows_gpu:
            return {}
        import torch

        try:
            free, total = torch.cuda.mem_get_info(self._device)
            used = {"gpu_memory_gib": (total - free) / GIB}
            return {**used, "gpu_percent": float(torch.cuda.utilization(self._device))}
        except Exception:
            self._knows_gpu = False
            return {}


def worker_name(device: str, rank: int | None = None) -> str:
    """A name that stays the same when a stage resumes: the rank in its group, or the machine and its GPU."""
    if rank is not None:
        return f"rank {rank}"
    return socket.gethostname() + ("" if device == "cpu" else f" GPU {os.environ.get('CUDA_VISIBLE_DEVICES', '0')}")
