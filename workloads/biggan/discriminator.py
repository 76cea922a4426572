"""The discriminator of BigGAN-deep (appendix B, figure 16): the generator's blocks in reverse order, without
batch norm.

Shapes: N images, C channels, H and W pixels; ch = channel_width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

from biggan.config import REDUCTION, DiscriminatorConfig
from biggan.layers import Conv, Embedding, Linear, SelfAttention


class Block(nn.Module):
    """A bottleneck residual block. If it has more outputs than inputs, a 1×1 convolution adds channels to the skip."""

    def __init__(self, inputs: int, outputs: int, halves: bool) -> None:
        super().__init__()
        middle = outputs // REDUCTION
        self._halves = halves
        self.conv_0 = Conv(inputs, middle, 1)
        self.conv_1 = Conv(middle, middle, 3)
        self.conv_2 = Conv(middle, middle, 3)
        self.conv_3 = Conv(middle, outputs, 1)
        self.skip = Conv(inputs, outputs - inputs, 1, bias=False) if outputs > inputs else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_2(relu(self.conv_1(relu(self.conv_0(relu(x))))))
        h = relu(h)
        if self._halves:
            h, x = avg_pool2d(h, 2), avg_pool2d(x, 2)
        skip = x if self.skip is None else torch.cat([x, self.skip(x)], dim=1)
        return self.conv_3(h) + skip


class Discriminator(nn.Module):
    """Scores (N,) of images (N, C, H, W) of classes y (N,): unbounded, higher for images that look real.

    The last features h, summed over the image, give w·h + e(y)·h (https://arxiv.org/abs/1802.05637).
    """

    def __init__(self, c: DiscriminatorConfig, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.stem = Conv(in_channels, c.channel_width * c.layers[0][1], 3)
        layers: list[nn.Module] = []
        for index, (halves, width_in, width_out) in enumerate(c.layers):
            inputs, outputs = c.channel_width * width_in, c.channel_width * width_out
            if index == c.attention_layer_position:
                layers.append(SelfAttention(inputs))
            layers.append(Block(inputs, outputs, halves))
        self.layers = nn.Sequential(*layers)
        features = c.channel_width * c.layers[-1][2]
        self.linear = Linear(features, 1)
        self.embedding = Embedding(num_classes, features)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = relu(self.layers(self.stem(x))).sum((2, 3))
        return self.linear(h).squeeze(1) + (self.embedding(y) * h).sum(1)
