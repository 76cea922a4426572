"""What a workload implements to be run by the platform.

A workload turns a config into a small graph of *stages*. A stage is a pure function with an address: its key hashes
its name, its version, the slice of the config it reads, its budget, and the keys of the stages it reads from. The
platform decides where and when a stage runs; the stage's body, named by an import path, does the work and imports
nothing of Ray.

Three kinds of body:

    train    def body(ctx: TrainContext) -> Mapping[str, float]       called on every worker; rank 0's return counts
    map      class Body: __init__(ctx: StageContext); __call__(batch) called on batches of columns, several in a chain
    reduce   def body(ctx: StageContext) -> Mapping[str, float]       a plain function
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from inspect import get_annotations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, runtime_checkable

from assay.errors import UserError, did_you_mean
from assay.text import first_line

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

JSON = Any
StageKind = Literal["train", "map", "reduce"]
Batch = dict[str, "np.ndarray[Any, Any]"]
KEY_LENGTH = 32


def canonical_json(value: JSON) -> str:
    """One spelling for one value: what keys and checksums are made of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: JSON) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:KEY_LENGTH]


def section_of(config: JSON, path: str) -> JSON | None:
    """Where a config has the value at a dotted path; None where it has none there."""
    *sections, name = path.split(".")
    for part in sections:
        config = config.get(part) if isinstance(config, dict) else None
    return config if isinstance(config, dict) and name in config else None


@dataclass(frozen=True)
class Budget:
    """How far a stage goes: `amount` of `unit` along the config path `path`. A larger budget extends a smaller one."""

    path: str
    amount: int
    unit: str


@dataclass(frozen=True)
class Checkpointing:
    """When a train stage saves, and what stays in the store. None of it changes what a step computes."""

    every: int
    """Save at multiples of this many steps, and at the end."""
    keep_last: int = 2
    """At least 1. Once the stage is done, only the last one stays."""
    keep_every: int | None = None
    """Checkpoints at multiples of this many steps stay for good."""
    keep_best: bool = False
    """The checkpoint with the lowest score stays for good, too."""


@dataclass(frozen=True)
class Work:
    """Work that a stage prices and does not do: `images` of some network, in stages like those that the ledger has."""

    name: str
    """What a reader calls it: a preset, a part."""
    stage: str
    """The name of the stages that do such work."""
    images: int
    flops_per_image: float


@dataclass(frozen=True)
class Promise:
    """What a workload says that a trial reports, and the sweep ranks by."""

    workload: str
    metric: str


@dataclass(frozen=True, eq=False)
class Stage:
    """One node of the graph: what to compute, from what, and how to name the answer."""

    name: str
    version: int
    kind: StageKind
    body: tuple[str, ...]
    """Import paths "module:attribute"; a map stage chains several, the others have one."""
    config: Mapping[str, JSON]
    """The slice of the config this stage reads, as plain JSON values. Nothing else may change its result."""
    places: tuple[str, ...] = field(default=(), kw_only=True)
    """Dotted paths into `config` of values that say where something is or what it is called, and not what it is: a
    folder, a file. They are not part of the key. What is there must be in it another way, as a digest of its
    contents."""
    inputs: Mapping[str, Stage] = field(default_factory=dict)
    budget: Budget | None = None
    resources: str = "reduce"
    """Which entry of the sweep's `resources` applies: "train", "sample" or "reduce"."""
    checkpointing: Checkpointing | None = None
    """Train stages: None saves at the end only."""
    check: str | None = None
    """Import path "module:attribute" of a function of `config` that raises UserError where the stage could only fail,
    and warns (AssayWarning) of what the user should know. Called when a sweep is validated or planned, so it imports
    little and takes a moment at most; and before anything is computed, where the stage will run. What may be there and
    is not here is NotHere: planning warns of it, and the run refuses."""
    group_check: str | None = None
    """Train stages: import path "module:attribute" of a function of (config, execution, workers, GPUs of each) that
    raises UserError where such a group could not train. Called when a sweep is planned, so it imports little."""
    execution: Mapping[str, JSON] = field(default_factory=dict)
    """How the body goes about it, which does not change what comes out (micro-batches, an engine): not part of the key,
    so a training that ran out of memory goes on with another one."""
    flops: float | None = None
    """Theoretical floating-point operations of the whole stage, for cost estimates; None when unknown."""
    images: int | None = None
    """How many images the whole stage goes over, for images a second; None: its budget, where that counts images."""
    batch_size: int | Literal["auto"] = 64
    """Map stages: how many ids one call gets at most; auto: found by trial on the device. Halved where memory runs out.
    Not part of the key: results do not depend on it."""
    shard_size: int = 1024
    """Map stages: how many ids one committed shard holds. Not part of the key either."""
    first_only: Mapping[str, int] = field(default_factory=dict)
    """Map stages: columns that are stored for so many of the first ids, and for no others: large ones that few read."""
    conditions: Mapping[str, JSON] = field(default_factory=dict)
    """What its metrics are measured under, as far as a plan can tell (the number of samples, the extractor): trials are
    not raced against each other where these differ. What is not part of the key elsewhere is not by this."""
    also_reads: Mapping[str, Stage] = field(default_factory=dict)
    """Stages that are computed first because they save this one work: images that were drawn already. What comes out is
    the same without them, so they are not part of the key, and `ctx.inputs` has only those that are there."""
    prices: Mapping[str, tuple[Work, ...]] = field(default_factory=dict)
    """Metrics of a last stage that are V100-days of work which it does not do → that work. Reports put beside them what
    the ledger has of such work. Not part of the key."""
    promise: Promise | None = None
    """A last stage, in a plan: what its body must return. Not part of the key."""

    @cached_property
    def keyed_config(self) -> Mapping[str, JSON]:
        """The config without `places`: what of it is in the key."""
        if not self.places:
            return self.config
        config = deepcopy(dict(self.config))
        for path in self.places:
            section = section_of(config, path)
            if section is not None:
                del section[path.rpartition(".")[2]]
        return config

    @cached_property
    def lineage(self) -> str:
        """The key without the budget: stages that differ only in how far they go share checkpoints and shards."""
        return digest(
            {
                "name": self.name,
                "version": self.version,
                "config": self.keyed_config,
                "inputs": {role: stage.key for role, stage in self.inputs.items()},
            }
        )

    @cached_property
    def key(self) -> str:
        if self.budget is None:
            return self.lineage
        return digest({"lineage": self.lineage, "budget": self.budget.amount})

    @property
    def sources(self) -> tuple[Stage, ...]:
        """Every stage that is computed before this one."""
        return (*self.inputs.values(), *self.also_reads.values())

    @property
    def amount(self) -> int:
        """Items to do: the budget's, or 1."""
        return self.budget.amount if self.budget else 1

    @property
    def unit(self) -> str:
        return self.budget.unit if self.budget else "steps"


def topological(leaves: Sequence[Stage]) -> list[Stage]:
    """Every stage the leaves need, each once, inputs before what reads them."""
    order: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in order:
            for source in stage.sources:
                visit(source)
            order[stage.key] = stage

    for leaf in leaves:
        visit(leaf)
    return list(order.values())


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
        """A map stage's rows, sorted by id, every id exactly once."""

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The same rows, a shard at a time, in the order of ids."""

    def rows(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of start ≤ id < stop alone, their checksums verified."""


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
        """Keep a point of a curve; the curve is part of the result."""

    def note(self, name: str, value: str | float) -> None:
        """Say what was chosen or found at run time ("workers", 2): kept with the result, and told to the user.

        What answers a value of `config` or `execution` has that value's dotted path for its name ("train.precision",
        "bf16"): the stored config says it, too. Of a worker group, rank 0's notes count. Of a map stage the first
        answer holds: `config` has it for whoever makes another shard, on whatever device.
        """


class TrainContext(StageContext, Protocol):
    """What a train body is given besides: its place in the worker group, and checkpoints."""

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


@dataclass(frozen=True)
class ReportHints:
    """How to show a workload's results: which metrics lead, and which files are pictures."""

    metrics: tuple[str, ...]
    sample_grid: str | None = None
    comparable: tuple[str, ...] = ()
    """Metrics or notes of the last stage that must be the same in trials that are ranked together."""
    pictures: Mapping[str, str] = field(default_factory=dict)
    """Other pictures that the last stage may commit → what they show, for a heading over those of all trials."""
    side_by_side: frozenset[str] = frozenset()
    """Of these, columns of the same few items in every trial: put beside each other, a row is one item."""


@dataclass(frozen=True)
class PrintedTable:
    """A table that a workload makes of its presets, as its authors print it."""

    name: str
    title: str
    columns: tuple[str, ...]
    """Headings of all columns but the first."""
    rows: tuple[tuple[str, ...], ...]
    """What the row is about, then a cell a column."""
    notes: tuple[str, ...] = ()


@runtime_checkable
class PrintsTables(Protocol):
    """A workload whose presets are also shown as tables."""

    def tables(self) -> Sequence[PrintedTable]: ...


class Workload(Protocol):
    """The entry point `assay.workloads` names an object like this."""

    name: str
    seed_path: str
    """The config path that replicate seeds set."""
    report: ReportHints

    def presets(self) -> Sequence[str]: ...

    def resolve(self, base: str, overrides: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """The full config of a preset with dotted overrides, as plain JSON values.

        Raises ConfigError with every problem, each at the dotted path that the user wrote.
        """

    def paths(self, base: str) -> Sequence[str]:
        """Every dotted path a config has: what `did you mean` chooses from."""

    def stages(self, config: Mapping[str, JSON]) -> Sequence[Stage]:
        """The leaves of the stage graph of one resolved config; the last leaf's metrics are the trial's."""

    def metrics(self, config: Mapping[str, JSON]) -> Sequence[str]:
        """The metrics this config's trial reports: what `metric:` and plots of a sweep may name.

        A trial fails whose last stage does not return the one that the sweep ranks by; others may be lacking, where the
        device decides.
        """


def load_attribute(path: str) -> Any:
    """The object at "module:attribute". Raises UserError where there is none; a module's own errors are its own."""
    name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise UserError(f"{path!r}: there is no module {error.name}") from None
    except ValueError:
        raise UserError(f'{path!r}: allowed: "module:attribute"') from None
    if not hasattr(module, attribute):
        raise UserError(f"{path!r}: the module {name} has no {attribute or 'attribute without a name'}")
    return getattr(module, attribute)


def workload_names() -> list[str]:
    return sorted(point.name for point in entry_points(group="assay.workloads"))


def package_of(workload: str) -> str:
    """What was installed to have a workload: "assay", for its own."""
    point = next((point for point in entry_points(group="assay.workloads") if point.name == workload), None)
    if point is None:
        return "no package that is installed"
    return "an unnamed package" if point.dist is None else point.dist.name


def load_workload(name: str) -> Workload:
    """The installed workload of that name. Raises UserError that lists those there are, or says what it lacks."""
    for point in entry_points(group="assay.workloads"):
        if point.name == name:
            return _loaded(point)
    raise UserError(f"unknown workload {name!r}{did_you_mean(name, workload_names())}")


def _loaded(point: EntryPoint) -> Workload:
    package = f" of the package {point.dist.name}" if point.dist is not None else ""
    label = f"workload {point.name!r} ({point.value}{package})"
    try:
        workload = point.load()
    except Exception as error:  # whatever a module may raise while it is imported
        raise UserError(f"{label} cannot be imported: {first_line(error, with_type=True)}") from error
    if isinstance(workload, type):
        raise UserError(f"{label} is a class; allowed: an object of it")
    members = [*get_annotations(Workload), *(name for name in vars(Workload) if not name.startswith("_"))]
    if lacking := [member for member in members if not hasattr(workload, member)]:
        raise UserError(f"{label} lacks {', '.join(lacking)}, which a workload has")
    return workload
