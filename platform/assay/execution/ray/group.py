"""The process group of a training, which its workers alone set up.

Ray's TorchConfig does the same, but imports torch in the trial's process and in the controller's too: seconds each,
before the first worker starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ray
from ray.train.backend import Backend, BackendConfig

from assay.execution.ray import private


@dataclass
class ProcessGroup(BackendConfig):  # type: ignore[misc]
    """torch.distributed among several workers, by one of its backends: "gloo" or "nccl"."""

    backend: str

    @property
    def backend_cls(self) -> type[Backend]:
        return _Joining

    @property
    def train_func_context(self) -> Any:
        return private.on_the_device_of_the_worker if self.backend == "nccl" else super().train_func_context


class _Joining(Backend):  # type: ignore[misc]
    share_cuda_visible_devices = True  # NCCL needs to see all of a machine's GPUs

    def on_start(self, worker_group: Any, backend_config: ProcessGroup) -> None:
        size = len(worker_group)
        if size == 1:
            return  # it may need no torch, which takes seconds to import
        address = worker_group.execute_single(0, private.free_address)
        ray.get(
            [
                worker_group.execute_single_async(
                    rank, private.join_process_group, backend_config.backend, rank, size, address
                )
                for rank in range(size)
            ]
        )
