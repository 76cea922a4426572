from __future__ import annotations

import numpy as np
import pytest
import torch

from adm.diffusion import LossSecondMoment, Uniform, timestep_sampler


def warmed_up(moments: list[float]) -> LossSecondMoment:
    sampler = LossSecondMoment(len(moments), history=10)
    for _ in range(10):
        sampler.update(torch.arange(len(moments)), torch.tensor(moments))
    return sampler


def test_uniform_draws_every_timestep_alike() -> None:
    t, weights = Uniform(10).sample(20_000, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(t, minlength=10)
    assert counts.min() > 1800
    assert counts.max() < 2200
    assert (weights == 1).all()


def test_second_moment_is_uniform_until_every_timestep_has_a_history() -> None:
    sampler = LossSecondMoment(4, history=2)
    sampler.update(torch.tensor([0, 0, 1, 1, 2, 2, 3]), torch.full((7,), 5.0))
    assert not sampler.warmed_up
    np.testing.assert_allclose(sampler.probabilities(), 0.25)
    sampler.update(torch.tensor([3]), torch.tensor([15.0]))
    assert sampler.warmed_up
    expected = np.array([5, 5, 5, np.sqrt((25 + 225) / 2)])
    np.testing.assert_allclose(sampler.probabilities(), 0.999 * expected / expected.sum() + 0.001 / 4)


def test_only_the_last_losses_count() -> None:
    sampler = warmed_up([1.0, 1.0])
    for _ in range(10):
        sampler.update(torch.tensor([0]), torch.tensor([3.0]))
    np.testing.assert_allclose(sampler.probabilities(), 0.999 * np.array([0.75, 0.25]) + 0.0005)


def test_weights_keep_the_expected_loss() -> None:
    losses = torch.tensor([1.0, 2.0, 4.0, 8.0])
    sampler = warmed_up(losses.tolist())
    t, weights = sampler.sample(40_000, generator=torch.Generator().manual_seed(0))
    weighted = weights * losses[t]
    assert weighted.mean().item() == pytest.approx(losses.mean().item(), rel=1e-2)
    assert weighted.var() < 1e-3 < losses[t].var()  # the point of it: all terms alike
    p = torch.from_numpy(sampler.probabilities()).float()
    torch.testing.assert_close(weights, 1 / (4 * p[t]))


def test_losses_of_zero_fall_back_to_uniform() -> None:
    np.testing.assert_allclose(warmed_up([0.0, 0.0]).probabilities(), 0.5)


def test_state_survives() -> None:
    sampler, other = warmed_up([1.0, 2.0, 3.0]), LossSecondMoment(3)
    other.load_state_dict(sampler.state_dict())
    np.testing.assert_array_equal(other.probabilities(), sampler.probabilities())
    sampler.update(torch.tensor([0]), torch.tensor([100.0]))
    assert other.probabilities()[0] < sampler.probabilities()[0]
    with pytest.raises(ValueError, match=r"\(3, 10\).*\(4, 10\)"):
        LossSecondMoment(4).load_state_dict(sampler.state_dict())


def test_every_worker_learns_from_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """With torch.distributed up, the histories of workers stay equal, so that they draw from one distribution."""
    steps = [[(0, 1.0), (1, 4.0)], [(1, 2.0)]]

    def all_gather_object(into: list[object], mine: object) -> None:
        assert mine in steps
        into[:] = steps

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_gather_object", all_gather_object)
    first, second = LossSecondMoment(2, history=1), LossSecondMoment(2, history=1)
    first.update(torch.tensor([0, 1]), torch.tensor([1.0, 4.0]))
    second.update(torch.tensor([1]), torch.tensor([2.0]))
    np.testing.assert_array_equal(first.probabilities(), second.probabilities())
    np.testing.assert_allclose(first.probabilities(), 0.999 * np.array([1, 2]) / 3 + 0.0005)


def test_by_name() -> None:
    assert isinstance(timestep_sampler("uniform", 10), Uniform)
    assert isinstance(timestep_sampler("loss_second_moment", 10), LossSecondMoment)
    with pytest.raises(ValueError, match="'importance'"):
        timestep_sampler("importance", 10)
    with pytest.raises(ValueError, match="history must be"):
        LossSecondMoment(10, history=0)
