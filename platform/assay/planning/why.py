"""Why a stage is to be computed: what differs from the stored result that is most like it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from assay.store import StoredResult
from assay.sweep.expansion import in_words
from assay.workload import JSON, Stage, section_of


@dataclass(frozen=True)
class Difference:
    """One thing in a stage's key that is not as in a stored result."""

    what: str
    """version, a config path, "input ROLE", rows, or the path of the budget."""
    planned: str
    stored: str
    source: Stage | None = None
    """The stage that is read, if that is what differs."""


@dataclass(frozen=True)
class Reason:
    """Why one stage has no result."""

    stage: Stage
    nearest: StoredResult | None
    """The stored result of a stage of this name that differs in the fewest things; None if there is none."""
    differences: tuple[Difference, ...]

    @property
    def is_by_inputs(self) -> bool:
        """Whether it differs only in what it reads: the reason is there."""
        return bool(self.differences) and all(each.source is not None for each in self.differences)


def reason_of(stage: Stage, results: Iterable[StoredResult]) -> Reason:
    """Compare a stage with the stored results of stages of its name."""
    compared = [(tuple(_differences(stage, result)), result) for result in results if result.stage == stage.name]
    if not compared:
        return Reason(stage, None, ())
    fewest = min(len(differences) for differences, _ in compared)
    alike = [each for each in compared if len(each[0]) == fewest]
    differences, nearest = max(alike, key=lambda each: each[1].created)
    return Reason(stage, nearest, differences)


def _differences(stage: Stage, result: StoredResult) -> Iterator[Difference]:
    if result.version is not None and result.version != stage.version:
        yield Difference("version", str(stage.version), str(result.version))
    planned, stored = dict(_values(stage.keyed_config)), dict(_values(_asked_config(stage, result)))
    for path in {**planned, **stored}:
        if planned.get(path) != stored.get(path):
            yield Difference(path, _in_words(planned, path), _in_words(stored, path))
    read = {role: source.key for role, source in stage.inputs.items()}
    for role in {**read, **result.inputs}:
        if read.get(role) != result.inputs.get(role):
            yield Difference(
                f"input {role}", read.get(role, "none"), result.inputs.get(role, "none"), stage.inputs.get(role)
            )
    rows = None if stage.rows is None else stage.rows.key
    stored_rows = None if result.rows_read is None else result.rows_read.key
    if rows != stored_rows:
        yield Difference("rows", rows or "none", stored_rows or "none", stage.rows)
    if stage.budget is not None and result.budget.amount != stage.amount:
        yield Difference(stage.budget.path, f"{stage.amount:,} {stage.unit}", f"{result.budget.amount:,} {stage.unit}")


def _asked_config(stage: Stage, result: StoredResult) -> Mapping[str, JSON]:
    """The stored config as it was asked for, without the paths that are in no key."""
    config = deepcopy(dict(result.config))
    for path, value in result.asked.items():
        if (section := section_of(config, path)) is not None:
            section[path.rpartition(".")[2]] = value
    for path in stage.places:
        if (section := section_of(config, path)) is not None:
            del section[path.rpartition(".")[2]]
    return config


def _values(config: Mapping[str, JSON], above: str = "") -> Iterator[tuple[str, JSON]]:
    """(dotted path, value) of every value that is no section."""
    for name, value in config.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from _values(value, f"{path}.")
        else:
            yield path, value


def _in_words(values: Mapping[str, JSON], path: str) -> str:
    return in_words(values[path]) if path in values else "not there"


def reasons(stages: Sequence[Stage], results: Iterable[StoredResult]) -> list[Reason]:
    """The reasons of several stages, in their order."""
    by_name: dict[str, list[StoredResult]] = {}
    for result in results:
        by_name.setdefault(result.stage, []).append(result)
    return [reason_of(stage, by_name.get(stage.name, ())) for stage in stages]
