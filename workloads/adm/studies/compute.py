"""Table 10: the cost of trainings in V100-days, from their length and speed. Trains nothing, needs no GPU.

V100-days = iterations · batch size / (images per V100-second · 86,400).
"""

from __future__ import annotations

from collections.abc import Mapping

from adm import presets
from adm.compute import TABLE_7, network_cost, theoretical_throughput, training_v100_days
from adm.compute.published import CLASSIFIERS, PUBLISHED
from adm.config import ModelConfig
from adm.studies.graph import SUMS
from assay.errors import UserError
from assay.workload import JSON, Result, StageContext

SAME_OPERATIONS = 0.01
"""Relative difference of operations below which two networks share a row of table 7: LSUN's model is ImageNet 256's
without classes."""
RATE = "images_per_v100_second"


def compute(ctx: StageContext) -> Mapping[str, float]:
    """V100-days of the trainings; with the metrics of an evaluation, if the stage follows one."""
    if "evaluated" not in ctx.inputs:
        return v100_days(ctx)
    from adm.studies.figures import passed_on  # here: a cost alone needs none of what draws pictures

    return {**passed_on(ctx), **v100_days(ctx)}


def v100_days(ctx: StageContext) -> Mapping[str, float]:
    """The sums of `SUMS`; for a rival GAN, the published ones."""
    rival = ctx.config["rival"]
    if rival is not None:
        published = PUBLISHED[rival]
        ctx.note("source", published.source)
        days = {"total_v100_days": published.most}
        return days if published.least == published.most else {**days, "total_v100_days_least": published.least}
    days = {part: _days(ctx, part, training) for part, training in ctx.config["trainings"].items()}
    return {
        metric: sum(days[part] for part in parts if part in days)
        for metric, parts in SUMS.items()
        if any(part in days for part in parts)
    }


def _days(ctx: StageContext, part: str, training: Mapping[str, JSON]) -> float:
    model = ModelConfig(**training["model"])
    how, utilisation = ctx.config["throughput"], ctx.config["utilisation"]
    if how == "measured":
        rate, basis = _timed(ctx.inputs[part]), "timed here"
    else:
        rate, basis = images_per_v100_second(model, utilisation, of_the_paper=how == "table7")
    ctx.note(part, f"{training['iterations']:,} × {training['batch_size']:,} images at {rate:.4g} per V100-s ({basis})")
    return training_v100_days(training["iterations"], training["batch_size"], rate)


def _timed(throughput: Result) -> float:
    if RATE not in throughput.metrics:
        raise UserError(
            "compute.throughput measured: the device on which the training was timed is not in the table of devices, "
            "so its days cannot be converted; use a device in that table, or compute.throughput table7"
        )
    return throughput.metrics[RATE]


def images_per_v100_second(model: ModelConfig, utilisation: float, of_the_paper: bool) -> tuple[float, str]:
    """A network's training speed and its source: the paper's figure if there is one, else computed from its FLOPs."""
    if of_the_paper:
        for preset, row in TABLE_7.items():
            if _is_like(model, preset):
                return row.optimized, "table 7"
        for preset, rate in CLASSIFIERS.items():
            if _is_like(model, preset):
                return rate, "table 10's own row"
    return utilisation * theoretical_throughput(model), f"{utilisation:.0%} of its theoretical rate"


def _is_like(model: ModelConfig, preset: str) -> bool:
    other = presets.load(preset).model
    if (model.kind, model.image_size, model.low_res_size) != (other.kind, other.image_size, other.low_res_size):
        return False
    return abs(network_cost(model).flops / network_cost(other).flops - 1) < SAME_OPERATIONS
