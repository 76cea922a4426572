"""A stage: what to compute, from what, and the key that names the answer."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from assay.errors import StageError, did_you_mean
from assay.text import shorten

if TYPE_CHECKING:
    import numpy as np

JSON = Any
StageKind = Literal["train", "map", "reduce"]
ResourceGroup = Literal["train", "sample", "reduce"]
Batch = dict[str, "np.ndarray[Any, Any]"]
KEY_LENGTH = 32


def canonical_json(value: JSON) -> str:
    """One spelling for one value: what keys and checksums are made of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: JSON) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:KEY_LENGTH]


def shown(value: object) -> str:
    """A value in a message: its type, and as much of it as fits a line."""
    if value is None:
        return "None"
    text = " ".join(repr(value).split())
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and not isinstance(value, (int, float)):
        return f"a {type(value).__module__.partition('.')[0]} {type(value).__name__} of shape {tuple(shape)}"
    return f"{shorten(text)} ({type(value).__name__})"


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
    """Work that a stage prices and does not do: `items` through some network, in stages like those in the ledger."""

    name: str
    """What a reader calls it: a preset, a part."""
    stage: str
    """The name of the stages that do such work."""
    items: int
    flops_per_item: float


@dataclass(frozen=True)
class Promise:
    """What a workload says that a trial reports, and the sweep ranks by."""

    workload: str
    metric: str


@dataclass(frozen=True, eq=False)
class Stage:
    """One node of the graph: what to compute, from what, and how to name the answer.

    Raises StageError, a UserError that names the stage and the field, for what no stage can be.
    """

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
    resources: ResourceGroup = "reduce"
    """Which entry of the sweep's `resources` applies."""
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
    imports: tuple[str, ...] = ()
    """Import paths "module:attribute" of what the body finds by a name in its config, as a sampler: planning refuses
    those that lead nowhere. Not part of the key."""
    execution: Mapping[str, JSON] = field(default_factory=dict)
    """How the body goes about it, which does not change what comes out (micro-batches, an engine): not part of the key,
    so a training that ran out of memory goes on with another one."""
    flops: float | None = None
    """Theoretical floating-point operations of the whole stage, for cost estimates; None when unknown."""
    items: int | None = None
    """How many items, such as images, the whole stage goes over, for items per second; None: its budget, where that
    counts images or samples."""
    batch_size: int | Literal["auto"] = 64
    """Map stages: how many ids one call gets at most; auto: found by trial on the device. Halved where memory runs out.
    Not part of the key: results do not depend on it."""
    shard_size: int = 1024
    """Map stages: how many ids one committed shard holds. Not part of the key either."""
    stored_prefix: Mapping[str, int] = field(default_factory=dict)
    """Map stages: columns that are stored for so many of the first ids, and for no others: large ones that few read.
    Stages read them with `rows(0, n)`."""
    conditions: Mapping[str, JSON] = field(default_factory=dict)
    """What its metrics are measured under, as far as a plan can tell (the number of samples, the extractor): trials are
    not raced against each other where these differ. What is not part of the key elsewhere is not by this."""
    optional_inputs: Mapping[str, Stage] = field(default_factory=dict)
    """Stages that are computed first because they save this one work: rows that were made already. What comes out is
    the same without them, so they are not part of the key, and `ctx.inputs` has only those that are there."""
    prices: Mapping[str, tuple[Work, ...]] = field(default_factory=dict)
    """Metrics of a last stage that are V100-days of work which it does not do → that work. Reports put beside them what
    the ledger has of such work. Not part of the key."""
    promise: Promise | None = None
    """A last stage, in a plan: what its body must return. Not part of the key."""

    def __post_init__(self) -> None:
        wrong = next(_stage_problems(self), None)
        if wrong is not None:
            raise StageError(f"stage {self.name}: {wrong}")

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
        return (*self.inputs.values(), *self.optional_inputs.values())

    @property
    def amount(self) -> int:
        """Items to do: the budget's, or 1."""
        return self.budget.amount if self.budget else 1

    @property
    def unit(self) -> str:
        return self.budget.unit if self.budget else "steps"


def is_import_path(path: object) -> bool:
    """Whether it has the form "package.module:attribute"; what it names is not looked for."""
    if not isinstance(path, str):
        return False
    module, _, attribute = path.partition(":")
    return attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _stage_problems(stage: Stage) -> Iterator[str]:
    """What is wrong with a stage by itself, each with the field it is about."""
    if not isinstance(stage.name, str) or not stage.name:
        yield f"name: got {shown(stage.name)}, allowed: text that is not empty"
    for field_name, choices in (("kind", get_args(StageKind)), ("resources", get_args(ResourceGroup))):
        if (value := getattr(stage, field_name)) not in choices:
            hint = did_you_mean(str(value), choices)
            yield f"{field_name}: got {value!r}, allowed: {', '.join(choices)}{hint if hint.endswith('?') else ''}"
    paths: object = stage.body  # a string is a likely slip, and would be taken letter by letter
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
    for field_name in ("inputs", "optional_inputs"):
        for role, source in getattr(stage, field_name).items():
            if not isinstance(source, Stage):
                yield f"{field_name}.{role}: got {shown(source)}, allowed: a Stage"
    yield from _budget_problems(stage)


def _budget_problems(stage: Stage) -> Iterator[str]:
    budget: object = stage.budget
    if budget is None:
        if stage.kind == "map":
            yield "budget: got None, expected for a map stage: a Budget, which says how many ids there are"
        return
    if not isinstance(budget, Budget):
        yield f"budget: got {shown(budget)}, allowed: a Budget, or None"
        return
    if not isinstance(budget.unit, str) or not budget.unit.strip():
        yield f'budget.unit: got {shown(budget.unit)}, allowed: the plural of what is counted, as "iterations"'
    if not isinstance(budget.path, str) or not all(budget.path.split(".")):
        yield f'budget.path: got {shown(budget.path)}, allowed: a dotted path of the config, as "train.iterations"'
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
    """Values that are no JSON, each at its path."""
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
