"""The well-formed parts of a document, to check further, so that one mistake does not hide the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from assay.sweep.arms import FindBase, combine
from assay.sweep.design import Design
from assay.sweep.fields import Section
from assay.sweep.plots import Plot
from assay.sweep.search import Floats
from assay.sweep.search.parameter import Parameter
from assay.sweep.search.schedulers import Scheduler
from assay.sweep.search.searchers import Searcher
from assay.workload import JSON, canonical_json

S = TypeVar("S", bound=Section)


@dataclass
class Draft:
    """The sections that define trials, without malformed parts."""

    config: dict[str, JSON]
    arms: dict[str, dict[str, JSON]]
    arms_mode: str
    parameters: dict[str, Parameter]
    seeds: list[int]
    searcher: Searcher | None
    scheduler: Scheduler | None
    plots: dict[int, Plot]
    """By their index in the report."""
    is_whole: bool
    """No parameter, arm or searcher was left out."""

    @classmethod
    def of(cls, data: Mapping[str, JSON]) -> Draft:
        seeds = data.get("seeds", [0])
        good = [seed for seed in seeds if type(seed) is int and seed >= 0] if isinstance(seeds, list) else []
        written, arms, mode = mapping_at(data, "parameters"), mapping_at(data, "arms"), data.get("arms_mode", "each")
        kept = {path: _parameter(value) for path, value in written.items()}
        parameters = {path: parameter for path, parameter in kept.items() if parameter is not None}
        deltas = {name: delta for name, delta in arms.items() if isinstance(delta, dict)}
        search, schedule = data.get("searcher", {}), data.get("scheduler", {})
        searcher = _read(Searcher.reader(search), search)
        drawn = mapping_at(data, "report").get("plots")
        plots = {i: _read(Plot, plot) for i, plot in enumerate(drawn if isinstance(drawn, list) else [])}
        return cls(
            config=mapping_at(data, "config"),
            arms=deltas,
            arms_mode=mode if mode in ("cumulative", "grid") else "each",
            parameters=parameters,
            seeds=list(dict.fromkeys(good)) or [0],
            searcher=searcher,
            scheduler=_read(Scheduler.reader(schedule), schedule),
            plots={i: plot for i, plot in plots.items() if plot is not None},
            is_whole=searcher is not None and len(parameters) == len(written) and len(deltas) == len(arms),
        )

    def design(self, find_base: FindBase) -> Design:
        """The design, with every value of a parameter once. If its trials cannot be listed, a searcher without draws
        stands in, so that only the corners are checked."""
        once = {path: _distinct(parameter) for path, parameter in self.parameters.items()}
        searcher = self.searcher
        if searcher is None or (searcher.facts.is_exhaustive and any(map(lacks_num, self.parameters.values()))):
            searcher = Searcher(name="optuna", num_trials=1)
        base, arms = combine(self.arms, self.arms_mode, self.config, find_base)
        return Design(base, arms, once, self.seeds, searcher)


def lacks_num(parameter: Parameter) -> bool:
    """Whether a grid over it is impossible."""
    return isinstance(parameter.axis, Floats) and parameter.num is None


def mapping_at(data: Mapping[str, JSON], key: str) -> dict[str, JSON]:
    value = data.get(key)
    return dict(value) if isinstance(value, dict) else {}


def _read(section: type[S], value: JSON) -> S | None:
    try:
        return section.model_validate(value)
    except ValidationError:
        return None


def _parameter(value: JSON) -> Parameter | None:
    """The parameter; if it is invalid, its `values` alone."""
    parameter = _read(Parameter, value)
    values = value.get("values") if isinstance(value, dict) else None
    if parameter is None and isinstance(values, list) and values and not value.get("when"):
        return Parameter(values=tuple(values))
    return parameter


def _distinct(parameter: Parameter) -> Parameter:
    if parameter.values is None:
        return parameter
    return parameter.model_copy(update={"values": tuple({canonical_json(v): v for v in parameter.values}.values())})
