"""The interface between an engine and the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

LossFn = Callable[[nn.Module], Tensor]
"""A micro-batch's term of the loss, given the network. The loss is the mean over all micro-batches of the group."""
BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class StepReport:
    taken: bool
    """False if the gradient was not finite; the weights are then unchanged."""
    grad_norm: float
    """L2 norm of the global batch's gradient, before clipping. NaN or infinite if the step was not taken."""
    loss_scale: float
    """The factor of the loss; 1 except in fp16."""


class RanOutOfMemory(MemoryError):
    """A worker's device has too little memory for a micro-batch."""


class Engine(Protocol):
    """One worker's part of the optimizer. Each method is called on all workers of a group."""

    name: str
    model: nn.Module

    def step(self, micro_batches: Sequence[LossFn], learning_rate: float) -> StepReport:
        """Average the gradients of all micro-batches over the group, and take a step. Every worker has the same number
        of micro-batches, which may differ from step to step.

        Raises RanOutOfMemory on every worker if the memory of any did not hold a micro-batch. Nothing has changed then.
        Engines that average gradients during the backward pass raise PyTorch's own error, on that worker alone.
        """

    def moments(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Adam's moments (name, m, v) of every parameter, complete on every worker, one parameter at a time."""

    def counters(self) -> dict[str, float]:
        """Number of steps taken; in fp16 also the loss scale, and the steps since it last changed."""

    def load(self, moments: Mapping[str, tuple[Tensor, Tensor]], counters: Mapping[str, float]) -> None:
        """Restore the `moments` and `counters` of any engine.

        Counters from another precision have no loss scale; in fp16 it then starts at its initial value.
        """


def named_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]
