"""The generator of BigGAN-deep (appendix B, figure 16 and tables 7 to 9), with the parameter names of the published
PyTorch port of its weights (https://github.com/huggingface/pytorch-pretrained-BigGAN).

Shapes: N images, C channels, H and W pixels; ch = channel_width; S = n_stats rows of batch norm's statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from assay.workload.group import mean_over_workers
from biggan.config import FIRST_SIZE, FIRST_WIDTH, REDUCTION, GeneratorConfig
from biggan.layers import Conv, Linear, SelfAttention

GRID_TOLERANCE = 1e-6
"""Tolerance, in rows, within which a truncation is on a row of statistics: 0.3/0.02 is 14.999…"""

Statistics = Literal["stored", "batch", "collected"]


class BatchNorm(nn.Module):
    """Batch norm whose statistics depend on the truncation: row s of S is for truncation s/(S − 1).

    Conditional: scale 1 + a(c) and offset b(c) are linear in the condition c; otherwise both are learned.
    """

    running_means: Tensor
    """(S, C)."""
    running_vars: Tensor
    """(S, C)."""

    def __init__(self, channels: int, n_stats: int, eps: float, condition: int | None) -> None:
        super().__init__()
        self._eps, self._condition = eps, condition
        self.statistics: Statistics = "stored"
        """stored: by truncation. batch: of the current batch, as in training. collected: the same, and added to `row`
        with the weight `share`."""
        self.row, self.share = 0, 1.0
        self.register_buffer("running_means", torch.zeros(n_stats, channels))
        self.register_buffer("running_vars", torch.ones(n_stats, channels))
        if condition is not None:
            self.scale = Linear(condition, channels, bias=False)
            self.offset = Linear(condition, channels, bias=False)
        else:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, truncation: float, condition: Tensor) -> Tensor:
        mean, variance = self._statistics(x, truncation)
        normalised = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + self._eps)
        if self._condition is not None:
            return normalised * (1 + self.scale(condition)[..., None, None]) + self.offset(condition)[..., None, None]
        return normalised * self.weight[:, None, None] + self.bias[:, None, None]

    def _statistics(self, x: Tensor, truncation: float) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel (C,)."""
        if self.statistics == "stored":
            return self._at(self.running_means, truncation), self._at(self.running_vars, truncation)
        # Over the images of all workers, so that a step does not depend on their number.
        mean = mean_over_workers(x.mean((0, 2, 3)))
        variance = mean_over_workers((x - mean[:, None, None]).square().mean((0, 2, 3)))
        if self.statistics == "collected":
            self.running_means[self.row] += self.share * mean.detach()
            self.running_vars[self.row] += self.share * variance.detach()
        return mean, variance

    def _at(self, rows: Tensor, truncation: float) -> Tensor:
        """The row of a truncation, or the interpolation of the two rows beside it."""
        position = truncation * (len(rows) - 1)
        nearest = round(position)
        if abs(position - nearest) < GRID_TOLERANCE:
            return rows[nearest]
        lower = int(position)
        return torch.lerp(rows[lower], rows[lower + 1], position - lower)


class Block(nn.Module):
    """A bottleneck residual block. If it has fewer outputs than inputs, the skip drops the last channels."""

    def __init__(self, inputs: int, outputs: int, upsamples: bool, n_stats: int, eps: float, condition: int) -> None:
        super().__init__()
        middle = inputs // REDUCTION
        self._outputs, self._upsamples = outputs, upsamples
        self.bn_0 = BatchNorm(inputs, n_stats, eps, condition)
        self.conv_0 = Conv(inputs, middle, 1)
        self.bn_1 = BatchNorm(middle, n_stats, eps, condition)
        self.conv_1 = Conv(middle, middle, 3)
        self.bn_2 = BatchNorm(middle, n_stats, eps, condition)
        self.conv_2 = Conv(middle, middle, 3)
        self.bn_3 = BatchNorm(middle, n_stats, eps, condition)
        self.conv_3 = Conv(middle, outputs, 1)

    def forward(self, x: Tensor, truncation: float, condition: Tensor) -> Tensor:
        h = self.conv_0(relu(self.bn_0(x, truncation, condition)))
        h = relu(self.bn_1(h, truncation, condition))
        h = self.conv_1(_doubled(h) if self._upsamples else h)
        h = self.conv_2(relu(self.bn_2(h, truncation, condition)))
        h = self.conv_3(relu(self.bn_3(h, truncation, condition)))
        skip = x[:, : self._outputs]
        return h + (_doubled(skip) if self._upsamples else skip)


def _doubled(x: Tensor) -> Tensor:
    """Nearest-neighbour upsampling to twice the size."""
    return interpolate(x, scale_factor=2.0, mode="nearest")


class Generator(nn.Module):
    """Maps conditions (N, 2·z_dim), noise and class embedding, to images (N, C, H, W) in [-1, 1]."""

    def __init__(self, c: GeneratorConfig) -> None:
        super().__init__()
        self._width, self._out_channels, condition = c.channel_width * FIRST_WIDTH, c.out_channels, 2 * c.z_dim
        self.gen_z = Linear(condition, FIRST_SIZE**2 * self._width)
        layers: list[nn.Module] = []
        for index, (doubles, width_in, width_out) in enumerate(c.layers):
            inputs, outputs = c.channel_width * width_in, c.channel_width * width_out
            if index == c.attention_layer_position:
                layers.append(SelfAttention(inputs))
            layers.append(Block(inputs, outputs, doubles, c.n_stats, c.eps, condition))
        self.layers = nn.ModuleList(layers)
        self.bn = BatchNorm(c.channel_width, c.n_stats, c.eps, None)
        self.conv_to_rgb = Conv(c.channel_width, c.channel_width, 3)

    def forward(self, condition: Tensor, truncation: float) -> Tensor:
        # Channels come last, as in the TensorFlow program that the weights were published for.
        h = self.gen_z(condition).view(-1, FIRST_SIZE, FIRST_SIZE, self._width).permute(0, 3, 1, 2).contiguous()
        for layer in self.layers:
            h = layer(h, truncation, condition) if isinstance(layer, Block) else layer(h)
        h = self.conv_to_rgb(relu(self.bn(h, truncation, condition)))
        return torch.tanh(h[:, : self._out_channels])


class BigGAN(nn.Module):
    """The generator with its class embeddings."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = nn.Linear(config.num_classes, config.z_dim, bias=False)
        self.generator = Generator(config)

    def forward(self, z: Tensor, y: Tensor, truncation: float = 1.0) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of classes y (N,), int64.

        z (N, z_dim) is noise multiplied by the truncation; `truncation`, from 0 to 1, selects batch norm's statistics.
        Raises ValueError for a truncation or a class outside its range.
        """
        if not 0 <= truncation <= 1:
            raise ValueError(f"truncation is {truncation}, allowed: a number from 0 to 1")
        classes = self.config.num_classes
        if len(y) and not (int(y.min()) >= 0 and int(y.max()) < classes):
            raise ValueError(f"y has classes from {int(y.min())} to {int(y.max())}, allowed: 0 to {classes - 1}")
        return self.generator(torch.cat([z, self.embeddings.weight.t()[y]], dim=1), truncation)

    def use(self, statistics: Statistics) -> None:
        """Choose the statistics that batch norm uses."""
        for norm in self.norms:
            norm.statistics = statistics

    @property
    def norms(self) -> list[BatchNorm]:
        return [part for part in self.modules() if isinstance(part, BatchNorm)]

    @torch.no_grad()
    def collect(self, row: int, batches: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Set a row to the mean statistics of batches (z, y): the paper's "standing statistics"."""
        for norm in self.norms:
            norm.row, norm.share = row, 1 / len(batches)
            norm.running_means[row].zero_()
            norm.running_vars[row].zero_()
        self.use("collected")
        for z, y in batches:
            self(z, y)
        self.use("stored")


def build(
    *,
    channel_width: int,
    z_dim: int,
    num_classes: int,
    layers: Sequence[Sequence[bool | int]],
    attention_layer_position: int | None,
    n_stats: int = 51,
    eps: float = 1e-4,
    out_channels: int = 3,
) -> BigGAN:
    """A generator with fresh weights, in eval mode.

    layers: (whether it doubles the size, channels in, channels out) per layer, in multiples of channel_width; the first
    one works at 4×4 pixels. attention_layer_position: the layer before which there is attention; None, or a position
    without a layer, for no attention.

    Raises pydantic's ValidationError, a ValueError, for an invalid network.
    """
    attends = attention_layer_position in range(len(layers))
    config = GeneratorConfig.model_validate(
        {
            "channel_width": channel_width,
            "z_dim": z_dim,
            "num_classes": num_classes,
            "layers": [tuple(layer) for layer in layers],
            "attention_layer_position": attention_layer_position if attends else None,
            "n_stats": n_stats,
            "eps": eps,
            "out_channels": out_channels,
        }
    )
    return from_config(config)


def from_config(config: GeneratorConfig) -> BigGAN:
    """As `build`."""
    return BigGAN(config).eval()
