"""Learning curves: logged values over steps, with a panel per kind of training and a line per training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from assay.planning import Plan
from assay.planning.labels import serves
from assay.report.figures import COLORS, PLOT_DPI, inches_wide, literal, new_figure, save, shortened
from assay.results import TrialOutcome
from assay.store import StoredResult
from assay.workload import Stage

CURVES = "curves.png"
MOST_IN_LEGEND = 12
LEGEND_POINTS = 9
WIDE_LABEL = 35
"""Characters: with longer labels, the legend is beside the curves."""
SMOOTHED_POINTS = 15
"""The effective number of points of the smoothed curve; the raw one is drawn faintly behind it."""
Line = tuple[str, list[float], list[float]]
"""(label, steps, values)"""


def draw_curves(plan: Plan, trials: Sequence[TrialOutcome], folder: Path) -> Path | None:
    """`curves.png`, or None if no training logged a curve that the workload's hints name."""
    results = {key: result for trial in trials for key, result in trial.results.items()}
    panels: dict[tuple[str, str, str], list[Line]] = {}
    for stage in furthest(plan, results):
        for curve in plan.hints.curves:
            steps, values = _points(results[stage.key], curve)
            if steps:
                panel = panels.setdefault((stage.name, stage.unit, curve), [])
                panel.append((serves(plan, stage.key), steps, values))
    if not panels:
        return None
    short = shortened(label for lines in panels.values() for label, _, _ in lines)
    named = [short[label] for lines in panels.values() if len(lines) <= MOST_IN_LEGEND for label, _, _ in lines]
    is_wide = max(map(len, named), default=0) > WIDE_LABEL
    beside = inches_wide(named, LEGEND_POINTS) + 0.7 if is_wide else 0.0
    figure = new_figure((7.0 + beside) * len(panels), 4.5, PLOT_DPI, layout="constrained")
    figure.suptitle(f"{plan.sweep.name}: learning curves", fontweight="bold", x=0.01, ha="left")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, ((name, unit, curve), lines) in zip(grid, panels.items(), strict=True):
        for number, (label, steps, values) in enumerate(lines):
            color = COLORS[number % len(COLORS)]
            axes.plot(steps, _smooth(values), label=literal(short[label]), linewidth=1.6, color=color)
            marker = "o" if len(steps) == 1 else None
            axes.plot(steps, values, color=color, alpha=0.25, linewidth=1, marker=marker)
        if all(value > 0 for _, _, values in lines for value in values):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")  # 0.1 instead of the default 10⁻¹
            axes.yaxis.set_minor_formatter(_label_some(lines))
        axes.set_title(name, loc="left")
        axes.set_xlabel(unit)
        axes.set_ylabel(literal(curve))
        axes.grid(visible=True, which="both", alpha=0.25)
        if len(lines) <= MOST_IN_LEGEND:
            axes.legend(fontsize=LEGEND_POINTS, **({"loc": "upper left", "bbox_to_anchor": (1, 1)} if is_wide else {}))
    return save(figure, folder / CURVES)


def furthest(plan: Plan, results: Mapping[str, StoredResult]) -> list[Stage]:
    """Trainings at the highest rung that they reached, whose curve includes those of the rungs below."""
    furthest: dict[str, Stage] = {}
    for key, stage in plan.stages.items():
        if stage.kind == "train" and key in results:
            known = furthest.get(stage.lineage)
            furthest[stage.lineage] = stage if known is None or stage.amount > known.amount else known
    return list(furthest.values())


def _label_some(lines: Sequence[Line]) -> Callable[[float, int | None], str]:
    """Labels between the powers of ten: all within one decade, else only 2 and 5, which never overlap."""
    every = [value for _, _, values in lines for value in values]
    is_short = max(every) < 10 * min(every)
    return lambda value, position: f"{value:g}" if is_short or f"{value:e}"[0] in "25" else ""


def _smooth(values: Sequence[float]) -> list[float]:
    """An exponential moving average over 1/SMOOTHED_POINTS of the curve, with bias correction."""
    keep = 1 - SMOOTHED_POINTS / max(len(values), SMOOTHED_POINTS + 1)
    mean, weight, smoothed = 0.0, 0.0, []
    for value in values:
        mean, weight = keep * mean + (1 - keep) * value, keep * weight + 1 - keep
        smoothed.append(mean / weight)
    return smoothed


def _points(result: StoredResult, curve: str) -> tuple[list[float], list[float]]:
    """The steps and values that the stage logged."""
    points = [(point["step"], point[curve]) for point in result.history if curve in point]
    return [step for step, _ in points], [value for _, value in points]
