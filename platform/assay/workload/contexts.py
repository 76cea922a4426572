"""What stage bodies receive: their context, and the results of the stages that they read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from assay.workload.stage import JSON, Checkpointing

if TYPE_CHECKING:
    import pyarrow as pa

JACKKNIFE = "jackknife.json"
"""A file that a last stage may write to its output, so that reports can show the uncertainty of its metrics:

    {metric: {"value": v, "replicates": [the metric without block 0 of the samples, without block 1, …],
              "sizes": [how many samples block 0 has, block 1, …]}}

A block is a fixed set of sample indices, the same in every trial with the same number of samples. Without sizes,
blocks are equal. The standard error is that of the delete-a-block jackknife, and intervals use Student's t with B − 1
degrees of freedom; for the difference of two trials, the same is done with the differences rᵦ − sᵦ, in which shared
noise and labels cancel."""

CURVE_POINTS = 200
"""Number of points of a training's curve, over the whole budget."""


@runtime_checkable
class Result(Protocol):
    """A committed stage's result, as seen by the stages that read it."""

    @property
    def key(self) -> str: ...

    @property
    def metrics(self) -> Mapping[str, float]: ...

    def file(self, name: str) -> Path:
        """A local path to one of the result's files. Raises KeyError listing the files there are."""

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """A map stage's rows, sorted by id, every id exactly once, always with the column "id". Raises KeyError for a
        column that some ids lack, such as one in the stage's `stored_prefix`: read that with `rows(0, n)`."""

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The same rows one shard at a time, in order of ids."""

    def rows(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows with start ≤ id < stop, their checksums verified, with only the columns asked for.

        The only way to read a column in the stage's `stored_prefix`: `rows(0, n, ["audio"])`, with n at most the number
        of ids that it is stored for. Raises KeyError beyond those."""


class StageContext(Protocol):
    """What every body receives."""

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
        """A local folder; its content is committed when the body returns. Map bodies return columns instead."""

    @property
    def device(self) -> str:
        """Where tensors go: "cpu", "cuda:0"."""

    @property
    def threads(self) -> int:
        """CPU threads this body may use."""

    def progress(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """Report progress to the user, in the budget's unit; in a map body, in ids of the current batch. Cheap enough
        to call at every step."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add a point to a curve, which is part of the result. Reports draw those in `ReportHints.curves`; MLflow shows
        all. Only rank 0's points count."""

    def note(self, name: str, value: str | float) -> None:
        """Record a value chosen or found at run time ("workers", 2): stored with the result, and shown to the user.

        A choice for a value of `config` or `execution` is named by that value's dotted path ("train.precision",
        "bf16"): the stored config then has it. In a worker group, only rank 0's notes count. In a map stage, the first
        choice is binding: it is in `config` for all later shards, on any device.
        """


class TrainContext(StageContext, Protocol):
    """What a train body receives in addition: its rank in the worker group, and checkpoints.

    With more than one worker, torch.distributed is initialised before the body is called (NCCL on GPUs, else Gloo),
    with this `rank` and `world_size`; the body only synchronises its gradients.
    """

    @property
    def rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...

    @property
    def checkpointing(self) -> Checkpointing: ...

    @property
    def leaving(self) -> bool:
        """Whether this worker's machine is about to be taken away. Cheap, and local to this rank: the body must agree
        over all ranks, then save a checkpoint. A body that never checks leaves at the next checkpoint that it saves."""

    def latest_checkpoint(self) -> tuple[int, Path] | None:
        """(step, folder) of the last intact checkpoint at or below this budget, or None. The same on every rank, for
        any number of workers that wrote it."""

    def save_checkpoint(self, step: int, write: Callable[[Path], None], score: float | None = None) -> None:
        """Commit a checkpoint atomically. Called on every rank; returns once it is committed. If a rank has to leave
        before the last step, the whole group ends here, and the executor starts another one if it can. `write` gets a
        folder of the rank's own, and file names that no other rank uses. Lower scores are better."""


def log_step(
    ctx: TrainContext, step: int, metrics: Mapping[str, float], live: Mapping[str, float] | None = None
) -> None:
    """Report a step of a training as progress, and add it to the curve if it is one of its CURVE_POINTS. `live`: what
    is shown only while the training runs."""
    if step % max(1, ctx.amount // CURVE_POINTS) == 0 or step == ctx.amount:
        ctx.log(step, metrics)
    ctx.progress(step, {**metrics, **(live or {})})
