"""Engines, one contract: each takes the same steps, overflows alike, and goes on from its own state or another's."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from adm.config import TrainConfig
from adm.training.engines import Engine, build, deepspeed_engine
from adm.training.engines.deepspeed_engine import unavailable_reason

pytestmark = pytest.mark.slow

ENGINES = {
    "torch": {"engine": "torch"},
    "deepspeed": {"engine": "deepspeed"},
    "ZeRO 1": {"engine": "deepspeed", "zero_stage": 1},
    "ZeRO 2": {"engine": "deepspeed", "zero_stage": 2},
}
X, Y = torch.randn(8, 10, generator=torch.Generator().manual_seed(1)), torch.linspace(-1, 1, 8)[:, None]


@pytest.fixture(params=ENGINES)
def options(request: pytest.FixtureRequest) -> dict[str, object]:
    found = ENGINES[request.param]
    if found["engine"] == "deepspeed" and (reason := unavailable_reason("cpu")) is not None:
        pytest.skip(f"needs DeepSpeed's operators, which cannot be built here: {reason}")
    return found


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 20), nn.SiLU(), nn.Linear(20, 1))


def config(**options: object) -> TrainConfig:
    return TrainConfig.model_validate({"iterations": 1, "batch_size": 8, "weight_decay": 0.1, **options})


def losses(parts: int = 1, times: float = 1.0) -> list[Callable[[nn.Module], Tensor]]:
    """The squared error over all of X, in micro-batches."""
    x, y = X.chunk(parts), Y.chunk(parts)
    return [lambda net, i=i: ((net(x[i]) - y[i]).float() ** 2).mean() * times for i in range(parts)]  # type: ignore[misc]


def weights(engine: Engine) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in engine.model.state_dict().items()}


def steps(engine: Engine, count: int, parts: int = 1) -> list[float]:
    return [engine.step(losses(parts), 1e-2).grad_norm for _ in range(count)]


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_a_step_is_that_of_adam_written_out(options: dict[str, object], optimizer: str, clip: float | None) -> None:
    engine = build(network(), config(optimizer=optimizer, gradient_clip=clip, **options), "cpu", "fp32", 2)
    plain = network()
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in plain.named_parameters()}
    for step in range(1, 5):
        report = engine.step(losses(parts=2), 1e-2)
        plain.zero_grad()
        losses()[0](plain).backward()
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in plain.parameters() if p.grad is not None))
        assert report.grad_norm == pytest.approx(norm, rel=1e-4)
        with torch.no_grad():
            for name, p in plain.named_parameters():
                assert p.grad is not None
                g = p.grad * min(1.0, (clip or math.inf) / norm)
                if optimizer == "adam":
                    g = g + 0.1 * p
                else:
                    p -= 1e-2 * 0.1 * p
                m, v = moments[name]
                m.lerp_(g, 0.1)
                v.lerp_(g**2, 0.001)
                p -= 1e-2 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    for name, weight in plain.state_dict().items():
        torch.testing.assert_close(weights(engine)[name], weight, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_it_goes_on_bit_for_bit_from_its_own_state(options: dict[str, object], precision: str) -> None:
    whole = build(network(), config(**options), "cpu", precision)
    norms = steps(whole, 6)
    first = build(network(), config(**options), "cpu", precision)
    steps(first, 3)
    model = network()
    model.load_state_dict(weights(first))
    second = build(model, config(**options), "cpu", precision)
    second.load({name: (m.clone(), v.clone()) for name, m, v in first.moments()}, first.counters())
    assert steps(second, 3) == norms[3:]
    assert all(torch.equal(weights(second)[name], weight) for name, weight in weights(whole).items())
    assert second.counters() == whole.counters()


@pytest.mark.parametrize(("first", "then"), [("bf16", "fp16"), ("fp16", "fp32")])
def test_it_goes_on_in_another_precision(options: dict[str, object], first: str, then: str) -> None:
    engine = build(network(), config(**options), "cpu", first)
    engine.step(losses(times=1e-3), 1e-2)
    model = network()
    model.load_state_dict(weights(engine))
    again = build(model, config(**options), "cpu", then)
    again.load({name: (m.clone(), v.clone()) for name, m, v in engine.moments()}, engine.counters())
    report = again.step(losses(times=1e-3), 1e-2)
    assert report.taken
    assert report.loss_scale == (2.0**16 if then == "fp16" else 1), "begun anew, not taken from where there was none"
    assert again.counters()["steps_taken"] == 2


def test_the_loss_scale_doubles_after_many_steps_without_an_overflow(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepspeed_engine, "GROWTH_INTERVAL", 2)
    engine = build(network(), config(**options), "cpu", "fp16")
    if engine._scaler is not None:  # type: ignore[attr-defined]  # PyTorch's own, which ZeRO has none of
        engine._scaler.set_growth_interval(2)  # type: ignore[attr-defined]
    reports = [engine.step(losses(times=1e-3), 1e-4) for _ in range(5)]
    assert [report.loss_scale for report in reports] == [2.0**16, 2.0**16, 2.0**17, 2.0**17, 2.0**18]
    assert engine.counters() == {"steps_taken": 5, "loss_scale": 2.0**18, "steps_at_scale": 1}
    norms = [report.grad_norm for report in reports]
    assert norms == pytest.approx([norms[0]] * 5, rel=0.05), "whatever it was scaled by"


def test_an_overflow_in_fp16_takes_no_step_and_halves_the_scale(options: dict[str, object]) -> None:
    engine = build(network(), config(**options), "cpu", "fp16")
    before = weights(engine)
    report = engine.step(losses(times=10.0), 1e-2)
    assert not report.taken
    assert report.loss_scale == 2.0**16
    assert all(torch.equal(before[name], weight) for name, weight in weights(engine).items())
    while not report.taken:
        report = engine.step(losses(times=10.0), 1e-2)
    assert report.loss_scale < 2.0**16
    assert engine.counters()["steps_taken"] == 1
    assert math.isfinite(report.grad_norm)


def test_a_gradient_that_is_no_number_takes_no_step(options: dict[str, object]) -> None:
    engine = build(network(), config(**options), "cpu", "fp32")
    before = weights(engine)
    assert not engine.step(losses(times=math.nan), 1e-2).taken
    assert all(torch.equal(before[name], weight) for name, weight in weights(engine).items())


def test_without_a_compiler_training_goes_on_with_pytorch_and_says_so_once(tmp_path: Path) -> None:
    script = """
import sys, warnings, torch
from adm.config import TrainConfig
from adm.training.engines import build
from assay.errors import UserError
config = TrainConfig(iterations=1, batch_size=1)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    print(build(torch.nn.Linear(2, 2), config, "cpu", "fp32").name, *(str(w.message) for w in said))
try:
    build(torch.nn.Linear(2, 2), config.model_copy(update={"engine": "deepspeed"}), "cpu", "fp32")
except UserError as error:
    print(error)
print("deepspeed" in sys.modules, "mlflow" in sys.modules)
"""
    bare = {**os.environ, "PATH": str(tmp_path), "TORCH_EXTENSIONS_DIR": str(tmp_path / "extensions")}
    said = subprocess.run([sys.executable, "-c", script], env=bare, capture_output=True, text=True, check=True).stdout
    fallback, refusal, imported = said.strip().splitlines()[-3:]
    assert imported == "True False", (
        "DeepSpeed imports MLflow for an autotuner that nothing here uses: that takes seconds"
    )
    assert fallback.startswith("torch DeepSpeed's operators cannot be built here (")
    assert fallback.count("cannot be built") == 1
    assert "install a C++ compiler" in refusal
