"""A stage: what to compute, from which inputs, and the key of the result."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from assay.errors import StageError, did_you_mean
from assay.text import shorten
from assay.workload.dotted import section_of
from assay.workload.keys import digest

if TYPE_CHECKING:
    import numpy as np

JSON = Any
StageKind = Literal["train", "map", "reduce"]
GROUPS: dict[StageKind, str] = {"train": "train", "map": "sample", "reduce": "reduce"}
"""The resource group of a stage that names none."""
Batch = dict[str, "np.ndarray[Any, Any]"]


def shown(value: object) -> str:
    """A value in a message: its type, and as much of it as fits on a line."""
    if value is None:
        return "None"
    text = " ".join(repr(value).split())
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and not isinstance(value, (int, float)):
        return f"a {type(value).__module__.partition('.')[0]} {type(value).__name__} of shape {tuple(shape)}"
    return f"{shorten(text)} ({type(value).__name__})"


@dataclass(frozen=True)
class Budget:
    """How far a stage goes: `amount` of `unit`, set by the config path `path`. A larger one extends a smaller one."""

    path: str
    amount: int
    unit: str


@dataclass(frozen=True)
class Checkpointing:
    """When a train stage saves, and which checkpoints are kept. Does not change what a step computes."""

    every: int
    """Save at multiples of this many steps, and at the end."""
    keep_last: int = 2
    """At least 1. Once the stage is done, only the last one is kept."""
    keep_every: int | None = None
    """Keep checkpoints at multiples of this many steps for good."""
    keep_best: bool = False
    """Keep the checkpoint with the lowest score for good too."""


@dataclass(frozen=True)
class Work:
    """Work that a stage prices without doing it: `items` through some network, in stages like those of the ledger."""

    name: str
    """Its label in reports: a preset, a part."""
    stage: str
    """The name of stages that do such work."""
    items: int
    flops_per_item: float


@dataclass(frozen=True)
class Memory:
    """What a worker of a stage needs of its device's memory, in bytes, estimated without running it."""

    fixed: int
    """However many items it processes at a time: weights, an optimizer's state."""
    moments: tuple[tuple[int, int], ...]
    """What it needs besides at each moment of its work: (bytes however many items, bytes per item processed at a
    time). The largest counts."""
    at_a_time: int | Literal["auto"] | None
    """The most items that it processes at a time; auto: as many as fit; None: its whole share of a step."""
    setting: str
    """The config path of `at_a_time`."""
    divided: int = 0
    """What the workers of a group divide among them, each holding a part."""
    items: int | None = None
    """Items of a step, over all workers; None: workers share no steps."""
    remedies: tuple[str, ...] = ()
    """Settings that need less, besides fewer items at a time: "model.activation_checkpointing true"."""

    def of_worker(self, at_a_time: int, workers: int = 1) -> int:
        """Bytes for this many items at a time, in a group of this many workers."""
        largest = max(beside + per_item * at_a_time for beside, per_item in self.moments)
        return self.fixed + math.ceil(self.divided / workers) + largest

    def beside(self, other: Memory) -> Memory:
        """What a process needs that holds both, and works on as many items at a time as this one, in turn."""
        return replace(self, fixed=self.fixed + other.fixed, moments=(*self.moments, *other.moments))

    def share(self, workers: int) -> int | None:
        """Items of a step that fall to one worker; None if workers share no steps."""
        return None if self.items is None else math.ceil(self.items / workers)

    def most(self, capacity: float, workers: int = 1) -> int:
        """The most items at a time that fit in `capacity` bytes, up to the worker's share; 0 if not even one does."""
        if self.of_worker(1, workers) > capacity:
            return 0
        room = capacity - self.fixed - math.ceil(self.divided / workers)
        most = min((room - beside) // per_item for beside, per_item in self.moments if per_item)
        return int(most if (share := self.share(workers)) is None else min(most, share))


@dataclass(frozen=True)
class Promise:
    """The metric that a workload declares, and that the sweep ranks by."""

    workload: str
    metric: str


@dataclass(frozen=True, eq=False)
class Stage:
    """One node of the graph: what to compute, from which inputs, and what identifies the result.

    Raises StageError, a UserError that names the stage and the field, if a field is invalid.
    """

    name: str
    version: int
    kind: StageKind
    body: tuple[str, ...]
    """Import paths "module:attribute"; a map stage may chain several, the others have one."""
    config: Mapping[str, JSON]
    """The slice of the config that this stage reads, as plain JSON values. Nothing else may change its result."""
    places: tuple[str, ...] = field(default=(), kw_only=True)
    """Dotted paths into `config` of values that say where data are or how they are named: a folder, a file. They are
    not part of the key, so the content must be in it otherwise, as a digest."""
    inputs: Mapping[str, Stage] = field(default_factory=dict)
    budget: Budget | None = None
    resources: str | None = None
    """Which entry of the sweep's `resources` applies: the one for its kind (`train`, `sample` for a map stage,
    `reduce`), or one of another name, which a sweep of such a stage defines."""
    checkpointing: Checkpointing | None = None
    """Train stages: None saves at the end only."""
    check: str | None = None
    """Import path "module:attribute" of a function of `config` that raises UserError if the stage is bound to fail, and
    warns (AssayWarning) of anything else that the user should know. Called when a sweep is validated or planned, so it
    is quick and imports little; and again where the stage will run, before anything is computed. For files that may
    exist only there, it raises NotHere: planning warns, and the run refuses."""
    group_check: str | None = None
    """Train stages: import path "module:attribute" of a function of (config, execution, workers, GPUs per worker) that
    raises UserError if such a group cannot train. Called when a sweep is planned, so it imports little."""
    imports: tuple[str, ...] = ()
    """Import paths "module:attribute" of what the body looks up by a name in its config, such as a sampler: planning
    refuses paths that do not resolve. Not part of the key."""
    execution: Mapping[str, JSON] = field(default_factory=dict)
    """How the body works, without effect on the result (micro-batches, an engine): not part of the key, so a training
    that ran out of memory can resume with other values."""
    flops: float | None = None
    """Theoretical floating-point operations of the whole stage, for cost estimates; None if unknown."""
    memory: Memory | None = None
    """What a worker needs of its device's memory; None if unknown. Not part of the key."""
    items: int | None = None
    """How many items the whole stage processes, for items per second; None: its budget. The workload's hint
    `item_unit` says what they are."""
    batch_size: int | Literal["auto"] = 64
    """Map stages: the most ids per call; auto: found by trial on the device. Halved if memory runs out. Not part of the
    key, since results do not depend on it."""
    shard_size: int = 1024
    """Map stages: ids per committed shard. Not part of the key either."""
    stored_prefix: Mapping[str, int] = field(default_factory=dict)
    """Map stages: columns that are stored only for this many of the first ids: large ones that few stages read, with
    `rows(0, n)`."""
    rows: Stage | None = None
    """Map stages: another map stage with as many ids, whose rows the first class is given instead of ids alone. Stages
    that read the same rows are computed in one pass: rows that are not stored are computed once, a shard at a time, by
    the process that reads them."""
    streamed: bool = False
    """Map stages: the rows go to the stages that read them as `rows`, and are not stored. Not part of the key."""
    conditions: Mapping[str, JSON] = field(default_factory=dict)
    """What its metrics are measured under, as far as a plan can tell (how many rows, by which measure): trials race
    against each other only if these are equal. A condition that differs between metrics is a mapping from the metric to
    its value. Being listed here puts nothing into the key."""
    replicated: tuple[str, ...] = ()
    """Metrics of a last stage with replicates in its jackknife file: those that schedulers can race by intervals. Not
    part of the key."""
    prices: Mapping[str, tuple[Work, ...]] = field(default_factory=dict)
    """Metrics of a last stage that are device-days of work which it does not do itself → that work. Reports show the
    ledger's figures for it beside them. Not part of the key."""
    promise: Promise | None = None
    """Set by a plan on a last stage: what its body must return. Not part of the key."""

    def __post_init__(self) -> None:
        wrong = next(_stage_problems(self), None)
        if wrong is not None:
            raise StageError(f"stage {self.name}: {wrong}")

    @cached_property
    def keyed_config(self) -> Mapping[str, JSON]:
        """The config without `places`: the part that is in the key."""
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
        """The key without the budget: stages that differ only in their budget share checkpoints and shards."""
        return digest(
            {
                "name": self.name,
                "version": self.version,
                "config": self.keyed_config,
                "inputs": {role: stage.key for role, stage in self.inputs.items()},
                # By lineage, as with the stage's own budget: the first rows of more are the same.
                **({} if self.rows is None else {"rows": self.rows.lineage}),
            }
        )

    @cached_property
    def key(self) -> str:
        if self.budget is None:
            return self.lineage
        return digest({"lineage": self.lineage, "budget": self.budget.amount})

    @property
    def group(self) -> str:
        """The entry of the sweep's `resources` that applies."""
        return self.resources or GROUPS[self.kind]

    @cached_property
    def sources(self) -> tuple[Stage, ...]:
        """Every stage that is stored before this one is computed; of rows that are streamed, those that these need."""
        inputs = tuple(self.inputs.values())
        if self.rows is None:
            return inputs
        return (*(self.rows.sources if self.rows.streamed else [self.rows]), *inputs)

    @property
    def amount(self) -> int:
        """The budget's amount, or 1."""
        return self.budget.amount if self.budget else 1

    @property
    def unit(self) -> str:
        return self.budget.unit if self.budget else "steps"


def is_import_path(path: object) -> bool:
    """Whether it has the form "package.module:attribute", existing or not."""
    if not isinstance(path, str):
        return False
    module, _, attribute = path.partition(":")
    return attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _stage_problems(stage: Stage) -> Iterator[str]:
    """What is wrong with a stage by itself, each with its field."""
    if not isinstance(stage.name, str) or not stage.name:
        yield f"name: got {shown(stage.name)}, allowed: text that is not empty"
    if stage.kind not in (kinds := get_args(StageKind)):
        yield f"kind: got {stage.kind!r}, allowed: {', '.join(kinds)}{did_you_mean(str(stage.kind), kinds, '')}"
    if stage.resources is not None and (not isinstance(stage.resources, str) or not stage.resources):
        yield f"resources: got {shown(stage.resources)}, allowed: the name of a group of the sweep's resources, or None"
    paths: object = stage.body  # a string is a likely mistake, and iterating it would give letters
    if not isinstance(paths, tuple) or not paths or not all(map(is_import_path, paths)):
        yield f'body: got {shown(paths)}, expected import paths such as ("package.module:attribute",)'
    elif stage.kind != "map" and len(paths) > 1:
        yield f"body: got {len(paths)} ({', '.join(paths)}), allowed for a {stage.kind} stage: one"
    for field_name in ("check", "group_check"):
        if (path := getattr(stage, field_name)) is not None and not is_import_path(path):
            yield f'{field_name}: got {shown(path)}, expected an import path such as "package.module:attribute"'
    for field_name in ("config", "execution", "conditions"):
        if not isinstance(value := getattr(stage, field_name), dict):
            yield f"{field_name}: got {shown(value)}, allowed: a dict"
        yield from _not_json(value, field_name)
    inputs: Mapping[str, object] = stage.inputs
    for role, source in inputs.items():
        if not isinstance(source, Stage):
            yield f"inputs.{role}: got {shown(source)}, allowed: a Stage"
        elif source.streamed:
            yield f"inputs.{role}: got {source.name}, whose rows are streamed and not stored; expected it as `rows`"
    if stage.streamed and stage.kind != "map":
        yield f"streamed: got True, allowed for a {stage.kind} stage: False"
    yield from _budget_problems(stage)
    if stage.rows is not None:
        yield from _rows_problems(stage, stage.rows)


def _rows_problems(stage: Stage, rows: object) -> Iterator[str]:
    if stage.kind != "map":
        yield f"rows: got {shown(rows)}, allowed for a {stage.kind} stage: None"
    elif not isinstance(rows, Stage):
        yield f"rows: got {shown(rows)}, allowed: a map Stage, or None"
    elif rows.kind != "map" or rows.rows is not None or rows.stored_prefix:
        yield f"rows: got {rows.name}, expected a map stage that is given ids and stores all its columns or none"
    elif rows.amount != stage.amount:
        yield f"rows: got {rows.name} of {rows.amount:,} {rows.unit}, expected as many as its own {stage.amount:,}"


def _budget_problems(stage: Stage) -> Iterator[str]:
    budget: object = stage.budget
    if budget is None:
        if stage.kind == "map":
            yield "budget: got None, expected for a map stage: a Budget with its number of ids"
        return
    if not isinstance(budget, Budget):
        yield f"budget: got {shown(budget)}, allowed: a Budget, or None"
        return
    if not isinstance(budget.unit, str) or not budget.unit.strip():
        yield f'budget.unit: got {shown(budget.unit)}, allowed: the plural of what is counted, such as "iterations"'
    if not isinstance(budget.path, str) or not all(budget.path.split(".")):
        yield f'budget.path: got {shown(budget.path)}, allowed: a dotted path of the config, such as "train.iterations"'
    if not _is_count(budget.amount):
        yield f"budget.amount: got {shown(budget.amount)}, allowed: a whole number of {budget.unit}, 1 or more"
    if stage.kind == "map":
        if stage.batch_size != "auto" and not _is_count(stage.batch_size):
            yield f'batch_size: got {shown(stage.batch_size)}, allowed: a whole number of ids, 1 or more, or "auto"'
        if not _is_count(stage.shard_size):
            yield f"shard_size: got {shown(stage.shard_size)}, allowed: a whole number of ids, 1 or more"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _not_json(value: object, path: str) -> Iterator[str]:
    """Values that are not JSON, each with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                yield f"{path}: got the key {shown(name)}, allowed: keys that are text"
            else:
                yield from _not_json(inner, f"{path}.{name}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _not_json(inner, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: got {value}, allowed: a finite number"
    elif not isinstance(value, (str, int, float, type(None))):
        yield f"{path}: got {shown(value)}, expected plain JSON: null, true, false, numbers, text, lists, mappings"


def topological(leaves: Sequence[Stage]) -> list[Stage]:
    """Every stage that the leaves need, each once, inputs before their readers."""
    order: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in order:
            for source in stage.sources:
                visit(source)
            order[stage.key] = stage

    for leaf in leaves:
        visit(leaf)
    return list(order.values())
