"""The networks as a PyTorch user writes them: modules of ``torch.nn``, images channels first.

N batch, C channels, H height, W width, T time, D features.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from benchmarks.cases import Case
from benchmarks.keras_models import MOBILE_BLOCKS

__all__ = ["LastStep", "TimeMean", "build"]


class LastStep(nn.Module):
    """An LSTM of which only the last output is kept: ``[N, T, D] -> [N, units]``."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, units, batch_first=True)

    def forward(self, x_NTD: Tensor) -> Tensor:
        return self.lstm(x_NTD)[0][:, -1]


class TimeMean(nn.Module):
    """Mean over time: ``[N, T, D] -> [N, D]``."""

    def forward(self, x_NTD: Tensor) -> Tensor:
        return x_NTD.mean(dim=1)


def build(case: Case) -> nn.Module:
    """The case's network: ``[N, *shape] -> [N, case.outputs]``; images are ``[N, C, H, W]``."""
    if case.hidden:
        return _perceptron(case)
    return {"lenet5": _lenet5, "lstm": _lstm, "mobile": _mobile, "transformer": _transformer}[case.name](case)


def _perceptron(case: Case) -> nn.Module:
    activation = {"tanh": nn.Tanh, "relu": nn.ReLU}[case.activation]
    widths = (*case.shape, *case.hidden)
    hidden = [module for a, b in pairwise(widths) for module in (nn.Linear(a, b), activation())]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], case.outputs))


def _lenet5(case: Case) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, case.outputs),
    )


def _lstm(case: Case) -> nn.Module:
    return nn.Sequential(LastStep(case.shape[-1], 64), nn.Linear(64, case.outputs))


def _mobile(case: Case) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    channels = 16
    for filters, stride in MOBILE_BLOCKS:
        layers += [
            nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, filters, 1, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
        ]
        channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, case.outputs))


def _transformer(case: Case) -> nn.Module:
    features = case.shape[-1]
    block = nn.TransformerEncoderLayer(features, nhead=4, dim_feedforward=256, dropout=0.0, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(block, 2), TimeMean(), nn.Linear(features, case.outputs))
