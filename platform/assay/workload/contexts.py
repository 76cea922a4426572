"""What stage bodies are given: their context, and the results of the stages that they read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, runtime_checkable

from assay.workload.stage import JSON, Checkpointing

if TYPE_CHECKING:
    import pyarrow as pa

JACKKNIFE = "jackknife.json"
"""A file that a last stage may leave in its output, so that reports can say how sure its metrics are:

    {metric: {"value": v, "replicates": [the metric without block 0 of the samples, without block 1, …],
              "sizes": [how many samples block 0 has, block 1, …]}}

A block is a fixed set of sample indices, the same in every trial of as many samples. Without sizes, blocks are equal.
The standard error is the delete-a-block jackknife's, intervals are by Student's t on B − 1 degrees of freedom; those of
the difference of two trials are the same of the differences rᵦ − sᵦ, in which what they share (noise, labels)
cancels."""


@runtime_checkable
class Result(Protocol):
    """A committed stage's result, as the stages that read it see it."""

    @property
    def key(self) -> str: ...

    @property
    def metrics(self) -> Mapping[str, float]: ...

    def file(self, name: str) -> Path:
        """A local path to one of the result's files. Raises KeyError naming the files there are."""

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """A map stage's rows, sorted by id, every id exactly once, the column "id" always among them. Raises KeyError
        for a column that not all ids have, as one of the stage's `stored_prefix`: read that with `rows(0, n)`."""

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The same rows, a shard at a time, in the order of ids."""

    def rows(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of start ≤ id < stop alone, their checksums verified; the columns asked for and no others.

        The one way to read a column of the stage's `stored_prefix`: `rows(0, n, ["image"])`, n at most the ids that it
        is stored for. Raises KeyError beyond them."""


class StageContext(Protocol):
    """What every body is given."""

    @property
    def config(self) -> Mapping[str, JSON]: ...

    @property
    def execution(self) -> Mapping[str, JSON]: ...

    @property
    def amount(self) -> int:
        """The stage's budget (iterations, samples), or 1."""

    @property
    def inputs(self) -> Mapping[str, Result]: ...

    @property
    def output(self) -> Path:
        """A local folder; what is in it when the body returns is committed. Map bodies return columns instead."""

    @property
    def device(self) -> str:
        """Where tensors go: "cpu", "cuda:0"."""

    @property
    def threads(self) -> int:
        """CPU threads this body may use."""

    def progress(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """Tell the user how far this is, in the budget's unit; a map body, in ids of the batch at hand. Cheap: may be
        called at every step."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep a point of a curve; the curve is part of the result. Reports draw the one called "loss", which should
        fall; MLflow shows all. Rank 0's points count."""

    def note(self, name: str, value: str | float) -> None:
        """Say what was chosen or found at run time ("workers", 2): kept with the result, and told to the user.

        What answers a value of `config` or `execution` has that value's dotted path for its name ("train.precision",
        "bf16"): the stored config says it, too. In a worker group, rank 0's notes count. In a map stage, the first
        answer holds: `config` has it for whoever makes another shard, on whatever device.
        """


class TrainContext(StageContext, Protocol):
    """What a train body is given besides: its place in the worker group, and checkpoints.

    With more than one worker torch.distributed is initialised before the body is called (NCCL on GPUs, else Gloo), with
    `rank` and `world_size` as here: a body sets up nothing, and synchronises its gradients itself.
    """

    @property
    def rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...

    @property
    def checkpointing(self) -> Checkpointing: ...

    @property
    def leaving(self) -> bool:
        """Whether this worker's machine was told that it will be taken away. Cheap, and this rank's own view: the body
        must agree over its ranks, then save a checkpoint and call `leave`. One that never looks leaves at the next
        checkpoint that it saves."""

    def leave(self, step: int) -> NoReturn:
        """End this worker group after a checkpoint at `step`; the executor starts another one where it can."""

    def latest_checkpoint(self) -> tuple[int, Path] | None:
        """(step, folder) of the last good checkpoint at or below this budget, or None. The same on every rank, whatever
        number of workers wrote it."""

    def save_checkpoint(self, step: int, write: Callable[[Path], None], score: float | None = None) -> None:
        """Commit a checkpoint atomically. Called on every rank, and returns when it is there; or leaves, where a rank
        is told to. `write` gets a folder of the rank's own, and names files that no other rank does. Lower scores are
        better."""
