"""Naive, optimized and compiled networks are the same function, whatever the options, and with checkpointing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adm.config import ModelConfig
from adm.models import build
from adm.models.implementations import IMPLEMENTATIONS, Compiled, channels_last_norm_silu, has_compiler
from adm.models.layers import GroupNorm
from adm.models.layout import CPU_FUSED_ATTENTION_PIXELS
from assay.errors import UserError

FP32_RELATIVE = 1e-5


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small wait for their threads longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


UNET = ModelConfig(
    image_size=8,
    in_channels=3,
    out_channels=6,
    channels=32,
    num_res_blocks=1,
    channel_mult=(1, 2),
    attention_resolutions=(8,),
    num_heads=2,
    num_classes=5,
)
ENCODER = UNET.model_copy(update={"kind": "encoder", "out_channels": 7, "num_classes": None})
SUPER_RES = UNET.model_copy(update={"kind": "super_res", "low_res_size": 4})
OPTIONS: dict[str, ModelConfig] = {
    "base": UNET,
    "long_attention": UNET.model_copy(update={"image_size": 16, "attention_resolutions": (16,)}),
    "unconditional": UNET.model_copy(update={"num_classes": None}),
    "new_order": UNET.model_copy(update={"qkv_order": "new"}),
    "head_channels": UNET.model_copy(update={"head_channels": 16}),
    "heads_up": UNET.model_copy(update={"num_heads_up": 4}),
    "add": UNET.model_copy(update={"norm": "add"}),
    "conv": UNET.model_copy(update={"updown": "conv"}),
    "plain": UNET.model_copy(update={"updown": "plain"}),
    "rescale_skip": UNET.model_copy(update={"rescale_skip": True}),
    "fractional": UNET.model_copy(update={"channels": 64, "channel_mult": (0.5, 1.5), "num_heads": 1}),
    "deeper": UNET.model_copy(update={"channel_mult": (1, 1, 2), "num_res_blocks": 2}),
    "one_channel": UNET.model_copy(update={"in_channels": 1, "out_channels": 2}),
    "super_res": SUPER_RES,
    **{f"pool_{pool}": ENCODER.model_copy(update={"pool": pool}) for pool in ("attention", "adaptive", "spatial")},
    "pool_spatial_v2": ENCODER.model_copy(update={"pool": "spatial_v2"}),
}

COMPILER_LOOKS = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
"""PyTorch's compiler looks for gradients of all that it is given, and hides the warning by other means."""


def lively(model: nn.Module) -> nn.Module:
    """Random weights in place of those that start at zero, so that every layer shows."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.any():
                weight.normal_(std=weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.1, generator=generator)
    return model.eval()


def inputs(config: ModelConfig) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    side, low = config.image_size, config.low_res_size
    return {
        "x": torch.randn(2, config.in_channels, side, side, generator=generator),
        "t": torch.tensor([3, 977]),
        "y": None if config.num_classes is None else torch.tensor([1, 4]),
        "low_res": None if low is None else torch.randn(2, config.in_channels, low, low, generator=generator),
    }


def output_and_gradient(model: nn.Module, config: ModelConfig) -> tuple[Tensor, Tensor]:
    """The output, and the gradients of its sum of squares for every weight and x, as one vector each."""
    given = inputs(config)
    given["x"].requires_grad_()
    out = model(**given)
    wanted = [given["x"], *model.parameters()]
    gradients = torch.autograd.grad(out.float().square().sum(), wanted)
    return out.detach(), torch.cat([g.flatten() for g in gradients])


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).float().abs().max() / b.float().abs().max())


def of(config: ModelConfig, model: nn.Module | None = None, **changes: Any) -> nn.Module:
    """The network of a changed config, with the weights of `model`."""
    other = lively(build(config.model_copy(update=changes)))
    if model is not None:
        other.load_state_dict(model.state_dict())
    return other


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_optimized_equals_naive_in_fp32(name: str) -> None:
    config = OPTIONS[name]
    naive = of(config, implementation="naive")
    out, gradient = output_and_gradient(naive, config)
    fast_out, fast_gradient = output_and_gradient(of(config, naive, implementation="optimized"), config)
    assert out.abs().max() > 0.01
    assert relative(fast_out, out) < FP32_RELATIVE
    assert relative(fast_gradient, gradient) < 10 * FP32_RELATIVE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["base", "new_order", "super_res", "pool_attention", "pool_spatial"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_stay_within_their_format(name: str, dtype: torch.dtype) -> None:
    config = OPTIONS[name]
    naive = of(config, implementation="naive")
    fast = of(config, naive, implementation="optimized")
    with torch.no_grad():
        exact = naive(**inputs(config))
        for model in (naive, fast):
            with torch.autocast("cpu", dtype):
                out = model(**inputs(config))
            assert out.dtype == torch.float32
            assert relative(out, exact) < 8 * torch.finfo(dtype).eps
            # And with weights of 16 bits, as some engines keep them.
            half = of(config, naive, implementation=model.config.implementation).to(dtype)
            assert relative(half(**inputs(config)), exact) < 16 * torch.finfo(dtype).eps


@pytest.mark.parametrize("implementation", ["naive", "optimized"])
@pytest.mark.parametrize("name", ["base", "pool_attention"])
def test_activation_checkpointing_changes_nothing(name: str, implementation: str) -> None:
    config = OPTIONS[name].model_copy(update={"implementation": implementation})
    model = of(config)
    out, gradient = output_and_gradient(model, config)
    again, gradient_again = output_and_gradient(of(config, model, activation_checkpointing=True), config)
    torch.testing.assert_close(again, out)
    torch.testing.assert_close(gradient_again, gradient)


def test_dropout_is_redrawn_alike_by_activation_checkpointing() -> None:
    config = UNET.model_copy(update={"dropout": 0.5})
    model = of(config).train()
    gradients = []
    for changes in ({}, {"activation_checkpointing": True}):
        torch.manual_seed(3)
        gradients.append(output_and_gradient(of(config, model, **changes).train(), config)[1])
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("modulated", [False, True])
def test_the_gpu_norm_is_the_same_function_and_keeps_channels_last(modulated: bool) -> None:
    norm = lively(GroupNorm(64))
    assert isinstance(norm, GroupNorm)
    x = torch.randn(2, 64, 6, 6).to(memory_format=torch.channels_last)
    scale, shift = (torch.randn(2, 64, 1, 1), torch.randn(2, 64, 1, 1)) if modulated else (None, None)
    expected = IMPLEMENTATIONS["naive"].norm_silu(norm, x, scale, shift)
    found = channels_last_norm_silu(x, norm.weight, norm.bias, norm.num_groups, norm.eps, scale, shift)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("pixels", [16, 300])
def test_short_and_long_attention_are_the_same_function(pixels: int) -> None:
    q, k, v = torch.randn(3, 2, 4, 8, pixels).unbind(0)
    both: list[Callable[[Tensor, Tensor, Tensor], Tensor]] = [IMPLEMENTATIONS[n].attention for n in IMPLEMENTATIONS]
    torch.testing.assert_close(both[0](q, k, v), both[1](q, k, v))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_long_attention_on_a_cpu_is_fused_and_the_same(dtype: torch.dtype) -> None:
    pixels = CPU_FUSED_ATTENTION_PIXELS[dtype.itemsize]
    exact = [torch.randn(2, 2, 32, pixels, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    attended, gradients = {}, {}
    for name, implementation in IMPLEMENTATIONS.items():
        tensors = [x.to(dtype, copy=True).requires_grad_() for x in exact]
        with torch.profiler.profile() as profile:
            attended[name] = implementation.attention(*tensors)
        operations = {event.key for event in profile.key_averages()}
        assert ("aten::_scaled_dot_product_flash_attention_for_cpu" in operations) == (name != "naive")
        attended[name].float().square().sum().backward()  # type: ignore[no-untyped-call]
        gradients[name] = [x.grad for x in tensors]
    within = 8 * torch.finfo(dtype).eps
    assert relative(attended["optimized"].detach(), attended["naive"].detach()) < within
    for fused, products in zip(gradients["optimized"], gradients["naive"], strict=True):
        assert relative(fused, products) < within


@pytest.mark.slow
@COMPILER_LOOKS
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("base", {}),
        ("base", {"activation_checkpointing": True}),
        ("conv", {}),
        ("super_res", {}),
        ("pool_attention", {}),
    ],
)
def test_every_block_is_one_compiled_region(name: str, changes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced as when it is compiled, but run as it is: a break in a graph would be an error."""
    monkeypatch.setitem(IMPLEMENTATIONS, "compiled", Compiled("eager"))
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    config = OPTIONS[name].model_copy(update=changes)
    model = of(config, implementation="optimized")
    compiled = of(config, model, implementation="compiled")
    assert list(compiled.state_dict()) == list(model.state_dict())
    out, gradient = output_and_gradient(model, config)
    for _ in range(2):  # the second call compiles nothing
        found, found_gradient = output_and_gradient(compiled, config)
        assert relative(found, out) < FP32_RELATIVE
        assert relative(found_gradient, gradient) < 10 * FP32_RELATIVE
        blocks = sum(len(getattr(model, part, ())) for part in ("input_blocks", "output_blocks")) + 1
        assert counters["stats"]["unique_graphs"] == blocks
    assert not counters["graph_break"]


@pytest.mark.slow
@COMPILER_LOOKS
@pytest.mark.skipif(not has_compiler(), reason="needs a C++ compiler")
def test_a_compiled_block_equals_a_naive_one() -> None:
    naive = of(UNET, implementation="naive")
    compiled = of(UNET, naive, implementation="compiled")
    outcomes = []
    for model in (naive, compiled):
        block = model.get_submodule("input_blocks.2")  # a residual block that halves the resolution
        x, emb = (torch.randn(shape, generator=torch.Generator().manual_seed(2)) for shape in ((2, 32, 8, 8), (2, 128)))
        out = block(x.requires_grad_(), emb)
        gradients = torch.autograd.grad(out.square().sum(), [x, *block.parameters()])
        outcomes.append((out.detach(), torch.cat([g.flatten() for g in gradients])))
    (expected, expected_gradient), (found, found_gradient) = outcomes
    assert relative(found, expected) < FP32_RELATIVE
    assert relative(found_gradient, expected_gradient) < 10 * FP32_RELATIVE


def test_without_a_compiler_the_network_is_refused_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UserError, match=r"compiled needs a C\+\+ compiler.* or use optimized$"):
        build(UNET.model_copy(update={"implementation": "compiled"}))
