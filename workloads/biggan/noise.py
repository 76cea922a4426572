"""The truncated noise that images are drawn from (section 3.1 of the paper)."""

from __future__ import annotations

import torch
from torch import Tensor

CUT = 2.0
"""The bound of the truncated normal distribution, as for the published weights."""


def truncated(normal: Tensor) -> Tensor:
    """Map standard normal numbers to a normal distribution truncated at ±CUT, elementwise and monotonically.

    With Φ the normal distribution function: Φ⁻¹(Φ(−CUT) + Φ(x)·(Φ(CUT) − Φ(−CUT))), in float64.
    """
    cut = torch.special.ndtr(torch.tensor(-CUT, dtype=torch.float64))
    share = torch.special.ndtr(normal.double())
    return torch.special.ndtri(cut + share * (1 - 2 * cut)).to(normal.dtype)
