"""What the functions of a diffusion return: read `out.mean`, `out["mean"]`, or unpack in field order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from torch import Tensor


class Result:
    """Fields by attribute or by name; iterating yields their values, so that a result unpacks like a tuple."""

    def keys(self) -> list[str]:
        return [field.name for field in fields(self)]  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.keys():
            raise KeyError(f"{name!r} is not in {type(self).__name__}, which has {', '.join(self.keys())}")
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def items(self) -> list[tuple[str, Tensor]]:
        return [(name, self[name]) for name in self.keys()]

    def __iter__(self) -> Iterator[Tensor]:
        return (getattr(self, name) for name in self.keys())


@dataclass(frozen=True, eq=False)
class Gaussian(Result):
    """A diagonal Gaussian; each (N, C, H, W), variances broadcastable to the mean."""

    mean: Tensor
    variance: Tensor
    log_variance: Tensor


@dataclass(frozen=True, eq=False)
class Prediction(Gaussian):
    """p_θ(x_{t−1} | x_t), and the x_0 it was derived from."""

    pred_xstart: Tensor


@dataclass(frozen=True, eq=False)
class Step(Result):
    """One step of a sampler: the next x, and the x_0 predicted on the way; each (N, C, H, W)."""

    sample: Tensor
    pred_xstart: Tensor


@dataclass(frozen=True, eq=False)
class VlbTerms(Result):
    """One term of equation 8 an image, (N,), in bits a dimension, and the predicted x_0, (N, C, H, W)."""

    output: Tensor
    pred_xstart: Tensor


@dataclass(frozen=True, eq=False)
class BitsPerDim(Result):
    """Equation 8 in full. total_bpd and prior_bpd: (N,); the others (N, T), from t = T−1 down to t = 0."""

    total_bpd: Tensor
    prior_bpd: Tensor
    """L_T, equation 11."""
    vb: Tensor
    """L_{T−1} … L_0, equations 10 and 9, in bits a dimension."""
    xstart_mse: Tensor
    mse: Tensor
    """Squared error of ε."""
