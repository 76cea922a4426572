"""Resource groups of stages by name: one per kind of stage, and those that a sweep adds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, create_model

from assay.errors import UserError, did_you_mean
from assay.sweep.fields import Bounds, Cpus, GpuName, Gpus, GpuShare, Positive, Section
from assay.workload import Stage, StageKind

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
R = TypeVar("R", bound="Resources")


class TrainResources(Section):
    kind: ClassVar[StageKind] = "train"
    workers: Positive | Bounds = 1
    """A number, or [min, max]: as many as the cluster can hold when the group starts or restarts."""
    cpus_per_worker: Cpus = 1
    """A worker computes with as many threads."""
    gpus_per_worker: Gpus = 0
    """Usually 1. A fraction shares a GPU among workers."""
    gpu: GpuName | None = None
    """The GPU model, such as A100-40GB: `plan` checks whether stages fit its memory. It does not select machines.
    Default: the device in whose days costs are counted, with any size of memory."""

    @property
    def units(self) -> tuple[int, int]:
        """The least and the largest number of workers."""
        return (self.workers, self.workers) if isinstance(self.workers, int) else self.workers

    @property
    def of_each(self) -> tuple[float, float]:
        """CPUs and GPUs per worker."""
        return self.cpus_per_worker, self.gpus_per_worker


class SampleResources(Section):
    kind: ClassVar[StageKind] = "map"
    actors: Bounds = (1, 1)
    """[min, max] of the fan-out."""
    cpus_per_actor: Cpus = 1
    """An actor computes with as many threads."""
    gpus_per_actor: GpuShare = 0
    """An actor computes on one GPU, or on a share of one."""
    gpu: GpuName | None = None
    """The kind of its GPUs, for plans, as in `train`."""

    @property
    def units(self) -> tuple[int, int]:
        return self.actors

    @property
    def of_each(self) -> tuple[float, float]:
        return self.cpus_per_actor, self.gpus_per_actor


class ReduceResources(Section):
    kind: ClassVar[StageKind] = "reduce"
    cpus: Cpus = 1
    """A reduction computes with as many threads."""
    gpus: Gpus = 0
    """For reductions that compute on one."""
    gpu: GpuName | None = None
    """The kind of its GPUs, for plans, as in `train`."""

    @property
    def units(self) -> tuple[int, int]:
        return 1, 1

    @property
    def of_each(self) -> tuple[float, float]:
        return self.cpus, self.gpus


Group = TrainResources | SampleResources | ReduceResources
KINDS: tuple[type[Group], ...] = (TrainResources, SampleResources, ReduceResources)


class Resources(Section):
    """The groups by name. A stage's default group is that of its kind: `train`, `sample` (map stages) or `reduce`."""

    model_config = ConfigDict(protected_namespaces=())

    train: TrainResources = TrainResources()
    """For trainings: groups of workers."""
    sample: SampleResources = SampleResources()
    """For map stages: actors, among which items are divided."""
    reduce: ReduceResources = ReduceResources()
    """For all other stages: one process each."""

    @classmethod
    def reader(cls: type[R], data: object) -> type[R]:
        """The class that reads this section, with a field per added group; a group's keys determine its kind."""
        written = data if isinstance(data, Mapping) else {}
        names = [n for n in written if isinstance(n, str) and NAME.fullmatch(n) and not hasattr(cls, n)]
        added: dict[str, Any] = {name: (_kind_of(written[name]), ...) for name in names if name not in cls.model_fields}
        return create_model(cls.__name__, __base__=cls, **added) if added else cls

    def group_of(self, stage: Stage) -> Group:
        """The group of a stage. Raises UserError if it is not defined, or is for another kind of stage."""
        names = type(self).model_fields
        wanted = next(kind for kind in KINDS if kind.kind == stage.kind)
        fields = ", ".join(wanted.model_fields)
        if stage.group not in names:
            raise UserError(
                f"stage {stage.name} names this group, which the sweep does not define; it has: "
                f"{', '.join(sorted(names))}. Define it: for a {stage.kind} stage it takes {fields}"
            )
        group: Group = getattr(self, stage.group)
        if group.kind != stage.kind:
            raise UserError(
                f"got a group of {', '.join(type(group).model_fields)}, but stage {stage.name}, which names it, is a "
                f"{stage.kind} stage; allowed: {fields}"
            )
        return group

    def unused(self, stages: Iterable[Stage]) -> dict[str, str]:
        """Added groups that none of these stages names → the error message."""
        named = {stage.group for stage in stages}
        added = type(self).model_fields.keys() - Resources.model_fields.keys()
        message = f"no stage names this group; groups that stages name: {', '.join(sorted(named))}"
        hints = {name: did_you_mean(name, [*named, *Resources.model_fields]) for name in sorted(added - named)}
        return {name: message + (hint if hint.endswith("?") else "") for name, hint in hints.items()}


def _kind_of(group: object) -> type[Group]:
    """The kind with the most keys in common."""
    keys = set(group) if isinstance(group, Mapping) else set()
    return max(KINDS, key=lambda kind: len(keys & kind.model_fields.keys()))
