"""A network's structure as data: the blocks that a ModelConfig describes, in order. Imports no torch.

The modules (unet.py, encoder.py) and the FLOP counter (adm.compute) both use the Layout, so that plans describe what
runs. Legend: a block is a tuple of layers; every layer has the side length in pixels (`resolution`) and the channels of
its output.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from adm.config import ModelConfig
from adm.registries import Role
from assay.errors import FieldError

NUM_GROUPS = 32
"""Groups of every GroupNorm; numbers of channels must be multiples of it."""
CPU_FUSED_ATTENTION_PIXELS = {4: 256, 2: 1024}
"""Bytes of an element → the number of pixels from which the CPU's fused attention is faster than two matrix products:
tests/bench/attention.py measures it."""
SPATIAL_POOL_CHANNELS = 2048
"""Hidden width of the classifier's spatial pools."""


@dataclass(frozen=True)
class Conv:
    """A 3×3 convolution."""

    in_channels: int
    out_channels: int
    resolution: int


@dataclass(frozen=True)
class Res:
    """A residual block, conditioned on the embedding; with `resample`, BigGAN's up/downsampling block."""

    in_channels: int
    out_channels: int
    resolution: int
    resample: Literal["up", "down"] | None = None


@dataclass(frozen=True)
class Attention:
    """Self-attention over all pixels of a resolution."""

    channels: int
    resolution: int
    heads: int


@dataclass(frozen=True)
class Resample:
    """Interpolation (up) or average pooling (down) by two, with a 3×3 convolution if `conv`."""

    channels: int
    resolution: int
    direction: Literal["up", "down"]
    conv: bool


Layer = Conv | Res | Attention | Resample
Block = tuple[Layer, ...]


@dataclass(frozen=True)
class Layout:
    """The network of one config. `output_blocks` is empty for an encoder.

    Output block i reads the concatenation of the previous output and the output of input block −1−i.
    """

    config: ModelConfig
    embed_channels: int
    input_blocks: tuple[Block, ...]
    middle_block: Block
    output_blocks: tuple[Block, ...]
    head_channels: int
    """Input channels of the head: the last norm and convolution, or the classifier's pool."""
    head_resolution: int
    pool_heads: int
    """Heads of the classifier's attention pool; 0 for other networks."""

    @property
    def head_features(self) -> int:
        """Input width of the classifier's spatial pools: the channels of all input blocks and the middle block."""
        blocks = (*self.input_blocks, self.middle_block)
        return sum(channels(block) for block in blocks)


def channels(block: Block) -> int:
    """Output channels of a block."""
    last = block[-1]
    return last.out_channels if isinstance(last, Conv | Res) else last.channels


@lru_cache(maxsize=256)
def layout(config: ModelConfig) -> Layout:
    """The blocks of the network that `config` describes (appendix K; section 3).

    Raises FieldError if the channels are not divisible by 32, or by the number or width of the heads.
    """
    widths = tuple(int(mult * config.channels) for mult in config.channel_mult)
    _check_widths(config, widths)
    stem = Conv(config.in_channels * (2 if config.role is Role.ENLARGES else 1), widths[0], config.image_size)
    input_blocks: list[Block] = [(stem,)]
    ch, resolution = widths[0], config.image_size
    for level, width in enumerate(widths):
        for _ in range(config.num_res_blocks):
            input_blocks.append((Res(ch, width, resolution), *_attention(config, width, resolution, config.num_heads)))
            ch = width
        if level < len(widths) - 1:
            resolution //= 2
            input_blocks.append((_resample(config, ch, resolution, "down"),))

    middle = (
        Res(ch, ch, resolution),
        Attention(ch, resolution, _heads(config, ch, config.num_heads)),
        Res(ch, ch, resolution),
    )
    output_blocks: list[Block] = []
    if config.role is not Role.CLASSIFIES:
        skips = [channels(block) for block in input_blocks]
        heads_up = config.num_heads_up or config.num_heads
        for level, width in reversed(list(enumerate(widths))):
            for i in range(config.num_res_blocks + 1):
                block: list[Layer] = [Res(ch + skips.pop(), width, resolution)]
                block += _attention(config, width, resolution, heads_up)
                ch = width
                if level and i == config.num_res_blocks:
                    resolution *= 2
                    block.append(_resample(config, ch, resolution, "up"))
                output_blocks.append(tuple(block))
    return Layout(
        config=config,
        embed_channels=4 * config.channels,
        input_blocks=tuple(input_blocks),
        middle_block=middle,
        output_blocks=tuple(output_blocks),
        head_channels=ch,
        head_resolution=resolution,
        pool_heads=_heads(config, ch, config.num_heads) if config.role is Role.CLASSIFIES else 0,
    )


def _attention(config: ModelConfig, width: int, resolution: int, heads: int) -> tuple[Attention, ...]:
    if resolution not in config.attention_resolutions:
        return ()
    return (Attention(width, resolution, _heads(config, width, heads)),)


def _resample(config: ModelConfig, ch: int, resolution: int, direction: Literal["up", "down"]) -> Layer:
    if config.updown == "residual":
        return Res(ch, ch, resolution, resample=direction)
    return Resample(ch, resolution, direction, conv=config.updown == "conv")


def _heads(config: ModelConfig, width: int, heads: int) -> int:
    if config.head_channels is not None:
        if width % config.head_channels:
            raise FieldError(
                f"attention over {width} channels cannot have heads of head_channels {config.head_channels}: "
                f"use a divisor of {width}",
                "head_channels",
            )
        return width // config.head_channels
    if width % heads:
        raise FieldError(
            f"attention over {width} channels cannot have {heads} heads: use a divisor of {width}",
            "num_heads",
            "num_heads_up",
        )
    return heads


def _check_widths(config: ModelConfig, widths: tuple[int, ...]) -> None:
    for mult, width in zip(config.channel_mult, widths, strict=True):
        if width == 0 or width % NUM_GROUPS:
            raise FieldError(
                f"channels {config.channels} × channel_mult {mult:g} is {width}, which GroupNorm cannot divide into "
                f"{NUM_GROUPS} groups: every resolution needs a multiple of {NUM_GROUPS} channels",
                "channels",
                "channel_mult",
            )
    if config.role is Role.CLASSIFIES and config.num_classes is not None:
        raise FieldError(
            "an encoder is not class-conditional: leave num_classes out; its classes are out_channels", "num_classes"
        )
