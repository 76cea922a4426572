"""What share of a metric's variance each setting explains, by functional ANOVA (Hutter, Hoos and Leyton-Brown, 2014).

A forest predicts the metric from the settings. A setting's share is the variance of the forest's mean prediction for
each of its values, over the variance of all predictions, with every value of every setting weighted equally.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from assay.report.figures import COLORS, inches_wide, literal, shortened
from assay.report.plots.trials import NotDrawn, Picture, Setting

LEAST_TRIALS = 4
"""Fewer say nothing of variance."""
NUM_TREES, SEED = 64, 0
"""As Optuna's; and a seed, so that the same results give the same picture."""
DEPTH = 8
"""Optuna allows 64: a tree has at most 256 leaves, so that thousands of trials take seconds; shares differ by 0.02."""
REST = "their combinations"
"""The share that no setting explains alone."""
LEAST_REST = 0.005
REST_COLOR = "#B8BEC6"
LONGEST_NAME = 40
BAR = 0.34
"""Inches."""


def draw_importance(figure: Any, picture: Picture) -> None:
    settings = picture.settings("x")
    shares = {name: importance(settings, picture.trials.metrics[name]) for name in picture.metrics}
    short = shortened([setting.name for setting in settings], LONGEST_NAME)
    width = 5.2 + inches_wide([*short.values(), REST])
    figure.set_size_inches(width, len(shares) * (1.3 + BAR * (len(settings) + 1)) + 0.3)
    for axes, (name, share) in zip(figure.subplots(len(shares), squeeze=False).flatten(), shares.items(), strict=True):
        _draw(axes, name, {short[setting]: part for setting, part in share.items()})


def _draw(axes: Any, name: str, shares: dict[str, float]) -> None:
    rest = max(0.0, 1 - sum(shares.values()))
    bars = {**shares, **({REST: rest} if rest > LEAST_REST else {})}
    colors = [*[COLORS[0]] * len(shares), REST_COLOR][: len(bars)]
    drawn = axes.barh(range(len(bars)), [100 * share for share in bars.values()], color=colors, height=0.7)
    axes.bar_label(drawn, [f"{share:.0%}" if share >= 0.01 else "< 1%" for share in bars.values()], padding=4)
    axes.set_yticks(range(len(bars)), [literal(label) for label in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)  # the first is on top
    axes.set_xlim(0, 108)
    axes.set_xlabel(literal(f"share of the variance of {name}, % (fANOVA)"))
    axes.grid(visible=True, axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def importance(settings: Sequence[Setting], values: Sequence[float]) -> dict[str, float]:
    """Setting → the share that it explains, the largest first. `values`: the metric per trial. Raises NotDrawn."""
    if len(values) < LEAST_TRIALS:
        raise NotDrawn(f"it needs at least {LEAST_TRIALS} trials that are ranked together, and there are {len(values)}")
    if min(values) == max(values):
        raise NotDrawn("the metric is the same in all trials")
    import optuna

    from assay.sweep.search.tpe import quiet  # lazy, as it imports Optuna

    columns = {setting.name: _column(setting) for setting in settings}
    distributions = {name: optuna.distributions.FloatDistribution(*bounds) for name, (_, bounds) in columns.items()}
    with quiet():
        study = optuna.create_study()
        for number, value in enumerate(values):
            params = {name: places[number] for name, (places, _) in columns.items()}
            study.add_trial(optuna.create_trial(value=value, params=params, distributions=distributions))
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=NUM_TREES, max_depth=DEPTH, seed=SEED)
        return {name: float(share) for name, share in evaluator.evaluate(study).items()}


def _column(setting: Setting) -> tuple[list[float], tuple[float, float]]:
    """Each trial's number for the forest, and the ends between which all numbers weigh equally.

    A range's numbers, or their logarithms, are as they are, and its ends are as wide as an arm's numbers are. Listed
    values, numbers too, are counted in order, so that each has the same weight; so are those of a range if one of them
    is no number, or has no logarithm.
    """
    has_size = setting.is_numeric and (not setting.is_log or min(setting.places) > 0)
    if setting.bounds is None or not has_size:
        return setting.level_places, (-0.5, len(setting.levels) - 0.5)
    change = math.log if setting.is_log else float
    places, ends = ([change(number) for number in numbers] for numbers in (setting.places, setting.bounds))
    return places, (min(*ends, *places), max(*ends, *places))
