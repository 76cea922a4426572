from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from imaging.noise import IndexedNoise, labels

SHAPE = (3, 8, 8)
PINNED = [0.059911035, 0.015559634, -1.1644385, -0.4430962, 0.48785958, -0.0126155, 2.0894337, -1.2905201, -0.60986716]
PINNED_LABELS = [3, 9, 6, 4, 0, 2, 2, 8]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 2**40), min_size=1, max_size=12),
    st.integers(0, 2**64 - 1),
    st.integers(0, 999),
    st.data(),
)
def test_a_row_depends_on_its_id_alone(ids: list[int], seed: int, k: int, data: st.DataObject) -> None:
    noise = IndexedNoise(seed)
    together, first = noise.step(ids, k, SHAPE), noise.initial(ids, SHAPE)
    cut = data.draw(st.integers(0, len(ids)))
    apart = torch.cat([noise.step(ids[:cut], k, SHAPE), noise.step(ids[cut:], k, SHAPE)])
    assert torch.equal(apart, together)
    order = data.draw(st.permutations(range(len(ids))))
    shuffled = IndexedNoise(seed).step([ids[i] for i in order], k, SHAPE)
    assert torch.equal(shuffled, together[list(order)])
    assert torch.equal(IndexedNoise(seed).initial(np.array(ids)[order], SHAPE), first[list(order)])


def test_ids_seeds_steps_and_the_start_all_differ() -> None:
    ids = torch.arange(50)
    streams = [IndexedNoise(seed).initial(ids, SHAPE) for seed in (0, 1, 2**63)]
    streams += [IndexedNoise(seed).step(ids, k, SHAPE) for seed in (0, 1, 2**63) for k in (0, 1, 249)]
    rows = torch.cat(streams).flatten(1)
    assert len(torch.unique(rows, dim=0)) == len(rows)
    correlation = np.corrcoef(rows.numpy())
    np.fill_diagonal(correlation, 0)
    # 600 rows of 192 values: the largest of 180,000 chance correlations is about 4.9/√192.
    assert np.abs(correlation).max() < 6.5 / 192**0.5


def test_values_are_standard_normal() -> None:
    values = IndexedNoise(7).step(range(2000), 3, SHAPE).double()
    pooled = values.flatten().numpy()
    error = len(pooled) ** -0.5
    assert abs(pooled.mean()) < 4 * error
    assert abs(pooled.var() - 1) < 4 * error * 2**0.5
    assert abs(stats.skew(pooled)) < 4 * error * 6**0.5
    assert abs(stats.kurtosis(pooled)) < 4 * error * 24**0.5
    assert stats.kstest(pooled, "norm").pvalue > 0.01
    across_ids = values[:, 0, 0, 0].numpy()
    assert stats.kstest(across_ids, "norm").pvalue > 0.01


def test_neighbouring_ids_steps_and_pixels_do_not_correlate() -> None:
    noise = IndexedNoise(3)
    values = noise.initial(range(1001), SHAPE).double().flatten(1)
    following = noise.step(range(1001), 0, SHAPE).double().flatten(1)
    limit = 4 / (1000 * 192) ** 0.5
    assert abs((values[1:] * values[:-1]).mean()) < limit
    assert abs((values * following).mean()) < limit
    assert abs((values[:, 1:] * values[:, :-1]).mean()) < limit


def test_shape_and_type() -> None:
    x = IndexedNoise(0).initial(np.array([4, 5]), (3, 64, 64))
    assert x.shape == (2, 3, 64, 64)
    assert x.dtype == torch.float32
    assert x.device.type == "cpu"
    assert IndexedNoise(0).initial([], SHAPE).shape == (0, *SHAPE)


def test_values_are_pinned() -> None:
    """Stored samples are only reproducible while these stay: a change is a new version of every sampling stage."""
    start = IndexedNoise(0).initial([0, 49_999], (1, 1, 3)).flatten()
    step = IndexedNoise(2**64 - 1).step([12], 249, (3,)).flatten()
    torch.testing.assert_close(
        torch.cat([start, step]),
        torch.tensor(PINNED),
        rtol=0,
        atol=0,
    )
    assert labels(range(8), 10, "drawn", seed=1).tolist() == PINNED_LABELS


def test_balanced_labels_count_every_class_alike() -> None:
    assert labels(range(5), 3).tolist() == [0, 1, 2, 0, 1]
    assert torch.bincount(labels(range(50_000), 1000)).unique().tolist() == [50]


def test_listed_classes_take_turns() -> None:
    assert labels(range(5), 1000, (281, 1, 933)).tolist() == [281, 1, 933, 281, 1]
    assert labels([4], 1000, (281, 1, 933)).tolist() == [1], "by the id alone"


def test_drawn_labels_are_uniform_and_belong_to_their_id() -> None:
    drawn = labels(range(5000), 10, "drawn", seed=5)
    assert torch.equal(labels([17, 3], 10, "drawn", seed=5), drawn[[17, 3]])
    assert not torch.equal(labels(range(5000), 10, "drawn", seed=6), drawn)
    assert stats.chisquare(torch.bincount(drawn, minlength=10).numpy()).pvalue > 0.001


@pytest.mark.parametrize("ids", [[-1], [0.5], [[1, 2]]])
def test_ids_are_whole_numbers_from_0(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="ids"):
        IndexedNoise(0).initial(ids, SHAPE)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="seed is -1"):
        IndexedNoise(-1)
    with pytest.raises(ValueError, match="step is -1"):
        IndexedNoise(0).step([0], -1, SHAPE)
    with pytest.raises(ValueError, match="num_classes is 0"):
        labels([0], 0)
    with pytest.raises(ValueError, match="label mode is 'random'"):
        labels([0], 10, "random")  # type: ignore[arg-type]
