"""The captured step gives the numbers of the eager run, to the bit: training and prediction of many kinds of nets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from closeness import close
from dougong.training.capture import capture

Loss = Callable[[Tensor, Tensor], Tensor]


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class HandMadeNorm(nn.Module):
    """Batch normalization written with in-place statistics and a counter."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = x.mean(0), x.var(0, unbiased=False)
        self.count.add_(1)
        self.mean.mul_(0.9).add_(mean.detach(), alpha=0.1)
        self.variance.lerp_(variance.detach(), 0.1)
        return (x - mean) * torch.rsqrt(variance + 1e-3) * self.gamma + self.mean


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads, self.dropout = heads, dropout

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        split = self.inner(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=self.dropout)
        return self.outer(mixed.transpose(1, 2).reshape(batch, length, width))


class Last(nn.Module):
    """The last step of a recurrent layer."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x: Tensor) -> Tensor:
        return self.recurrent(x)[0][:, -1]


class Twice(nn.Module):
    """One layer used twice: its gradients add up."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.tanh(self.layer(x)))


def _nhwc_net() -> nn.Module:
    return nn.Sequential(
        Apply(lambda x: x.permute(0, 3, 1, 2)),
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU6(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 4, 1),
        nn.AvgPool2d(2),
        Apply(lambda x: x.permute(0, 2, 3, 1).flatten(1)),
        nn.Dropout(0.25),
        nn.Linear(16, 3),
    ).to(memory_format=torch.channels_last)  # fmt: skip


def _classes(*shape: int, num: int = 3) -> tuple[Tensor, Tensor]:
    return torch.randn(shape), torch.randint(0, num, (shape[0],))


def _values(*shape: int, out: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return torch.randn(shape), torch.randn(out)


def _hinge(pred: Tensor, true: Tensor) -> Tensor:
    return torch.clamp(1.0 - pred * true, min=0.0).pow(2).mean() + 0.01 * pred.abs().sum()


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, Tensor]], Loss]] = {
    "binary": (
        lambda: nn.Sequential(nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 1), nn.Sigmoid()),
        lambda: (torch.randn(4, 2), torch.randint(0, 2, (4, 1)).float()),
        functional.binary_cross_entropy,
    ),
    "dropout and batch norm": (
        lambda: nn.Sequential(nn.Linear(4, 10), nn.BatchNorm1d(10), nn.Tanh(), nn.Dropout(0.3), nn.Linear(10, 3)),
        lambda: _classes(32, 4),
        functional.cross_entropy,
    ),
    "hand-made norm": (
        lambda: nn.Sequential(nn.Linear(4, 6), HandMadeNorm(6), nn.GELU(), nn.Linear(6, 1)),
        lambda: _values(16, 4, out=(16, 1)),
        functional.huber_loss,
    ),
    "channels last": (_nhwc_net, lambda: _classes(5, 8, 8, 3), functional.cross_entropy),
    "layer norm": (
        lambda: nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.SiLU(), nn.Linear(8, 2)),
        lambda: _values(6, 5, 4, out=(6, 5, 2)),
        functional.mse_loss,
    ),
    "group norm, softmax": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.GroupNorm(2, 4), nn.ELU(), nn.Softmax(1)),
        lambda: _values(6, 3, 9, out=(6, 4, 7)),
        functional.smooth_l1_loss,
    ),
    "attention": (lambda: Attention(12, 3), lambda: _values(4, 6, 12, out=(4, 6, 12)), functional.mse_loss),
    "attention with dropout": (
        lambda: Attention(12, 3, dropout=0.4), lambda: _values(4, 6, 12, out=(4, 6, 12)), functional.mse_loss
    ),
    "transformer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True),
        lambda: _values(3, 5, 8, out=(3, 5, 8)),
        functional.l1_loss,
    ),
    "lstm": (
        lambda: nn.Sequential(Last(nn.LSTM(3, 7, batch_first=True)), nn.Linear(7, 1)),
        lambda: _values(4, 6, 3, out=(4, 1)),
        functional.mse_loss,
    ),
    "bidirectional gru": (
        lambda: nn.Sequential(Last(nn.GRU(3, 5, 2, batch_first=True, bidirectional=True)), nn.Linear(10, 1)),
        lambda: _values(4, 6, 3, out=(4, 1)),
        functional.mse_loss,
    ),
    "embedding of integers": (
        lambda: nn.Sequential(nn.Embedding(20, 6, padding_idx=0), nn.Flatten(), nn.Linear(30, 3)),
        lambda: (torch.randint(0, 20, (8, 5)), torch.randint(0, 3, (8,))),
        functional.cross_entropy,
    ),
    "shared parameters": (
        lambda: nn.Sequential(Twice(nn.Linear(5, 5)), nn.Linear(5, 1)), lambda: _values(7, 5, out=(7, 1)), _hinge
    ),
    "transposed convolution": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 3, stride=2), nn.LeakyReLU(0.1), nn.Upsample(scale_factor=2)),
        lambda: _values(2, 2, 4, 4, out=(2, 3, 18, 18)),
        functional.mse_loss,
    ),
    "slices and concatenation": (
        lambda: nn.Sequential(
            nn.Linear(6, 6), Apply(lambda x: torch.cat([x[:, :2] * 2, x[:, 3:].flip(1), x[:, 1:2]], 1).roll(1, 0))
        ),
        lambda: _values(5, 6, out=(5, 6)),
        _hinge,
    ),
}  # fmt: skip


def _captured(model: nn.Module, loss: Loss, x: Tensor, y: Tensor, **options: Any) -> tuple[Any, list[Tensor]]:
    parameters = list(model.parameters())
    gradients = [torch.full_like(parameter, 7.0) for parameter in parameters]
    captured = capture(lambda x, y: loss(model(x), y), [x, y], gradients_of=parameters, gradients=gradients, **options)
    return captured, gradients


def _train(model: nn.Module, loss: Loss, x: Tensor, y: Tensor, *, by_capture: bool, steps: int = 20) -> list[float]:
    """Losses of Adam steps on the batch, whose rows turn by one at each step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    torch.manual_seed(3)
    step = None
    if by_capture:
        step, gradients = _captured(model, loss, x, y)
        for parameter, gradient in zip(model.parameters(), gradients):
            parameter.grad = gradient
    losses = []
    for _ in range(steps):
        if step is not None:
            value = step(x, y)
        else:
            optimizer.zero_grad()
            value = loss(model(x), y)
            value.backward()
        optimizer.step()
        losses.append(value.item())
        x, y = x.roll(1, 0), y.roll(1, 0)
    return losses


@pytest.mark.parametrize("name", CASES)
def test_training_gives_the_same_numbers_to_the_bit(name: str) -> None:
    make, data, loss = CASES[name]
    torch.manual_seed(0)
    model, (x, y) = make(), data()
    twin = copy.deepcopy(model)
    want = _train(model, loss, x, y, by_capture=False)
    got = _train(twin, loss, x, y, by_capture=True)
    assert got == want
    for (key, value), other in zip(model.state_dict().items(), twin.state_dict().values()):
        assert torch.equal(value, other), key


@pytest.mark.parametrize("name", CASES)
def test_prediction_gives_the_same_numbers_to_the_bit(name: str) -> None:
    make, data, _ = CASES[name]
    torch.manual_seed(0)
    model, (x, _) = make().eval(), data()
    twin = copy.deepcopy(model)
    step = capture(model, [x])
    for seed in range(2):
        x = x.flip(0)
        torch.manual_seed(seed)
        got = step(x)
        torch.manual_seed(seed)
        with torch.no_grad():
            want = twin(x)
        if name == "transformer":
            close(got, want, because="torch's own fused layer is for inference only and rounds otherwise")
        else:
            assert torch.equal(got, want)


def test_mixed_precision() -> None:
    torch.manual_seed(0)
    model, (x, y) = CASES["layer norm"][0](), CASES["layer norm"][1]()

    def loss(pred: Tensor, true: Tensor) -> Tensor:
        return functional.mse_loss(pred.float(), true)

    with torch.autocast("cpu", torch.bfloat16):
        step, gradients = _captured(model, loss, x, y)
        want = loss(model(x), y)
    assert torch.equal(step(x, y), want.detach())
    for got, expected in zip(gradients, torch.autograd.grad(want, list(model.parameters()))):
        assert torch.equal(got, expected)


def test_the_lstm_keeps_its_fused_kernel() -> None:
    make, data, loss = CASES["lstm"]
    step, _ = _captured(make(), loss, *data())
    assert "mkldnn_rnn_layer_backward" in step.source
