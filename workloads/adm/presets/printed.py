"""Tables 11 to 14 as printed in the paper, generated from the presets: `assay show preset tables`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from adm import presets
from adm.compute import network_cost
from adm.config import Config
from adm.presets.tables import GUIDANCE_250_STEPS, GUIDANCE_DDIM_25_STEPS
from assay.workload import PrintedTable

Columns = Mapping[str, Sequence[Config]]
"""Heading → the presets of a column. LSUN's column has three, which differ only in their iterations."""
Cell = Callable[[Config], str]
IMAGENET = {f"ImageNet {size}": f"imagenet{size}" for size in (64, 128, 256, 512)}
LSUN = {"bedroom": "lsun_bedroom_256", "cat": "lsun_cat_256", "horse": "lsun_horse_256"}
VARIES = "varies*"


def tables() -> list[PrintedTable]:
    return [_diffusion(), _classifiers(), _upsamplers(), _guidance()]


def _diffusion() -> PrintedTable:
    columns = {"LSUN": [presets.load(name) for name in LSUN.values()]} | {
        heading: [presets.load(name)] for heading, name in IMAGENET.items()
    }
    trained = ", ".join(
        f"{_thousands(presets.load(preset).train.iterations)} for {name}" for name, preset in LSUN.items()
    )
    rows = _rows(columns, {**PROCESS, **NETWORK, **DROPOUT, **TRAINING})
    notes = (f"* LSUN: {trained}.", "The paper prints LSUN's 552.8M parameters as 552M.")
    return PrintedTable("table11", "Hyperparameters for diffusion models", tuple(columns), rows, notes)


def _classifiers() -> PrintedTable:
    columns = {heading: [presets.load(f"classifier{name[8:]}")] for heading, name in IMAGENET.items()}
    own = {
        "Attention pooling": lambda c: _tick(c.model.pool == "attention"),
        "Weight decay": lambda c: f"{c.train.weight_decay:g}",
    }
    network = {name: cell for name, cell in NETWORK.items() if name != "Heads"}
    rows = _rows(columns, {**PROCESS, **network, **own, **TRAINING})
    notes = (
        "For its 128 → 512 upsamples the paper guides the 128×128 model by a classifier trained with batch size 1024 "
        "and learning rate 6e-5: imagenet128_to_512 has that one.",
    )
    return PrintedTable("table12", "Hyperparameters for classification models", tuple(columns), rows, notes)


def _upsamplers() -> PrintedTable:
    columns = {
        f"ImageNet {low} → {high}": [presets.load(f"upsample_{low}_{high}")] for low, high in ((64, 256), (128, 512))
    }
    rows = _rows(columns, {**PROCESS, **NETWORK, **DROPOUT, **TRAINING})
    notes = ("128 → 512 has no seventh resolution: a lower path should be unnecessary for upsampling.",)
    return PrintedTable("table13", "Hyperparameters for upsampling diffusion models", tuple(columns), rows, notes)


def _guidance() -> PrintedTable:
    scales = {"250 steps": GUIDANCE_250_STEPS, "DDIM, 25 steps": GUIDANCE_DDIM_25_STEPS}
    rows = tuple(
        (f"Gradient Scale ({how})", *(str(values[name]) if name in values else "-" for name in IMAGENET.values()))
        for how, values in scales.items()
    )
    return PrintedTable("table14", "Hyperparameters for classifier-guided sampling", tuple(IMAGENET), rows)


def _rows(columns: Columns, cells: Mapping[str, Cell]) -> tuple[tuple[str, ...], ...]:
    """One row per hyperparameter, one cell per column; "varies" where the presets of a column differ."""
    rows = []
    for name, cell in cells.items():
        shown = [dict.fromkeys(cell(config) for config in column) for column in columns.values()]
        rows.append((name, *(next(iter(values)) if len(values) == 1 else VARIES for values in shown)))
    return tuple(rows)


def _thousands(count: int) -> str:
    return f"{count // 1000}K" if count % 1000 == 0 else str(count)


def _tick(is_so: bool) -> str:
    return "✓" if is_so else "✗"


def _power(value: float) -> str:
    """A number as the paper prints it: 1e-4, not 0.0001."""
    digits, exponent = f"{value:e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


PROCESS: dict[str, Cell] = {
    "Diffusion steps": lambda c: str(c.diffusion.steps),
    "Noise Schedule": lambda c: c.diffusion.schedule,
    "Model size": lambda c: f"{network_cost(c.model).parameters / 1e6:.0f}M",
}
NETWORK: dict[str, Cell] = {
    "Channels": lambda c: str(c.model.channels),
    "Depth": lambda c: str(c.model.num_res_blocks),
    "Channels multiple": lambda c: ",".join(f"{m:g}" for m in c.model.channel_mult),
    "Heads": lambda c: "" if c.model.head_channels is not None else str(c.model.num_heads),
    "Heads Channels": lambda c: "" if c.model.head_channels is None else str(c.model.head_channels),
    "Attention resolution": lambda c: ",".join(map(str, c.model.attention_resolutions)),
    "BigGAN up/downsample": lambda c: _tick(c.model.updown == "residual"),
}
DROPOUT: dict[str, Cell] = {"Dropout": lambda c: str(c.model.dropout)}
TRAINING: dict[str, Cell] = {
    "Batch size": lambda c: str(c.train.batch_size),
    "Iterations": lambda c: _thousands(c.train.iterations),
    "Learning Rate": lambda c: _power(c.train.learning_rate),
}
