"""The stage `reconstruct_ema`: an average of the weights over any length, from snapshots of a training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from adm import checkpoints
from adm.training.ema_profiles import coefficients, profile_error
from adm.training.stages import WEIGHTS, snapshot_file
from assay.workload import StageContext


def reconstruct_ema(ctx: StageContext) -> Mapping[str, float]:
    """Commit the sum of the snapshots in ctx.inputs, named by their iterations, whose profile is nearest to that of the
    config's `length`. Returns how near: `profile_error`."""
    steps, lengths, length = sorted(map(int, ctx.inputs)), ctx.config["lengths"], ctx.config["length"]
    factors = coefficients(steps, lengths, length)
    total: dict[str, Tensor] = {}
    for i, step in enumerate(steps):
        for j, kept in enumerate(lengths):
            snapshot = checkpoints.load(ctx.inputs[str(step)].file(snapshot_file(kept)))
            for name, weight in snapshot.items():
                # In float64: factors of both signs cancel.
                total[name] = total.get(name, torch.zeros((), dtype=torch.float64)) + factors[i, j] * weight.double()
    checkpoints.save(ctx.output / WEIGHTS, {name: weight.float() for name, weight in total.items()}, snapshot.config)
    return {"profile_error": profile_error(steps, lengths, length)}
