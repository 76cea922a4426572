"""The keys of a sweep file, typed and frozen. `assay.sweep.checks` checks them against the workload."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializeAsAny,
    ValidationInfo,
    create_model,
    field_validator,
)

from assay.errors import SpecProblem, UserError
from assay.look import a_look
from assay.shown import Shown
from assay.sweep.arms import Base, combine
from assay.sweep.design import Design
from assay.sweep.expansion import Trial, expand
from assay.sweep.fields import (
    Count,
    Hours,
    Name,
    Number,
    Positive,
    PositiveNumber,
    ProfileName,
    SafeName,
    Section,
    Seeds,
    Text,
)
from assay.sweep.lines import Document, Path
from assay.sweep.notify import Notify
from assay.sweep.objectives import Mode, Modes, Objective
from assay.sweep.plots import Plot
from assay.sweep.resources import Resources
from assay.sweep.search import Settings, Space
from assay.sweep.search.parameter import Parameter
from assay.sweep.search.schedulers import Scheduler
from assay.sweep.search.searchers import Searcher
from assay.workload import JSON, Workload, load_workload

FindWorkload = Callable[[str], Workload]
SHORTEST_QUOTED = 4
"""Shorter values are not looked for in messages."""


class Limits(Section):
    """Reaching one pauses the sweep."""

    device_days: PositiveNumber | None = None
    """In the workload's unit, which is its key in a file: a100_days, if costs are in A100-days."""
    usd: PositiveNumber | None = None
    """Dollars over all runs of the study, by the prices in the home's settings."""
    hours: Hours | None = None
    """Hours that one run may take, by the clock."""
    trials: Positive | None = None
    """Only this many trials run; the others wait until you raise the limit."""
    concurrent_trials: Positive | None = None
    """None: as many as the cluster holds."""
    retries: Count = 3
    """How often a stage that fails is tried again without getting further."""

    @classmethod
    @cache
    def reader(cls, field: str) -> type[Limits]:
        """The class that reads the section with this key for device-days."""
        days: Any = (cls.model_fields["device_days"].annotation, Field(default=None, alias=field))
        return create_model(cls.__name__, __base__=cls, device_days=days)


class ReferenceRow(BaseModel):
    """Published numbers for configs that match `when`; every other key than these is a metric."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Number] = Field(init=False)

    when: Mapping[str, JSON] = {}
    """Config path → value; {} for every trial."""
    note: Text = ""
    """What to know about these numbers, such as a misprint. Reports mark them and show it."""

    @property
    def metrics(self) -> Mapping[str, float]:
        return dict(self.__pydantic_extra__)


class Reference(Section):
    source: Text = ""
    """Where the numbers are from, as shown in reports."""
    measured_with: Mapping[str, JSON] = {}
    """Config path → the value that all of these numbers were measured with. Reports name the trials with another."""
    rows: tuple[ReferenceRow, ...] = ()
    """Published numbers, shown beside the trials whose configs they are for."""


class Report(Section):
    plots: tuple[Plot, ...] = ()
    """Pictures for the report, besides curves and samples."""


class Sweep(Section, Shown):
    """One study, with its profile and --set applied."""

    version: Annotated[int, Field(strict=True, ge=1, le=1)]
    """The version of the file format."""
    name: SafeName
    """Names the report's folder, and the study in MLflow."""
    description: Text = ""
    """What the study asks, in a sentence."""
    workload: Name
    """What is studied: the name of an installed workload."""
    base: Name
    """The preset that every trial starts from; `assay show preset NAME` prints one."""
    config: Mapping[str, JSON] = {}
    """Overrides of the base in every trial: config path → value."""
    parameters: Mapping[Name, Parameter] = {}
    """Config path → the values to try. Every arm runs with each combination that the searcher chooses."""
    arms: Mapping[Name, Mapping[str, JSON]] = {}
    """Label → overrides that make an arm, by config path; {} is the base itself. An arm may also start from a base and
    a workload of its own."""
    arms_mode: Literal["each", "cumulative", "grid"] = "each"
    """Arms one at a time; each on top of those before it; or every subset of them."""
    searcher: SerializeAsAny[Searcher] = Searcher()
    """Which values of the parameters to try."""
    scheduler: SerializeAsAny[Scheduler] = Scheduler()
    """Which trials go further, if they climb a budget in rungs."""
    metric: Name | Modes
    """What trials are ranked by. Or several objectives with their directions, as in {loss: min, accuracy: max}, also
    costs (seconds, device-days, train.seconds). The first is a metric, which ranks and races trials."""
    mode: Annotated[Mode | None, Field(validate_default=True)] = None
    """Which values of one metric are better; left out with several objectives, which have directions of their own."""
    seeds: Seeds = (0,)
    """Replicates: each trial runs with each seed, and arms are compared by their means."""
    resources: SerializeAsAny[Resources] = Resources()
    """What a stage runs on: one group per kind of stage, and groups that stages name."""
    limits: Limits = Limits()
    """When to pause. Rerun the same command to resume."""
    reference: Reference = Reference()
    """Published numbers to compare with."""
    report: Report = Report()
    """What the report draws."""
    notify: Notify | None = None
    """Who gets alerts when a run ends or has trouble; [] for nobody. Default: those in the home's settings.yaml."""
    profiles: Mapping[ProfileName, Mapping[str, Any]] = {}
    """Name → keys of this file that `--profile NAME` replaces; `config` is merged path by path."""

    _workload: Workload | None = PrivateAttr(None)
    _others: Mapping[str, Workload] = PrivateAttr({})
    """Workloads that arms name, by name."""
    _file: str = PrivateAttr("")
    _profile: str | None = PrivateAttr(None)
    _sets: tuple[str, ...] = PrivateAttr(())
    _document: Document | None = PrivateAttr(None)

    @classmethod
    def for_data(cls, data: Mapping[str, JSON], find_workload: FindWorkload = load_workload) -> type[Sweep]:
        """The class that reads this data: a Sweep with one metric and its mode, or several objectives, with the options
        of its searcher and scheduler, its resource groups, and its workload's key for device-days."""
        sections: tuple[tuple[str, Any], ...] = (
            ("searcher", Searcher),
            ("scheduler", Scheduler),
            ("resources", Resources),
        )
        readers = {name: section.reader(data.get(name)) for name, section in sections}
        own: dict[str, Any] = {name: (readers[name], ...) for name, section in sections if readers[name] is not section}
        if isinstance(data.get("metric"), Mapping):
            own["metric"] = (Modes, ...)  # without the alternative, each mistake is at its own line
        else:
            own["mode"] = (Mode, ...)
        limits = data.get("limits")
        if isinstance(limits, dict) and (field := _days_field(data, limits, find_workload)) != "device_days":
            own["limits"] = (Limits.reader(field), ...)
        return create_model(cls.__name__, __base__=cls, **own)

    @field_validator("mode")
    @classmethod
    def _is_for_one_metric(cls, mode: Mode | None, info: ValidationInfo) -> Mode | None:
        metric = info.data.get("metric")
        if isinstance(metric, Mapping) and mode is not None:
            raise ValueError(f"got {mode!r}, but metric gives each objective a direction; leave mode out")
        if isinstance(metric, str) and mode is None:
            raise ValueError("required, but missing; allowed: min, max")
        return mode

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What its trials are compared by: one metric, or several metrics and costs."""
        if isinstance(self.metric, str):
            assert self.mode is not None
            return (Objective(self.metric, self.mode),)
        return tuple(Objective(name, mode) for name, mode in self.metric.items())

    @property
    def objective(self) -> Objective:
        """The first, a metric, which ranks and races its trials."""
        return self.objectives[0]

    @property
    def file(self) -> str:
        """The path of its file; empty for a sweep built in Python."""
        return self._file

    @property
    def profile(self) -> str | None:
        return self._profile

    @property
    def sets(self) -> tuple[str, ...]:
        return self._sets

    def find_workload(self, name: str | None = None) -> Workload:
        """Its own workload, or the one that an arm names."""
        if name not in (None, self.workload):
            return self._others[name] if name in self._others else load_workload(name)
        return self._workload if self._workload is not None else load_workload(self.workload)

    @property
    def workloads(self) -> list[str]:
        """The names of all workloads that a run needs, its own first."""
        return list(dict.fromkeys([self.workload, *(arm.get("workload", self.workload) for arm in self.arms.values())]))

    @property
    def subject(self) -> str:
        """Its workloads and bases: "adm digits", or "adm digits, biggan digits" if arms have several."""
        named = [(arm.get("workload", self.workload), arm.get("base", self.base)) for arm in self.arms.values()]
        return ", ".join(dict.fromkeys(f"{of} {preset}" for of, preset in named or [(self.workload, self.base)]))

    @property
    def design(self) -> Design:
        """Its arms, parameters and seeds, before configs are resolved."""
        base, arms = combine(self.arms, self.arms_mode, self.config, self._find_base)
        return Design(base, arms, self.parameters, self.seeds, self.searcher)

    def _find_base(self, workload: str | None, preset: str | None) -> Base:
        return Base(self.find_workload(workload), preset or self.base)

    def space(self) -> Space:
        return self.design.space

    def settings(self) -> list[Settings]:
        """The settings of each arm without parameters, to evaluate conditions."""
        return self.design.settings

    def num_trials(self) -> int:
        """The number of trials, without resolving them; an upper bound for draws, which may coincide."""
        return self.design.count()

    @a_look()
    def trials(self, suggested: Sequence[Mapping[str, JSON]] = (), most: int | None = None) -> list[Trial]:
        """Every trial, or the first `most`. In a grid: arms in the order of the file, then parameters, then seeds.

        With searchers that draw: draws, then arms, then seeds; a draw that gives an earlier draw's config is left out.
        With optuna, draws are the `suggested` points.
        """
        return expand(self.design, suggested, most)

    def problem(self, path: Path, message: str) -> SpecProblem:
        """A problem at the line where the value at a path was written."""
        document = self._document or Document(self._file, None, {})
        return document.problem(path, message)

    def place_of(self, message: str, trial: Trial) -> str:
        """The place of the setting of a trial that a message names, or else quotes, as "file:line: path: "; empty if
        there is none, and for a sweep built in Python."""
        if self._document is None:
            return ""
        arm = next(arm for arm in self.design.arms if arm.label == trial.arm)
        # The last wins: an arm's own settings over parameters and config, settings that are named over quoted ones.
        places: dict[str, Path] = {path: ("config", path) for path in self.config}
        places |= {path: ("parameters", path) for path in self.parameters if path in trial.overrides}
        places |= {path: ("arms", member, path) for path, member in arm.origins.items()}
        texts = {path: v for path, v in {**self.config, **trial.overrides}.items() if isinstance(v, str)}
        quoted = [path for path in places if len(text := texts.get(path, "")) >= SHORTEST_QUOTED and text in message]
        named = [path for path in places if re.search(rf"(?<![\w.]){re.escape(path)}(?!\w)", message)]
        about = [*quoted, *named]
        return str(self._document.problem(places[about[-1]], "")) if about else ""


def _days_field(data: Mapping[str, JSON], limits: Mapping[str, JSON], find_workload: FindWorkload) -> str:
    """The workload's key for device-days; if there is no such workload, the key in the file."""
    try:
        return find_workload(str(data.get("workload"))).report.days.field
    except UserError:  # reported at the line of its name
        return next((name for name in limits if name.endswith("_days")), "device_days")
