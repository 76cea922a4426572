"""The toy, whose sampling leaves something open ("auto") that its first worker settles: it uses all of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import toy_workload
from assay.workload import Stage, StageContext


class Settling(toy_workload.Toy):
    def stages(self, config: Mapping[str, Any]) -> Sequence[Stage]:
        (evaluate,) = super().stages(config)
        sample = evaluate.inputs["samples"]
        settling = replace(sample, config={**sample.config, "precision": "auto"}, body=("settling_workload:Sampler",))
        return [replace(evaluate, inputs={**evaluate.inputs, "samples": settling})]


class Sampler(toy_workload.Sampler):
    def __init__(self, ctx: StageContext) -> None:
        super().__init__(ctx)
        if ctx.config["precision"] == "auto":
            ctx.note("precision", "fp32")


workload = Settling()
