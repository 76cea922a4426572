"""What an engine is to the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

LossFn = Callable[[nn.Module], Tensor]
"""What a micro-batch contributes, given the network: the mean over all micro-batches of the group is the loss."""
BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class StepReport:
    taken: bool
    """False where the gradient was not finite: the weights are as they were."""
    grad_norm: float
    """L2 norm of the global batch's gradient, before clipping. NaN or infinite where the step was not taken."""
    loss_scale: float
    """What the loss was multiplied by; 1 but for fp16."""


class Engine(Protocol):
    """One worker's part of the optimizer. Every method is called on all workers of a group."""

    name: str
    model: nn.Module

    def step(self, micro_batches: Sequence[LossFn], learning_rate: float) -> StepReport:
        """Average the gradients of the micro-batches, equally many on every worker, over the group, and take a step."""

    def moments(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """(name, m, v) of every parameter: Adam's two averages, whole on every worker, one parameter at a time."""

    def counters(self) -> dict[str, float]:
        """Steps taken; in fp16 the loss scale, and the steps since it last changed."""

    def load(self, moments: Mapping[str, tuple[Tensor, Tensor]], counters: Mapping[str, float]) -> None:
        """Go on from what `moments` and `counters` gave, of this engine or the other.

        In fp16 the loss scale stays the initial one where there is none in them: after steps in another precision.
        """


def named_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]
