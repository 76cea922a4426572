"""Average gradients over the workers of a training while the backward pass computes the others.

DistributedDataParallel overlaps the two as well. But it forms its buckets anew after the first step, so with three or
more workers a resumed training would be rounded otherwise; and a worker whose memory runs out leaves the others
waiting. Here buckets follow from the parameters alone, and a worker that stopped midway takes part in what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn

from assay.workload.group import is_alone

BUCKET_BYTES = 25 * 2**20
"""The most that is sent at once, unless one parameter is larger. PyTorch's choice: large enough for a fast link."""
FEWEST_BUCKETS = 16
"""Smaller networks are divided too, since the last bucket is sent when nothing is left to compute."""


@dataclass
class Bucket:
    """Parameters whose gradients are sent together."""

    parameters: list[nn.Parameter] = field(default_factory=list)
    missing: set[Tensor] = field(default_factory=set)
    """Those whose gradient the backward pass has yet to complete."""


@dataclass(frozen=True)
class _Exchange:
    """A bucket on its way."""

    gradients: Tensor
    """The gradients of the bucket, (n,). Those of the parameters are views of it."""
    sent: Tensor
    """What is added up over workers: the same tensor, or a copy in 16 bits."""
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
        self._buckets = [] if is_alone() else list(buckets(parameters))
        self._exchanges: list[_Exchange] = []
        """Of the first buckets, in their order, which is that of all workers."""
        self._is_last_pass = False
        for bucket in self._buckets:
            for parameter in bucket.parameters:
                hook = partial(self._complete, bucket)
                parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]

    def start(self) -> None:
        """The next backward pass is the step's last: it completes gradients, and each bucket is sent when it can be."""
        self._is_last_pass = True
        for bucket in self._buckets:
            bucket.missing = set[Tensor](bucket.parameters)

    def finish(self) -> None:
        """Send what was not sent, and wait for all of it."""
        for bucket in self._buckets[len(self._exchanges) :]:
            self._send(bucket)
        for exchange in self._exchanges:
            exchange.work.wait()
            exchange.gradients.copy_(exchange.sent)
        self._is_last_pass = False
        self._exchanges = []

    def _complete(self, bucket: Bucket, parameter: Tensor) -> None:
        if not self._is_last_pass:
            return
        bucket.missing.discard(parameter)
        for following in self._buckets[len(self._exchanges) :]:
            if following.missing:
                break
            self._send(following)

    def _send(self, bucket: Bucket) -> None:
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket.parameters]
        # PyTorch lays a gradient out as its parameter, without gaps: their memory is copied as it lies.
        flat = torch.cat([gradient.as_strided((gradient.numel(),), (1,)) for gradient in gradients])
        flat /= dist.get_world_size()  # before they are added up: a sum could overflow 16 bits
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for parameter, gradient, part in zip(bucket.parameters, gradients, parts, strict=True):
            if parameter.grad is not None:
                parameter.grad = part.as_strided(gradient.shape, gradient.stride())
        sent = flat if self._dtype is None else flat.to(self._dtype)
        work = dist.all_reduce(sent, async_op=True)
        assert work is not None  # only in processes outside the group
        self._exchanges.append(_Exchange(flat, sent, work))


def buckets(parameters: Sequence[nn.Parameter]) -> Iterator[Bucket]:
    """The parameters from last to first, about as a backward pass reaches them, in buckets of about equal size."""
    total = sum(p.numel() * p.element_size() for p in parameters)
    most = min(BUCKET_BYTES, total / FEWEST_BUCKETS)
    bucket, size = Bucket(), 0
    for parameter in reversed(parameters):
        added = parameter.numel() * parameter.element_size()
        if bucket.parameters and size + added > most:
            yield bucket
            bucket, size = Bucket(), 0
        bucket.parameters.append(parameter)
        size += added
    yield bucket
