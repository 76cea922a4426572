"""Average gradients over the workers of a training while the backward pass computes the others.

DistributedDataParallel overlaps the two as well. But it forms its buckets anew after the first step, so with three or
more workers a resumed training would be rounded otherwise; and a worker whose memory runs out leaves the others waiting.
Here buckets follow from the parameters alone, and a worker that stopped in the middle takes part in what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn

from assay.workload.group import is_alone

BUCKET_BYTES = 25 * 2**20
"""The most that is sent at once, unless one parameter is larger. PyTorch's choice: large enough for a fast link."""
FEWEST_BUCKETS = 16
"""Smaller networks are divided too, since the last bucket is sent when nothing is left to compute."""


@dataclass
class _Bucket:
    parameters: list[nn.Parameter] = field(default_factory=list)
    missing: set[Tensor] = field(default_factory=set)
    """Parameters whose gradient the backward pass has yet to complete."""


@dataclass(frozen=True)
class _Exchange:
    """A bucket on its way."""

    gradients: Tensor
    """All gradients of the bucket, (n,). The parameters' own are views of it."""
    sent: Tensor
    """What is summed over workers: the same tensor, or in 16 bits."""
    work: dist.Work


class GradientAverage:
    """Replaces the parameters' gradients by their means over workers, once per step.

    Call `start` before the step's last backward pass and `finish` after it, on every worker. Where memory ran out, call
    `finish` all the same, or the others would wait for this worker; the gradients are then of no use on any. Gradients
    that are None stay so, and must be so on every worker.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], dtype: torch.dtype | None = None) -> None:
        """`dtype` is the type in which gradients are sent and added up; None: their own."""
        self._dtype = dtype
        self._buckets = [] if is_alone() else list(_buckets(parameters))
        self._exchanges: list[_Exchange] = []
        self._is_last_pass = False
        for bucket in self._buckets:
            for parameter in bucket.parameters:
                parameter.register_post_accumulate_grad_hook(self._completed(bucket))

    def start(self) -> None:
        """The next backward pass is the step's last: it completes gradients, and each bucket is sent when it can be."""
        self._is_last_pass = True
        self._exchanges = []
        for bucket in self._buckets:
            bucket.missing = set[Tensor](bucket.parameters)

    def finish(self) -> None:
        """Send what was not sent, and wait for all of it."""
        for bucket in self._buckets[len(self._exchanges) :]:
            self._send(bucket)
        for exchange in self._exchanges:
            exchange.work.wait()
            if self._dtype is None:
                exchange.gradients.div_(dist.get_world_size())
            else:
                exchange.gradients.copy_(exchange.sent)
        self._is_last_pass = False
        self._exchanges = []

    def _completed(self, bucket: _Bucket) -> Callable[[Tensor], None]:
        def hook(parameter: Tensor) -> None:
            if not self._is_last_pass:
                return
            bucket.missing.discard(parameter)
            # All workers send in one order, so a bucket waits for those before it.
            while len(self._exchanges) < len(self._buckets) and not self._buckets[len(self._exchanges)].missing:
                self._send(self._buckets[len(self._exchanges)])

        return hook

    def _send(self, bucket: _Bucket) -> None:
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket.parameters]
        # PyTorch lays a gradient out as its parameter, without gaps: their memory is copied as it lies.
        flat = torch.cat([grad.as_strided((grad.numel(),), (1,)) for grad in grads])
        for parameter, grad, part in zip(
            bucket.parameters, grads, flat.split([grad.numel() for grad in grads]), strict=True
        ):
            if parameter.grad is not None:
                parameter.grad = part.as_strided(grad.shape, grad.stride())
        # Divided first in 16 bits, in which a sum could overflow.
        sent = flat if self._dtype is None else (flat / dist.get_world_size()).to(self._dtype)
        work = dist.all_reduce(sent, async_op=True)
        assert work is not None  # only in processes outside the group
        self._exchanges.append(_Exchange(flat, sent, work))


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[_Bucket]:
    """The parameters from last to first, about as a backward pass reaches them, in buckets of about equal size."""
    total = sum(p.numel() * p.element_size() for p in parameters)
    most = min(BUCKET_BYTES, total / FEWEST_BUCKETS)
    bucket, size = _Bucket(), 0
    for parameter in reversed(parameters):
        added = parameter.numel() * parameter.element_size()
        if bucket.parameters and size + added > most:
            yield bucket
            bucket, size = _Bucket(), 0
        bucket.parameters.append(parameter)
        size += added
    yield bucket
