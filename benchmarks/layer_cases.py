"""What the layers are timed on: each with its shape, and with what one would write for it in plain PyTorch.

Pictures are NHWC for Keras's words and channels_last NCHW, the fastest there, for torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CASES", "Case"]


def _as_is(x: Tensor) -> Tensor:
    return x


def _picture(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def _channels_second(x: Tensor) -> Tensor:
    return x.movedim(-1, 1).contiguous()


@dataclass(frozen=True)
class Case:
    """``make`` gives the layer of a package's ``layers``; ``plain`` torch's own; ``whole`` inputs are below 100."""

    name: str
    make: Callable[[Any], Any]
    shape: tuple[int, ...]
    plain: Callable[[], Callable[..., Any]] | None = None
    arrange: Callable[[Tensor], Tensor] = _as_is
    whole: bool = False
    inputs: int = 1


class _Recurrent(nn.Module):
    """The last step of torch's recurrent layers."""

    def __init__(self, kind: type[nn.RNNBase], width: int, units: int) -> None:
        super().__init__()
        self.inner = kind(width, units, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[0][:, -1]


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.inner(x, y, y, need_weights=False)[0]


def _separable() -> nn.Module:
    return nn.Sequential(nn.Conv2d(16, 16, 3, groups=16, bias=False), nn.Conv2d(16, 32, 1))


def _sum(x: Tensor, y: Tensor) -> Tensor:
    return x + y


EDGES = torch.tensor([-1.0, 0.0, 1.0])
IMAGE, WIDE, TEXT, VECTOR = (16, 32, 32, 16), (16, 64, 64, 32), (32, 40, 32), (128, 256)

CASES = [
    Case("Dense", lambda k: k.Dense(256), VECTOR, lambda: nn.Linear(256, 256)),
    Case("Dense relu", lambda k: k.Dense(256, "relu"), VECTOR, lambda: nn.Sequential(nn.Linear(256, 256), nn.ReLU())),
    Case("EinsumDense", lambda k: k.EinsumDense("abc,cd->abd", (None, 64)), TEXT,
         lambda: nn.Linear(32, 64, bias=False)),
    Case("Embedding", lambda k: k.Embedding(100, 64), (64, 40), lambda: nn.Embedding(100, 64), whole=True),
    Case("Conv1D", lambda k: k.Conv1D(32, 3), TEXT, lambda: nn.Conv1d(32, 32, 3), _channels_second),
    Case("Conv2D", lambda k: k.Conv2D(32, 3), IMAGE, lambda: nn.Conv2d(16, 32, 3), _picture),
    Case("Conv2D same", lambda k: k.Conv2D(32, 3, padding="same"), IMAGE,
         lambda: nn.Conv2d(16, 32, 3, padding=1), _picture),
    Case("Conv2D 1x1", lambda k: k.Conv2D(64, 1), WIDE, lambda: nn.Conv2d(32, 64, 1), _picture),
    Case("Conv3D", lambda k: k.Conv3D(8, 3), (4, 10, 16, 16, 4), lambda: nn.Conv3d(4, 8, 3), _channels_second),
    Case("Conv2DTranspose", lambda k: k.Conv2DTranspose(16, 2, 2), IMAGE,
         lambda: nn.ConvTranspose2d(16, 16, 2, 2), _picture),
    Case("DepthwiseConv2D", lambda k: k.DepthwiseConv2D(3), WIDE, lambda: nn.Conv2d(32, 32, 3, groups=32), _picture),
    Case("SeparableConv2D", lambda k: k.SeparableConv2D(32, 3), IMAGE, _separable, _picture),
    Case("MaxPooling2D", lambda k: k.MaxPooling2D(2), WIDE, lambda: nn.MaxPool2d(2), _picture),
    Case("AveragePooling2D", lambda k: k.AveragePooling2D(2), WIDE, lambda: nn.AvgPool2d(2), _picture),
    Case("GlobalAveragePooling2D", lambda k: k.GlobalAveragePooling2D(), WIDE,
         lambda: lambda x: x.mean((2, 3)), _picture),
    Case("GlobalMaxPooling2D", lambda k: k.GlobalMaxPooling2D(), WIDE, lambda: lambda x: x.amax((2, 3)), _picture),
    Case("AdaptiveAveragePooling2D", lambda k: k.AdaptiveAveragePooling2D(7), WIDE,
         lambda: nn.AdaptiveAvgPool2d(7), _picture),
    Case("ZeroPadding2D", lambda k: k.ZeroPadding2D(2), IMAGE, lambda: nn.ZeroPad2d(2), _picture),
    Case("UpSampling2D", lambda k: k.UpSampling2D(2), IMAGE, lambda: nn.Upsample(scale_factor=2), _picture),
    Case("Flatten", lambda k: k.Flatten(), IMAGE, nn.Flatten),
    Case("Reshape", lambda k: k.Reshape((32, 512)), IMAGE, lambda: lambda x: x.reshape(-1, 32, 512)),
    Case("BatchNormalization", lambda k: k.BatchNormalization(), WIDE, lambda: nn.BatchNorm2d(32), _picture),
    Case("BatchNormalization 2", lambda k: k.BatchNormalization(), VECTOR, lambda: nn.BatchNorm1d(256)),
    Case("LayerNormalization", lambda k: k.LayerNormalization(), TEXT, lambda: nn.LayerNorm(32)),
    Case("RMSNormalization", lambda k: k.RMSNormalization(), TEXT, lambda: nn.RMSNorm(32)),
    Case("GroupNormalization", lambda k: k.GroupNormalization(4), IMAGE, lambda: nn.GroupNorm(4, 16), _picture),
    Case("UnitNormalization", lambda k: k.UnitNormalization(), VECTOR, lambda: lambda x: F.normalize(x, dim=-1)),
    Case("Dropout", lambda k: k.Dropout(0.5), VECTOR, lambda: nn.Dropout(0.5)),
    Case("ReLU", lambda k: k.ReLU(), VECTOR, nn.ReLU),
    Case("LeakyReLU", lambda k: k.LeakyReLU(), VECTOR, lambda: nn.LeakyReLU(0.3)),
    Case("PReLU", lambda k: k.PReLU(shared_axes=[1, 2]), IMAGE, lambda: nn.PReLU(16), _picture),
    Case("Softmax", lambda k: k.Softmax(), VECTOR, lambda: nn.Softmax(-1)),
    Case("Activation gelu", lambda k: k.Activation("gelu"), VECTOR, nn.GELU),
    Case("Add", lambda k: k.Add(), VECTOR, lambda: _sum, inputs=2),
    Case("Concatenate", lambda k: k.Concatenate(), VECTOR, lambda: lambda x, y: torch.cat([x, y], -1), inputs=2),
    Case("LSTM", lambda k: k.LSTM(32), TEXT, lambda: _Recurrent(nn.LSTM, 32, 32)),
    Case("GRU", lambda k: k.GRU(32), TEXT, lambda: _Recurrent(nn.GRU, 32, 32)),
    Case("SimpleRNN", lambda k: k.SimpleRNN(32), TEXT, lambda: _Recurrent(nn.RNN, 32, 32)),
    Case("Bidirectional LSTM", lambda k: k.Bidirectional(k.LSTM(32)), TEXT),
    Case("ConvLSTM2D", lambda k: k.ConvLSTM2D(8, 3), (4, 6, 16, 16, 4)),
    Case("TimeDistributed Dense", lambda k: k.TimeDistributed(k.Dense(32)), TEXT, lambda: nn.Linear(32, 32)),
    Case("MultiHeadAttention", lambda k: k.MultiHeadAttention(4, 16), (16, 64, 64),
         lambda: _SelfAttention(64, 4), inputs=2),
    Case("GroupQueryAttention", lambda k: k.GroupQueryAttention(16, 4, 2), (16, 64, 64), inputs=2),
    Case("Attention", lambda k: k.Attention(), (16, 64, 64),
         lambda: lambda x, y: F.scaled_dot_product_attention(x, y, y, scale=1.0), inputs=2),
    Case("AdditiveAttention", lambda k: k.AdditiveAttention(), (8, 32, 32), inputs=2),
    Case("SpectralNormalization", lambda k: k.SpectralNormalization(k.Dense(256)), VECTOR,
         lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(256, 256))),
    Case("Discretization", lambda k: k.Discretization([-1.0, 0.0, 1.0]), VECTOR,
         lambda: lambda x: torch.bucketize(x, EDGES, right=True)),
    Case("CategoryEncoding", lambda k: k.CategoryEncoding(100, "multi_hot"), (64, 10), whole=True),
    Case("Rescaling", lambda k: k.Rescaling(1 / 255), IMAGE, lambda: lambda x: x * (1 / 255)),
    Case("Resizing", lambda k: k.Resizing(48, 48), IMAGE,
         lambda: lambda x: F.interpolate(x, (48, 48), mode="bilinear"), _picture),
    Case("RandomFlip", lambda k: k.RandomFlip(), IMAGE),
    Case("RandomRotation", lambda k: k.RandomRotation(0.1), IMAGE),
    Case("RandomContrast", lambda k: k.RandomContrast(0.2), IMAGE),
]  # fmt: skip
