"""Checkpoints for a train body with its state in objects: a model, an optimizer, an average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from assay.workload.contexts import TrainContext

STATE = "state.pt"


class HasState(Protocol):
    """PyTorch's modules, optimizers and schedules, or any class with these two methods."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


def is_checkpoint_due(ctx: TrainContext, step: int, is_leaving: bool) -> bool:
    """Whether to save a checkpoint after a step. `is_leaving`: whether any rank is `leaving`, the same on all."""
    return is_leaving or step == ctx.amount or step % ctx.checkpointing.every == 0


class Checkpointed:
    """Saves objects every `ctx.checkpointing.every` steps, at the end, and when the machine is about to be taken away.

        training = Checkpointed(ctx, model=model, optimizer=optimizer)
        for step in training.steps():          # resumes from the last checkpoint
            loss = ...                         # one step
            ctx.log(step, {"loss": loss})
            training.score = loss              # for checkpointing.keep_best; leave it out for none

    Every rank calls it with the same objects, in the same state on all ranks, as under data parallelism: rank 0 saves.
    The state consists of tensors, numbers, text, lists and dicts. Random draws of a step should depend only on its
    number (`torch.manual_seed(f(seed, step))`): the states of generators are not saved.
    """

    def __init__(self, ctx: TrainContext, **objects: HasState) -> None:
        self._ctx, self._objects = ctx, objects
        self.score: float | None = None
        """The score of the current step; lower is better."""

    def steps(self) -> Iterator[int]:
        """Each step to take, up to the budget, starting after the last checkpoint. A step is saved, if it is due, when
        the next one is asked for."""
        for step in range(self._loaded() + 1, self._ctx.amount + 1):
            yield step
            if is_checkpoint_due(self._ctx, step, self._is_leaving()):
                self._ctx.save_checkpoint(step, self._write, self.score)

    def _is_leaving(self) -> bool:
        """All ranks leave together, or none."""
        if self._ctx.world_size == 1:  # needs no torch
            return self._ctx.leaving
        from assay.workload.group import any_worker

        return any_worker(self._ctx.leaving, self._ctx.device)

    def _loaded(self) -> int:
        """Restore the last checkpoint; returns its step, or 0 if there is none."""
        latest = self._ctx.latest_checkpoint()
        if latest is None:
            return 0
        import torch

        step, folder = latest
        saved = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        for name, kept in self._objects.items():
            kept.load_state_dict(saved[name])
        return step

    def _write(self, folder: Path) -> None:
        if self._ctx.rank == 0:
            import torch

            torch.save({name: kept.state_dict() for name, kept in self._objects.items()}, folder / STATE)
