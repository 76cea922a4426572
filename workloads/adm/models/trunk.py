"""The part shared by the U-Net and the classifier: the embedding, the down path and the middle."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from adm.config import ModelConfig
from adm.models.attention import AttentionBlock
from adm.models.implementations import IMPLEMENTATIONS
from adm.models.layers import Downsample, ResBlock, Upsample, timestep_embedding
from adm.models.layout import Attention, Block, Conv, Layer, Res, layout
from assay.errors import UserError


def head_precision(x: Tensor) -> AbstractContextManager[None]:
    """Compute the head in the type of its weights, even under autocast, so that ε keeps its precision."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


class EmbedSequential(nn.ModuleList):
    """A block of the network: layers in sequence. Residual blocks also receive the embedding."""

    def __init__(self, layers: list[nn.Module], activation_checkpointing: bool) -> None:
        super().__init__(layers)
        self.activation_checkpointing = activation_checkpointing

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        for layer in self:
            arguments = (x, emb) if isinstance(layer, ResBlock) else (x,)
            if (
                self.activation_checkpointing
                and torch.is_grad_enabled()
                and isinstance(layer, ResBlock | AttentionBlock)
            ):
                x = checkpoint(layer, *arguments, use_reentrant=False)
            else:
                x = layer(*arguments)
        return x


class Trunk(nn.Module):
    """A network up to and including its middle block. Attribute names are the keys of the published checkpoints."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.layout = layout(config)
        self.implementation = IMPLEMENTATIONS[config.implementation]
        E = self.layout.embed_channels
        self.time_embed = nn.Sequential(nn.Linear(config.channels, E), nn.SiLU(), nn.Linear(E, E))
        if config.num_classes is not None:
            self.label_emb = nn.Embedding(config.num_embeddings, E)
        self.input_blocks = nn.ModuleList(self._block(block, E) for block in self.layout.input_blocks)
        self.middle_block = self._block(self.layout.middle_block, E)

    def _block(self, block: Block, embed_channels: int) -> EmbedSequential:
        layers = [self._layer(layer, embed_channels) for layer in block]
        sequence = EmbedSequential(layers, self.config.activation_checkpointing)
        self.implementation.prepare(sequence)
        return sequence

    def _layer(self, layer: Layer, embed_channels: int) -> nn.Module:
        config = self.config
        if isinstance(layer, Conv):
            return nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
        if isinstance(layer, Res):
            return ResBlock(
                layer.in_channels,
                layer.out_channels,
                embed_channels,
                implementation=self.implementation,
                dropout=config.dropout,
                adagn=config.norm == "adagn",
                resample=layer.resample,
                rescale=config.rescale_skip,
            )
        if isinstance(layer, Attention):
            return AttentionBlock(
                layer.channels,
                layer.heads,
                config.qkv_order,
                implementation=self.implementation,
                rescale=config.rescale_skip,
            )
        resample = Upsample if layer.direction == "up" else Downsample
        return resample(layer.channels, layer.conv)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.time_embed[0].weight.dtype  # type: ignore[return-value]

    def embed(self, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Timesteps t (N,) and, for a conditional model, y → the embedding (N, E).

        y is either classes, integers (N,), where num_classes is the null class if there is one; or weights, floating
        point (N, num_classes), for the weighted sum of the class embeddings: a row with a single 1 is exactly that
        class.
        """
        if (y is None) != (self.config.num_classes is None):
            has = "has no classes" if y is not None else f"is conditional on {self.config.num_classes} classes"
            raise UserError(f"the model {has}, but y was {'not given' if y is None else 'given'}")
        emb = self.time_embed(timestep_embedding(t, self.config.channels).to(self.dtype))
        return emb if y is None else emb + self._class_embedding(y)

    def _class_embedding(self, y: Tensor) -> Tensor:
        is_weighted, classes = y.is_floating_point(), self.config.num_classes
        if y.shape[1:] != ((classes,) if is_weighted else ()):
            raise UserError(
                f"y is {tuple(y.shape)} of {y.dtype}; give classes as integers (N,), or the weight of every class "
                f"as floating point (N, {classes})"
            )
        if not is_weighted:
            return self.label_emb(y)
        with head_precision(y):
            return y.to(self.dtype) @ self.label_emb.weight[:classes]

    def arranged(self, x: Tensor) -> Tensor:
        """x in the memory format and type in which the network computes."""
        return self.implementation.arrange(x.to(self.dtype))
