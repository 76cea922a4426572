"""AuthPct: against its definition, and what it shows of a model that copies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from imaging import authpct


def by_definition(reference: np.ndarray, samples: np.ndarray) -> float:
    to_others = cdist(reference, reference)
    np.fill_diagonal(to_others, np.inf)
    to_samples = cdist(reference, samples)
    nearest = to_samples.argmin(axis=0)
    return 100 * float((to_others.min(axis=0)[nearest] < to_samples.min(axis=0)).mean())


@pytest.mark.parametrize("dim", [1, 6, 200])
def test_it_is_its_definition(dim: int) -> None:
    rng = np.random.default_rng(dim)
    reference, samples = rng.normal(size=(90, dim)), rng.normal(size=(70, dim))
    assert authpct(reference, samples) == by_definition(reference, samples)
    assert 0 < authpct(reference, samples) <= 100


def test_copies_are_not_authentic() -> None:
    rng = np.random.default_rng(0)
    reference, fresh = rng.normal(size=(100, 8)), rng.normal(size=(100, 8)) * 3
    copies = reference[:40] + 1e-3 * rng.normal(size=(40, 8))
    assert authpct(reference, copies) == 0
    fresh_share = authpct(reference, fresh)
    mixed = np.concatenate([copies, fresh])
    assert authpct(reference, mixed) == pytest.approx(fresh_share * 100 / 140)
