"""Parts of a config that do not go together, or would have no effect: said before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest

from adm.config import TrainConfig
from adm.workload import workload
from assay.errors import ConfigError

GUIDED = {"sample.guidance_scale": 1.0}
PHOTOGRAPHS = {"data.source": "npz", "data.path": "images.npz", "evaluate.extractor": "pixels"}
DETERMINISTIC = {"sample.sampler": "ddim", "sample.eta": 0.0}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            {**PHOTOGRAPHS, "classifier.model.in_channels": 3},
            r"classifier\.model\.in_channels is 3, but it sees images of model\.in_channels 1",
        ),
        (
            {**PHOTOGRAPHS, **GUIDED, "classifier.model.out_channels": 7},
            r"classifier\.model\.out_channels is 7, .* images of model\.num_classes 10",
        ),
        ({**DETERMINISTIC, "sample.temperature": 0.9}, r"sample\.temperature: 0\.9 has no effect.*eta 0 adds none"),
        (
            {"train.checkpoint": "w.pt", "train.ema_rates": [0.99, 0.9], "sample.ema_rate": 0.9},
            r"sample\.ema_rate: 0\.9 is one of the averages of a training, but train\.checkpoint 'w\.pt' holds a",
        ),
        (
            {"seed": 2**64},
            r"seed: got 18446744073709551616 \(int\), allowed: an integer ≥ 0 and ≤ 18446744073709551615",
        ),
    ],
)
def test_refused(overrides: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        workload.resolve("digits", overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        {**PHOTOGRAPHS, "classifier.model.out_channels": 7},
        {**PHOTOGRAPHS, **GUIDED, "classifier.model.out_channels": 7, "model.num_classes": None},
        {**DETERMINISTIC, "sample.temperature": 0.9, "sample.temperature_scales": "epsilon"},
        {**DETERMINISTIC, "sample.temperature": 0.9, "sample.eta": 0.5},
        {"sample.temperature": 0.9},
        {"train.checkpoint": "w.pt", "train.ema_rates": [0.99, 0.9], "sample.ema_rate": 0.99},
        {"train.ema_rates": [0.99, 0.9], "sample.ema_rate": 0.9},
        {"seed": 2**64 - 1},
    ],
)
def test_taken(overrides: dict[str, Any]) -> None:
    assert workload.resolve("digits", overrides)


def test_a_preset_anneals_over_its_length_whatever_that_is() -> None:
    for base, path in (("classifier128", "train"), ("imagenet128_to_512", "classifier.train")):
        values: Any = workload.resolve(base, {f"{path}.iterations": 150_000})
        for name in path.split("."):
            values = values[name]
        assert TrainConfig(**values).annealed_over == 150_000
