"""`assay plan --on`: what a run would be like on machines that do not exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.cli.output import console
from assay.costs.availability import StageStatus
from assay.costs.devices import find_device
from assay.costs.machines import Fleet, parse_fleet
from assay.costs.rates import Rates
from assay.errors import AssayError, UserError
from assay.execution.simulation import HOUR_S, Simulation, Span, simulate, work_of
from assay.planning import Plan
from assay.report.tables.grids import Grid
from assay.report.tables.listing import Column, Listing
from assay.text import counted, plural, took, usd

PAGE = ".html"
PICTURES = (".png", ".svg", ".pdf", PAGE)
MOST_BARS = 40
"""Lines of the chart. More stages than that are shown per name."""
BAR = 48
"""Characters of the whole time."""


@dataclass(frozen=True)
class On:
    """Where a plan is simulated, as its user asked."""

    fleet: Fleet
    seed: int
    chart: Path | None = None
    """A picture to write."""


def asked(on: str | None, starts_after: str | None, losses: str | None, seed: int, chart: Path | None) -> On | None:
    """The options of `assay plan --on`. Raises UserError."""
    if on is None:
        others = {"--starts-after": starts_after, "--losses": losses, "--chart": chart}
        if given := [name for name, value in others.items() if value is not None]:
            raise UserError(f"{' and '.join(given)}: got no machines, allowed: with --on, as in --on 8xp3.16xlarge")
        return None
    if chart is not None and chart.suffix not in PICTURES:
        raise UserError(f"--chart: got {str(chart)!r}, allowed: a file whose name ends in {' or '.join(PICTURES)}")
    return On(parse_fleet(on, _seconds(starts_after), _per_hour(losses)), seed, chart)


def simulated(plan: Plan, statuses: Mapping[str, StageStatus], on: On) -> Simulation:
    unit, device = plan.hints.days, find_device(on.fleet.kind.device)
    speed = unit.worth(device) if device is not None else None
    work = {}
    for key, status in statuses.items():
        if key in plan.needed and status.state not in ("stored", "dropped"):
            has_gpus = plan.sweep.resources.group_of(status.stage).of_each[1] > 0
            work[key] = work_of(status.left.device_days, status.left.seconds, speed if has_gpus else None)
    return simulate(plan, work, on.fleet, on.seed)


def print_simulation(plan: Plan, simulation: Simulation, rates: Rates) -> None:
    out = console()
    out.print()
    out.print(Grid(_chart(simulation)))
    out.print()
    for line in lines(plan, simulation, rates):
        out.print(line, soft_wrap=True)


def write_chart(plan: Plan, simulation: Simulation, rates: Rates, file: Path) -> None:
    """Draw when each stage runs; a page also has the lines. Raises AssayError if the file cannot be written."""
    from assay.report.plots.schedule import Bar, draw_schedule, schedule_page

    bars = [Bar(bar.title, [(s.start_s, s.end_s, s.is_lost) for s in bar.spans]) for bar in _bars(simulation)]
    title = f"{plan.sweep.name} on {simulation.fleet.name}"
    try:
        if file.suffix == PAGE:
            page = schedule_page(title, bars, simulation.seconds, lines(plan, simulation, rates))
            file.write_text(page, encoding="utf-8")
        else:
            draw_schedule(title, bars, simulation.seconds, file)
    except OSError as error:
        raise AssayError(f"--chart: cannot write {file}: {error.strerror}") from error


def lines(plan: Plan, simulation: Simulation, rates: Rates) -> list[str]:
    """What it says, in a few lines."""
    fleet = simulation.fleet
    name = "GPU" if fleet.gpus else "CPU"
    devices = f"{fleet.gpus} {fleet.kind.device}" if fleet.gpus else f"{fleet.count * fleet.kind.cpus} CPUs"
    told = [f"on {fleet.name} ({devices}): {took(simulation.seconds)}"]
    if simulation.paused:
        told[0] += f", and then it pauses by {simulation.paused}"
    bound = simulation.bound_s
    if bound > 0 and not simulation.paused:
        why = "the longest chain of stages" if simulation.critical_path_s >= simulation.work_s else "the work"
        told.append(f"no order could be faster than {took(bound)} ({why}): {simulation.seconds / bound:.2f} × that")
        if simulation.critical_path_s >= simulation.work_s:
            told.append(f"the longest chain: {' → '.join(simulation.critical_path)}")
    busy, idle = simulation.busy_device_s, sum(simulation.idle_device_s.values())
    if busy + idle > 0:
        told.append(f"{name}-hours: {_hours(busy)} busy ({busy / (busy + idle):.0%}), {_hours(idle)} idle")
    for why, seconds in sorted(simulation.idle_device_s.items(), key=lambda item: -item[1]):
        if seconds > 0.01 * (busy + idle):
            told.append(f"  {_hours(seconds)} idle: {why}")
    if simulation.losses:
        lost = sum(span.is_lost for span in simulation.spans)
        told.append(f"{plural(simulation.losses, 'machine')} taken away, {plural(lost, 'stage')} cut off by it")
    if rates and fleet.gpus:
        dollars = rates.usd(fleet.kind.device, fleet.gpus, simulation.seconds)
        told.append(f"dollars: {'unknown' if dollars is None else usd(dollars)} for the machines all that time")
    if simulation.unknown:
        told.append(f"of unknown time, and counted as none: {counted(list(simulation.unknown))}")
    if plan.sweep.scheduler.facts.races:
        told.append("who wins the race is drawn at random: --seed draws another")
    return told


def as_json(simulation: Simulation, rates: Rates) -> dict[str, Any]:
    fleet = simulation.fleet
    return {
        "on": fleet.name,
        "devices": fleet.gpus or fleet.count * fleet.kind.cpus,
        "device": fleet.kind.device,
        "seconds": simulation.seconds,
        "bound_seconds": simulation.bound_s,
        "critical_path_seconds": simulation.critical_path_s,
        "critical_path": list(simulation.critical_path),
        "work_seconds": simulation.work_s,
        "busy_device_seconds": simulation.busy_device_s,
        "idle_device_seconds": dict(simulation.idle_device_s),
        "losses": simulation.losses,
        "paused": simulation.paused,
        "usd": rates.usd(fleet.kind.device, fleet.gpus, simulation.seconds) if fleet.gpus else None,
        "unknown": list(simulation.unknown),
        "spans": [
            {
                "keys": list(span.keys),
                "title": span.title,
                "start_seconds": span.start_s,
                "end_seconds": span.end_s,
                "units": span.units,
                "devices": span.devices,
                "is_lost": span.is_lost,
            }
            for span in simulation.spans
        ],
    }


@dataclass(frozen=True)
class _Bar:
    title: str
    spans: list[Span]


def _bars(simulation: Simulation) -> list[_Bar]:
    """One per stage, the first to start first; one per name if there are too many."""
    bars: dict[str, list[Span]] = {}
    for span in simulation.spans:
        bars.setdefault(span.title, []).append(span)
    if len(bars) > MOST_BARS:
        bars = {}
        for span in simulation.spans:
            bars.setdefault(span.title.partition(" (")[0], []).append(span)
    rows = [_Bar(title, spans) for title, spans in bars.items()]
    rows.sort(key=lambda bar: min(span.start_s for span in bar.spans))
    return rows


def _chart(simulation: Simulation) -> Listing[_Bar]:
    """When each stage runs."""
    columns = [
        Column[_Bar]("stage", lambda bar: bar.title, min_width=14),
        Column[_Bar]("", lambda bar: _drawn(bar.spans, simulation.seconds), folds=False, color=lambda bar: "cyan"),
        Column[_Bar]("on", lambda bar: f"{max(span.devices for span in bar.spans):g}", is_number=True),
        Column[_Bar]("takes", lambda bar: took(sum(span.end_s - span.start_s for span in bar.spans)), is_number=True),
    ]
    return Listing(None, columns, _bars(simulation))


def _drawn(spans: list[Span], seconds: float) -> str:
    cells = [" "] * BAR
    for span in spans:
        first = min(BAR - 1, int(span.start_s / max(seconds, 1e-9) * BAR))
        last = max(first + 1, round(span.end_s / max(seconds, 1e-9) * BAR))
        for place in range(first, min(last, BAR)):
            cells[place] = "░" if span.is_lost else "█"
    return "".join(cells)


def _hours(device_s: float) -> str:
    hours = device_s / HOUR_S
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _seconds(text: str | None) -> float:
    """A time such as 10m, 1h, 90s. Raises UserError."""
    units = {"s": 1.0, "m": 60.0, "h": HOUR_S}
    if text is None:
        return 0.0
    try:
        seconds = float(text[:-1]) * units[text[-1:]]
    except (ValueError, KeyError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"--starts-after: got {text!r}, allowed: a time such as 90s, 10m or 1h")
    return seconds


def _per_hour(text: str | None) -> float:
    """A rate such as 0.05/h. Raises UserError."""
    if text is None:
        return 0.0
    try:
        rate = float(text.removesuffix("/h"))
    except ValueError:
        rate = -1.0
    if not 0 <= rate < float("inf"):
        raise UserError(f"--losses: got {text!r}, allowed: how often each machine is taken away, such as 0.05/h")
    return rate
