"""Who is compared: one entry a peer, with how its process is set up and what it imports.

The parent reads this table too, so a framework is imported only inside the functions, by the worker that runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.cases import Case

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BASELINES", "PEERS", "Peer", "Session"]


class Session(Protocol):
    """One peer's model of one case, ready to be trained and asked."""

    def train(self, steps: int) -> float:
        """Make ``steps`` training steps (epochs, for an epoch case); a loss, to see that it trains."""
        ...

    def predict(self) -> np.ndarray:
        """The output for one batch, NumPy in and out."""
        ...

    def parameters(self) -> int:
        """Number of trainable values; may be asked after the first step only."""
        ...

    def threads(self) -> int | None:
        """Threads computed with, where the peer tells."""
        ...


@dataclass(frozen=True)
class Peer:
    """A framework in one way of use.

    ``open``: makes the session; importing the framework is part of the first call.
    ``imports``: statements that import it; ``builds``: statements that make a small network, timed with the import.
    ``dense``: a dense layer with ReLU, bound to a batch; None where a layer cannot be called.
    """

    name: str
    title: str
    open: Callable[[Case, Any, Any], Session]
    imports: str
    builds: str
    dense: Callable[[], Callable[[], Any]] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    perceptrons_only: bool = False

    def applies(self, case: Case) -> bool:
        """Whether the peer has such a network at all."""
        return bool(case.hidden) or not self.perceptrons_only


def _open_torch(tuned: bool, case: Case, x: np.ndarray, y: np.ndarray) -> Session:
    from benchmarks.sessions_torch import TorchSession  # lazy: one framework a process

    return TorchSession(case, x, y, tuned=tuned)


def _open_keras(module: str, case: Case, x: np.ndarray, y: np.ndarray) -> Session:
    from benchmarks.sessions_keras import KerasSession  # lazy: one framework a process

    return KerasSession(case, x, y, module=module)


def _open_sklearn(case: Case, x: np.ndarray, y: np.ndarray) -> Session:
    from benchmarks.sessions_sklearn import SklearnSession  # lazy: one framework a process

    return SklearnSession(case, x, y)


def _dense_torch() -> Callable[[], Any]:
    from benchmarks.sessions_torch import dense_call  # lazy: one framework a process

    return dense_call()


def _dense_keras(module: str) -> Callable[[], Any]:
    from benchmarks.sessions_keras import dense_call  # lazy: one framework a process

    return dense_call(module)


_KERAS_BUILDS = "k.Sequential([k.Input((4,)), k.layers.Dense(10, activation='tanh'), k.layers.Dense(3)])"
_TORCH_BUILDS = "torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.Tanh(), torch.nn.Linear(10, 3))"
_ALL = (
    Peer(
        "dougong",
        "Dougong",
        partial(_open_keras, "dougong"),
        "import dougong as k",
        f"import dougong.layers; {_KERAS_BUILDS}",
        partial(_dense_keras, "dougong"),
    ),
    Peer("torch", "PyTorch", partial(_open_torch, False), "import torch", _TORCH_BUILDS, _dense_torch),
    Peer("torch-tuned", "PyTorch, tuned", partial(_open_torch, True), "import torch", _TORCH_BUILDS, _dense_torch),
    Peer(
        "keras-torch",
        "Keras on PyTorch",
        partial(_open_keras, "keras"),
        "import keras as k",
        _KERAS_BUILDS,
        partial(_dense_keras, "keras"),
        {"KERAS_BACKEND": "torch"},
    ),
    Peer(
        "keras-jax",
        "Keras on JAX",
        partial(_open_keras, "keras"),
        "import keras as k",
        _KERAS_BUILDS,
        partial(_dense_keras, "keras"),
        {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    ),
    Peer(
        "sklearn",
        "scikit-learn",
        _open_sklearn,
        "from sklearn.neural_network import MLPClassifier",
        "MLPClassifier((10,))",
        perceptrons_only=True,
    ),
)
PEERS: dict[str, Peer] = {peer.name: peer for peer in _ALL}
BASELINES = ("torch", "torch-tuned")  # what every time is divided by
