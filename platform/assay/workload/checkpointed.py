"""Checkpoints for a train body that keeps its state in objects: a model, an optimizer, an average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from assay.workload.contexts import TrainContext

STATE = "state.pt"


class HasState(Protocol):
    """What PyTorch's modules, optimizers and schedules are, and any class with these two methods."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


class Checkpointed:
    """These objects, saved every `ctx.checkpointing.every` steps, at the end, and when this machine is to be left.

        training = Checkpointed(ctx, model=model, optimizer=optimizer)
        for step in training.steps():          # from the last checkpoint on
            loss = ...                         # one step
            ctx.log(step, {"loss": loss})
            training.score = loss              # for checkpointing.keep_best; leave it out for none

    Every rank calls it with the same objects, whose state is the same on all ranks, as under data parallelism: rank 0
    saves. Their state is made of tensors, numbers, text, lists and dicts. What a step draws at random should depend on
    its number alone (`torch.manual_seed(f(seed, step))`): no generator's state is saved.
    """

    def __init__(self, ctx: TrainContext, **objects: HasState) -> None:
        self._ctx, self._objects = ctx, objects
        self.score: float | None = None
        """The score of the current step; lower is better."""

    def steps(self) -> Iterator[int]:
        """Each step that is to be taken, from 1 to the budget, without those of the last checkpoint; each is saved, if
        it is one to be saved, when the next is asked for."""
        for step in range(self._loaded() + 1, self._ctx.amount + 1):
            yield step
            leaving = self._any_rank(self._ctx.leaving)
            is_last = step == self._ctx.amount
            if leaving or is_last or step % self._ctx.checkpointing.every == 0:
                self._ctx.save_checkpoint(step, self._write, self.score)
            if leaving and not is_last:
                self._ctx.leave(step)

    def _loaded(self) -> int:
        """The step that the objects are at, once they have the last checkpoint's state."""
        found = self._ctx.latest_checkpoint()
        if found is None:
            return 0
        import torch

        step, folder = found
        saved = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        for name, kept in self._objects.items():
            kept.load_state_dict(saved[name])
        return step

    def _write(self, folder: Path) -> None:
        if self._ctx.rank == 0:
            import torch

            torch.save({name: kept.state_dict() for name, kept in self._objects.items()}, folder / STATE)

    def _any_rank(self, is_leaving: bool) -> bool:
        """All ranks leave together, or none."""
        if self._ctx.world_size == 1:
            return is_leaving
        import torch.distributed

        flag = torch.tensor(float(is_leaving), device=self._ctx.device)
        torch.distributed.all_reduce(flag)
        return bool(flag > 0)
