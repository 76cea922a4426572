"""What samplers and loops promise beyond the figures: noise, temperature, guidance, batching, options, errors."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adm import models, presets
from adm.diffusion import (
    Diffusion,
    angles,
    classifier_gradient,
    interpolate,
    interpolate_images,
    interpolated_classes,
    interpolated_guidance,
    low_resolution,
    upsample_loop,
)
from adm.diffusion.loops import ddim_loop, sample_loop
from imaging.noise import IndexedNoise

SHAPE = (3, 8, 8)
LABELS = torch.tensor([0, 3, 1, 2, 2])


def model(x: Tensor, t: Tensor, y: Tensor | None = None, low_res: Tensor | None = None) -> Tensor:
    """Nothing in it crosses images."""
    shift = 0 if y is None else y.view(-1, 1, 1, 1) / 10
    return torch.cat([0.7 * x + 0.1 * torch.sin(t.view(-1, 1, 1, 1) / 100) + shift, 0.5 * torch.cos(x)], dim=1)


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        with torch.no_grad():
            self.linear.weight.copy_(torch.arange(12).view(4, 3).sin())
            self.linear.bias.zero_()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.linear(x.tanh().mean(dim=(2, 3))) * (1 + t[:, None] / 1000)


@pytest.fixture
def diffusion() -> Diffusion:
    return Diffusion(respacing="10")


@pytest.mark.parametrize("loop", [sample_loop, partial(ddim_loop, eta=1.0)])
def test_no_step_waits_for_a_value_of_the_device(diffusion: Diffusion, loop: Callable[..., Tensor]) -> None:
    """So noise is drawn while a GPU computes. Tensors of the device "meta" have no values: reading one is an error."""
    with torch.device("meta"):
        network, classifier = models.build(presets.load("tiny_digits").model), Classifier()
    x, y = torch.empty(2, 1, 8, 8, device="meta"), torch.zeros(2, dtype=torch.int64, device="meta")
    guides = (None, classifier_gradient(lambda x, t: classifier(x.expand(-1, 3, -1, -1), t)))
    for cond_fn in guides:
        options: dict[str, Any] = {} if cond_fn is None else {"cond_fn": cond_fn}
        images = loop(
            diffusion,
            network,
            noise=x,
            step_noise=lambda t: torch.zeros(x.shape).to("meta"),
            model_kwargs={"y": y},
            **options,
        )
        assert images.device.type == "meta"


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_an_image_does_not_depend_on_its_batch(diffusion: Diffusion, sampler: str) -> None:
    noise = IndexedNoise(seed=1)

    def draw(ids: list[int]) -> Tensor:
        options: dict[str, Any] = {
            "noise": noise.initial(ids, SHAPE),
            "step_noise": lambda t: noise.step(ids, t, SHAPE),
            "cond_fn": classifier_gradient(Classifier(), 3.0),
            "model_kwargs": {"y": LABELS[ids]},
        }
        if sampler == "ddim":
            return diffusion.ddim_loop(model, eta=0.5, **options)
        return diffusion.sample_loop(model, **options)

    together = draw([0, 1, 2, 3, 4])
    torch.testing.assert_close(torch.cat([draw([0]), draw([1, 2]), draw([3, 4])]), together, rtol=1e-5, atol=1e-6)
    assert not torch.equal(together[3], together[4])


def test_drawn_noise_is_used_only_where_none_is_given(diffusion: Diffusion) -> None:
    x, noise = torch.randn(2, 5, *SHAPE)
    t = torch.tensor([0, 1, 5, 9, 9])
    state = torch.get_rng_state()
    given = diffusion.p_sample(model, x, t, noise=noise).sample
    diffusion.ddim_sample(model, x, t)
    diffusion.ddim_sample(model, x, t, eta=1.0, noise=noise)
    diffusion.losses(model, x, t, noise)
    assert torch.equal(torch.get_rng_state(), state)
    drawn = diffusion.p_sample(model, x, t).sample
    assert not torch.equal(drawn[1:], given[1:])
    assert torch.equal(drawn[0], given[0])  # t = 0 adds none


def test_noise_temperature_scales_the_noise(diffusion: Diffusion) -> None:
    x, noise = torch.randn(2, 4, *SHAPE)
    t = torch.tensor([1, 3, 5, 9])
    mean = diffusion.p_mean_variance(model, x, t).mean
    full = diffusion.p_sample(model, x, t, noise=noise).sample - mean
    cool = diffusion.p_sample(model, x, t, noise=noise, temperature=0.9).sample - mean
    torch.testing.assert_close(cool, 0.9 * full)
    plain = diffusion.ddim_sample(model, x, t, temperature=0.9).sample
    assert torch.equal(plain, diffusion.ddim_sample(model, x, t).sample)  # no noise, nothing to scale


@pytest.mark.parametrize("mean", ["epsilon", "x0", "v", "previous"])
def test_epsilon_temperature_divides_epsilon(mean: Any) -> None:
    diffusion = Diffusion(respacing="10", mean=mean, variance="fixed_small")
    x = torch.randn(4, *SHAPE, dtype=torch.float64)
    t = torch.tensor([1, 3, 5, 9])

    def output(x: Tensor, t: Tensor) -> Tensor:
        return 0.7 * x

    plain = diffusion.p_mean_variance(output, x, t, clip_denoised=False)
    epsilon = diffusion.epsilon_from_x0(x, t, plain.pred_xstart)
    cool = diffusion.p_mean_variance(output, x, t, clip_denoised=False, epsilon_temperature=0.9)
    torch.testing.assert_close(diffusion.epsilon_from_x0(x, t, cool.pred_xstart), epsilon / 0.9)
    # Equation 13.
    beta, a_bar = (torch.from_numpy(v)[t].view(-1, 1, 1, 1) for v in (diffusion.betas, diffusion.alphas_cumprod))
    expected = (x - beta / (1 - a_bar).sqrt() * epsilon / 0.9) / (1 - beta).sqrt()
    torch.testing.assert_close(cool.mean, expected)
    sampled = diffusion.p_sample(
        output, x, t, clip_denoised=False, noise=0 * x, temperature=0.9, temperature_scales="epsilon"
    )
    torch.testing.assert_close(sampled.sample, expected)


def test_classifier_gradient_is_that_of_the_log_probability() -> None:
    classifier, x, t = Classifier(), torch.randn(5, *SHAPE), torch.full((5,), 500)
    gradient = classifier_gradient(classifier, scale=2.5)(x, t, y=LABELS)
    step = 1e-3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        log_p = [classifier(x + s * step, t).double().log_softmax(-1)[range(5), LABELS] for s in (1, -1)]
    expected = 2.5 * (log_p[0] - log_p[1]) / 2
    torch.testing.assert_close((gradient * step).sum(dim=(1, 2, 3)).double(), expected, rtol=1e-2, atol=1e-6)
    assert not gradient.requires_grad
    assert all(parameter.grad is None for parameter in classifier.parameters())
    with pytest.raises(ValueError, match="needs the labels"):
        classifier_gradient(classifier)(x, t)


def test_guidance_at_the_mean_asks_about_the_arriving_image(diffusion: Diffusion) -> None:
    asked: list[tuple[Tensor, list[int]]] = []

    def cond_fn(x: Tensor, t: Tensor) -> Tensor:
        asked.append((x, t.tolist()))
        return torch.ones_like(x)

    x, noise = torch.randn(2, 3, *SHAPE)
    t = torch.tensor([0, 4, 9])
    out = diffusion.p_mean_variance(model, x, t)
    plain = diffusion.p_sample(model, x, t, noise=noise).sample
    for where in ("x_t", "mean"):
        guided = diffusion.p_sample(model, x, t, noise=noise, cond_fn=cond_fn, guidance_at=where).sample
        torch.testing.assert_close(guided, plain + out.variance)
    original = diffusion.timestep_map
    assert torch.equal(asked[0][0], x)
    assert asked[0][1] == original[[0, 4, 9]].tolist()
    assert torch.equal(asked[1][0], out.mean)
    assert asked[1][1] == original[[0, 3, 8]].tolist()


def test_models_are_told_original_timesteps_and_their_extras(diffusion: Diffusion) -> None:
    told: list[int] = []

    def watching(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        assert torch.equal(y, LABELS)
        told.extend(t.unique().tolist())
        return model(x, t)

    done: list[tuple[int, int]] = []
    diffusion.sample_loop(
        watching, (5, *SHAPE), model_kwargs={"y": LABELS}, progress=lambda i, total: done.append((i, total))
    )
    assert told == diffusion.timestep_map[::-1].tolist()
    assert done == [(i, 10) for i in range(1, 11)]


def test_clipping_and_denoised_fn(diffusion: Diffusion) -> None:
    x, t = 3 * torch.randn(2, *SHAPE), torch.tensor([5, 9])
    assert diffusion.p_mean_variance(model, x, t).pred_xstart.abs().max() <= 1
    assert diffusion.p_mean_variance(model, x, t, clip_denoised=False).pred_xstart.abs().max() > 1
    halved = diffusion.p_mean_variance(model, x, t, denoised_fn=lambda x0: torch.full_like(x0, 0.5)).pred_xstart
    assert (halved == 0.5).all()


def test_runs_split_anywhere(diffusion: Diffusion) -> None:
    noise = torch.randn(2, *SHAPE)
    whole = diffusion.ddim_loop(model, noise=noise)
    x = noise
    for index in (9, 8, 7):
        x = diffusion.ddim_sample(model, x, torch.full((2,), index)).sample
    torch.testing.assert_close(diffusion.ddim_loop(model, noise=x, start=6), whole)
    assert torch.equal(
        sample_loop(diffusion, model, noise=noise, start=0), diffusion.sample_loop(model, None, noise, start=0)
    )


def test_results_by_name_by_attribute_and_in_order(diffusion: Diffusion) -> None:
    out = diffusion.p_mean_variance(model, torch.randn(1, *SHAPE), torch.tensor([3]))
    mean, variance, log_variance, pred_xstart = out
    assert mean is out.mean is out["mean"]
    assert {**out} == {"mean": mean, "variance": variance, "log_variance": log_variance, "pred_xstart": pred_xstart}
    assert dict(out.items()).keys() == {**out}.keys()
    assert "mean" in out
    assert "sample" not in out
    with pytest.raises(KeyError, match="'sample' is not in Prediction"):
        out["sample"]


@pytest.mark.parametrize(("published", "ours"), [("start_x", "x0"), ("xstart", "x0"), ("previous_x", "previous")])
def test_published_names_of_what_is_predicted(published: Any, ours: str) -> None:
    assert Diffusion(respacing="10", mean=published).mean == ours


def test_half_precision_models_and_pickles(diffusion: Diffusion) -> None:
    x, t = torch.randn(2, *SHAPE), torch.tensor([0, 9])
    out = diffusion.p_mean_variance(lambda x, t: model(x, t).bfloat16(), x, t)
    assert out.mean.dtype == out.log_variance.dtype == torch.float32
    copy = pickle.loads(pickle.dumps(diffusion))
    assert torch.equal(copy.p_mean_variance(model, x, t).mean, diffusion.p_mean_variance(model, x, t).mean)


def test_upsampling_hands_over_the_low_resolution() -> None:
    diffusion = Diffusion(respacing="5")
    seen: list[Tensor] = []

    def upsampler(x: Tensor, t: Tensor, y: Tensor | None = None, low_res: Tensor | None = None) -> Tensor:
        assert low_res is not None
        seen.append(low_res)
        assert torch.equal(y, LABELS[:2]) if y is not None else False
        return model(x, t)

    low = low_resolution(torch.arange(16.0).view(1, 1, 4, 4).expand(2, 3, 4, 4), 2)
    assert low[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    for loop in (sample_loop, ddim_loop):
        images = upsample_loop(diffusion, upsampler, low, 8, loop=loop, model_kwargs={"y": LABELS[:2]})
        assert images.shape == (2, 3, 8, 8)
    assert len(seen) == 10
    assert all(torch.equal(image, low) for image in seen)
    assert low_resolution(torch.arange(4.0).expand(1, 1, 4, 4), 3)[0, 0].tolist() == [[0.5, 1.5, 2.5]] * 3


def test_interpolation_keeps_unit_variance_and_its_ends() -> None:
    a, b = torch.randn(2, 100_000, generator=torch.Generator().manual_seed(0))
    thetas = angles(5)
    assert thetas == [0, math.pi / 8, math.pi / 4, 3 * math.pi / 8, math.pi / 2]
    assert torch.equal(interpolate(a, b, thetas[0]), a)
    assert torch.equal(interpolate(a, b, thetas[-1]), b)
    for theta in thetas:
        assert interpolate(a, b, theta).var().item() == pytest.approx(1, abs=0.02)
    with pytest.raises(ValueError, match="at least 2 images, its ends"):
        angles(1)


def test_interpolated_guidance_blends_log_probabilities() -> None:
    cond_fn, x, t = classifier_gradient(Classifier()), torch.randn(5, *SHAPE), torch.full((5,), 9)
    other = LABELS.flip(0)
    blend = interpolated_guidance(cond_fn, LABELS, other, math.pi / 6)(x, t, y=None)
    expected = math.cos(math.pi / 6) * cond_fn(x, t, y=LABELS) + math.sin(math.pi / 6) * cond_fn(x, t, y=other)
    torch.testing.assert_close(blend, expected)


def test_images_of_two_classes_blend_classes_and_guidance_too(diffusion: Diffusion) -> None:
    """At the ends all is as if only that class had been there; between, y is cos(θ) of one and sin(θ) of the other."""
    embedding = torch.tensor([-1.0, 0.5, 2.0, 0.1])
    seen: list[Tensor] = []

    def conditional(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        seen.append(y)
        return model(x, t) + (embedding[y] if y.ndim == 1 else y @ embedding).view(-1, 1, 1, 1) / 10

    first, second = torch.rand(2, 5, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    a, b = LABELS, LABELS.flip(0)
    cond_fn = classifier_gradient(Classifier(), 3.0)
    thetas = angles(3)
    images = interpolate_images(
        diffusion, conditional, first, second, thetas, labels=(a, b), num_classes=4, cond_fn=cond_fn
    )
    between = math.sqrt(0.5) * (torch.eye(4)[a] + torch.eye(4)[b])
    torch.testing.assert_close(seen[-15], between)
    assert torch.equal(interpolated_classes(a, b, 0.0, 4), torch.eye(4)[a])
    for image, y, decoded in ((first, a, images[0]), (second, b, images[2])):
        alone: dict[str, Any] = {"cond_fn": cond_fn, "model_kwargs": {"y": y}}
        latent = diffusion.ddim_reverse_loop(conditional, image, **alone)
        torch.testing.assert_close(decoded, diffusion.ddim_loop(conditional, noise=latent, **alone))
    with pytest.raises(ValueError, match="labels and num_classes must be given together"):
        interpolate_images(diffusion, conditional, first, second, thetas, labels=(a, b))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": "eps"}, "unknown mean 'eps'; did you mean 'epsilon'\\? allowed: epsilon, x0, v, edm, previous"),
        ({"variance": "large"}, "unknown variance 'large'.* allowed: fixed_small, fixed_large"),
        ({"loss": "l1"}, "unknown loss 'l1'.* allowed: mse, rescaled_mse"),
        ({"schedule": "quadratic"}, "unknown noise schedule 'quadratic'"),
        ({"steps": 0}, "at least 1 step"),
        ({"steps": 20}, "a linear schedule of 20 steps reaches"),
    ],
)
def test_unknown_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Diffusion(**options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d, x, t: d.p_sample(model, x, t, noise=x[:1]), "noise has shape"),
        (lambda d, x, t: d.p_sample(model, x, t, temperature=0.0), "temperature is 0.0"),
        (lambda d, x, t: d.p_sample(model, x, t, temperature_scales="all"), "allowed: noise, epsilon"),
        (
            lambda d, x, t: d.p_sample(model, x, t, cond_fn=model, guidance_at="y"),
            "unknown place of guidance 'y'.* allowed: x_t, mean",
        ),
        (lambda d, x, t: d.p_sample(lambda x, t: x, x, t), "needs 6 channels"),
        (lambda d, x, t: d.losses(lambda x, t: x, x, t), "needs 6 channels"),
        (lambda d, x, t: d.sample_loop(model), "needs noise, or a shape"),
        (lambda d, x, t: d.sample_loop(model, (1, 3, 8, 8), x), "noise has shape"),
        (lambda d, x, t: d.sample_loop(model, noise=x, start=10), "start is 10; the process has steps 0 to 9"),
        (lambda d, x, t: d.ddim_reverse_loop(model, x, num_steps=11), "num_steps is 11"),
    ],
)
def test_misuse_is_explained(diffusion: Diffusion, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(diffusion, torch.randn(2, *SHAPE), torch.tensor([1, 2]))
