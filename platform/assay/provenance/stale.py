"""Stages whose stored results, checkpoints or shards were computed by other code under the same version."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from assay.provenance.origin import python_version
from assay.provenance.source import code_of, module_hashes, packages_of
from assay.store import Store
from assay.store.schema import OriginRecord
from assay.workload import Stage


@dataclass(frozen=True)
class Stale:
    """A stage whose code or inputs changed since what is stored of it was computed."""

    stage: Stage
    modules: tuple[str, ...] = ()
    """The modules that are new or differ."""
    inputs: tuple[str, ...] = ()
    """Names of the stages that it read, and that were computed again since."""


def stale_stages(origins: Iterable[tuple[Stage, Collection[str]]], store: Store) -> list[Stale]:
    """The stale ones among stages that come with the origins of what is stored of them. What older versions stored has
    no origin, and what another Python made cannot be compared: neither is reported."""
    made = [(stage, [record for o in known if (record := store.origin(o)) is not None]) for stage, known in origins]
    packages = packages_of(stage for stage, records in made if records)
    hashes: dict[tuple[str, ...], dict[str, str]] = {}
    stale = []
    for stage, records in made:
        if not records:
            continue
        code = code_of(stage)
        if code not in hashes:
            hashes[code] = module_hashes(code, packages)
        if modules := sorted({name for record in records for name in _differing(hashes[code], record)}):
            stale.append(Stale(stage, tuple(modules)))
    return stale


def _differing(now: Mapping[str, str], then: OriginRecord) -> list[str]:
    """The modules that differ. A package that was not looked at then, as part of no stage, does not count."""
    if then.python != python_version():
        return []
    packages = {name.partition(".")[0] for name in then.modules}
    return [name for name, code in now.items() if name.partition(".")[0] in packages and then.modules.get(name) != code]
