"""Lesson: Dougong in a PyTorch program, and PyTorch in a Dougong model.

    python examples/torch_and_dougong.py

A Dougong layer is a `torch.nn.Module`, and any `torch.nn.Module` is a layer to Dougong.  Nothing needs converting:

  1  a Dougong layer inside an nn.Module, trained by the usual PyTorch loop with torch.optim and a DataLoader
  2  its state_dict, loaded into a plain torch layer, which then computes the same
  3  nn.Modules among the layers of a dg.Sequential, trained by fit
  4  the model of 3 in the PyTorch loop of 1: who trains is a matter of taste
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import dougong as dg


class Lesson(NamedTuple):
    """Losses before and after each training, and how far the plain torch layer is from the Dougong one."""

    torch_loop: tuple[float, float]
    difference: float
    fit: tuple[float, float]
    both: tuple[float, float]


class TorchProgram(nn.Module):
    """An ordinary torch module; one of its layers happens to be a Dougong layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = dg.layers.Dense(32, activation="tanh")
        self.last = nn.Linear(32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x))


def waves(count: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Points in a square and the height of a wave over each."""
    x = 4 * torch.rand(count, 2) - 2
    return x, torch.sin(2 * x[:, :1]) * torch.cos(x[:, 1:])


def torch_loop(module: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int = 60) -> tuple[float, float]:
    """The loop that every PyTorch user has written.  Returns the loss before and after."""
    loss_of = nn.MSELoss()
    before = loss_of(module(x), y).item()
    # A Dougong layer makes its weights when it first sees data, so the optimizer is made after a first call.
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    module.train()
    for _ in range(epochs):
        for batch_x, batch_y in DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True):
            optimizer.zero_grad()
            loss_of(module(batch_x), batch_y).backward()
            optimizer.step()
    module.eval()
    return before, loss_of(module(x), y).item()


def main() -> Lesson:
    dg.utils.set_random_seed(1)
    torch.set_num_threads(1)  # fit chooses by itself; in a loop of your own, a small network is quickest with one
    x, y = waves()

    program = TorchProgram()
    in_loop = torch_loop(program, x, y)

    # Names, shapes and layout are torch's own, [outputs, inputs]; `program.first.kernel` shows Keras's view of them.
    state = program.first.state_dict()
    plain = nn.Linear(2, 32)
    plain.load_state_dict(state)
    difference = (torch.tanh(plain(x)) - program.first(x)).abs().max().item()

    mixed = dg.Sequential(
        [
            dg.Input((2,)),
            nn.Linear(2, 32),  # torch's
            nn.LayerNorm(32),
            nn.GELU(),
            dg.layers.Dense(32, activation="tanh"),  # Dougong's
            dg.layers.Dense(1),
        ]
    )
    mixed.compile(optimizer=dg.optimizers.Adam(0.01), loss="mse")
    before = mixed.evaluate(x, y, verbose=0)
    loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)  # fit takes torch's loaders too
    mixed.fit(loader, epochs=60, verbose=0)
    by_fit = (before, mixed.evaluate(x, y, verbose=0))
    in_both = torch_loop(mixed, x, y)

    print(f"{'network':46}{'trained by':16}{'loss before':>12}{'after':>10}")
    for network, trainer, losses in (
        ("nn.Module with a dg.layers.Dense", "PyTorch loop", in_loop),
        ("dg.Sequential with nn.Modules", "fit", by_fit),
        ("the same dg.Sequential, further", "PyTorch loop", in_both),
    ):
        print(f"{network:46}{trainer:16}{losses[0]:12.5f}{losses[1]:10.5f}")
    print(
        "\nthe Dougong layer's state_dict: " + ", ".join(f"{name} {list(value.shape)}" for name, value in state.items())
    )
    print(f"loaded into nn.Linear it computes the same: largest difference {difference:.1e}")
    return Lesson(in_loop, difference, by_fit, in_both)


if __name__ == "__main__":
    main()
